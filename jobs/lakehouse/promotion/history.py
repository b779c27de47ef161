"""What silver keeps beside the newest state of a key: tombstones and earlier versions."""

from __future__ import annotations

from lakehouse.contracts.model import Contract


def live_predicate(contract: Contract) -> str:
    """The predicate of the rows that are no tombstones; empty where a contract has none."""
    return "_deleted = false" if contract.deduplicate.deletes is not None else ""


def unique_key(contract: Contract) -> tuple[str, ...]:
    """The columns by which silver's rows are unique."""
    key = contract.deduplicate.key
    return (*key, "_valid_from") if contract.deduplicate.history else key
