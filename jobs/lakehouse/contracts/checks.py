"""What a contract names elsewhere exists and fits: in itself, and in the others."""

from __future__ import annotations

from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import ContractError


def check_together(contracts: Contracts) -> None:
    """Raise ContractError where a contract refers to what no other has."""
    for contract in contracts.values():
        for field in contract.fields:
            if field.reference is not None:
                target = field.reference
                _check_target(
                    contracts,
                    contract,
                    f"property {field.name!r} refers to {target.dataset}.{target.field}",
                    f"silver.{target.dataset}",
                    target.field,
                )
        for item in contract.inputs:
            what = f"inputs names {item.table} by {item.field!r}"
            _check_target(contracts, contract, what, item.table, item.field)


def _check_target(
    contracts: Contracts, contract: Contract, what: str, table: str, field: str
) -> None:
    layer, _, dataset = table.partition(".")
    other = dict(contracts).get(dataset)
    if other is None or other.checked_layer != layer:
        known = ", ".join(f"{c.checked_layer}.{c.dataset}" for c in contracts.values())
        raise ContractError(
            f"{contract.path}: {what}; {contracts.origin} has no table {table}, it has {known}"
        )
    if all(own.name != field for own in other.fields):
        raise ContractError(
            f"{contract.path}: {what}; {table} has the fields "
            f"{', '.join(own.name for own in other.fields)}"
        )


def check_contract(contract: Contract) -> None:
    """What the contract names elsewhere exists and fits its fields."""
    _check_deduplication(contract)
    _check_gate(contract)
    if contract.inputs and (contract.source != "mart" or len(contract.partition_by) != 1):
        raise ContractError(
            f"{contract.path}: 'inputs' needs source mart and one field in partitionBy, by whose "
            "days the mart is built anew in part"
        )
    if contract.format.schema is not None:
        from lakehouse.decoding.avro import own_schema

        own_schema(contract)
    for name in contract.deduplicate.key:
        contract.field(name)
    if contract.event_time is not None:
        kind = contract.field(contract.event_time).type
        if kind != "timestamp":
            raise ContractError(
                f"{contract.path}: eventTime {contract.event_time!r} is a {kind}; "
                "expected a timestamp"
            )
    for partition in contract.partition_by:
        kind = contract.field(partition.field).type
        if partition.transform != "identity" and kind not in {"date", "timestamp"}:
            raise ContractError(
                f"{contract.path}: partitionBy {partition.transform}({partition.field}) needs a "
                f"date or timestamp, {partition.field!r} is a {kind}"
            )


def _check_deduplication(contract: Contract) -> None:
    rule = contract.deduplicate
    if rule.deletes is not None:
        kind = contract.field(rule.deletes.field).type
        if kind not in {"string", "integer", "boolean"}:
            raise ContractError(
                f"{contract.path}: deduplicate.deletes.field {rule.deletes.field!r} is a {kind}; "
                "expected a string, integer or boolean"
            )
        if rule.keep == "first":
            raise ContractError(
                f"{contract.path}: deduplicate.deletes goes with 'keep: latest'; where the first "
                "delivery of a key is kept, a later delete does nothing"
            )
    if rule.history and (rule.keep != "latest" or rule.within_days is not None):
        raise ContractError(
            f"{contract.path}: deduplicate.history keeps every version of a key; remove keep and "
            "within"
        )
    if contract.source == "mart" and (rule.history or rule.deletes is not None):
        raise ContractError(
            f"{contract.path}: a mart has no deliveries; remove history and deletes"
        )


def _check_gate(contract: Contract) -> None:
    share = contract.gate.reject_share
    if share is not None and not 0 <= share <= 1:
        raise ContractError(f"{contract.path}: gate.rejectShare is {share}; expected 0 to 1")
    for name in contract.gate.drift.means:
        kind = contract.field(name).type
        if kind not in {"integer", "number"}:
            raise ContractError(
                f"{contract.path}: gate.drift.means.{name} needs a number, {name!r} is a {kind}"
            )
    fresh = contract.sla.freshness_field
    if fresh is not None and contract.field(fresh).type != "timestamp":
        raise ContractError(
            f"{contract.path}: the freshness of {fresh!r} cannot be told; expected a timestamp"
        )
