"""The operations that a person decides on, as the Glue job ``operate`` runs them.

What an operation said is one object, ``operations/<run id>.json`` in the bucket of verdicts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import ContractError, InputError
from lakehouse.ingestion.ingest import forecast, on_spark, replay
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.maintenance.branches import require_rebuild
from lakehouse.maintenance.compare import compare, cost
from lakehouse.maintenance.decide import drop_rebuild, publish_rebuild
from lakehouse.maintenance.rebuild import Rebuild, outlook, read_recipe, rebuild
from lakehouse.maintenance.rebuildmart import mart_inputs, rebuild_mart
from lakehouse.naming import table as table_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Operation = Literal["replay", "rebuild", "drop-branch"]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
Said = Mapping[str, object]
_T = TypeVar("_T")


class RebuildArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``rebuild`` takes: a new one, or with ``publish`` the branch of one that is there.

    ``contract`` is the text of a contract to go by instead of the deployed one.
    """

    as_of: int | None = None
    including: tuple[int, ...] = ()
    contract: str = ""
    now: bool = False
    publish: str = ""


class DropArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``drop-branch`` takes."""

    branch: str


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Runs an operation for one dataset after the other; ``session`` gives Spark when asked."""

    aws: Aws
    session: Callable[[], Any]
    contracts: Contracts
    marts: Mapping[str, str]
    """SELECTs by mart."""
    clock: Callable[[], datetime]
    run_id: str
    code: str
    dry_run: bool

    def step(self, operation: str, arguments: str) -> Callable[[Contract], Said]:
        """What the operation does to a dataset; InputError for what is no such operation.

        ``arguments`` is a JSON object.
        """
        if operation == "replay":
            which = _read(arguments, RejectFilter)
            return lambda contract: self._replay(contract, which)
        if operation == "rebuild":
            how = _read(arguments, RebuildArguments)
            return lambda contract: self._rebuild(_own(contract, how.contract), how)
        if operation == "drop-branch":
            branch = _read(arguments, DropArguments).branch
            return lambda contract: self._drop(contract, branch)
        raise InputError(f"--operation: got {operation!r}, expected one of {', '.join(OPERATIONS)}")

    def _replay(self, contract: Contract, which: RejectFilter) -> Said:
        if self.dry_run:
            return _plain(forecast(self.aws, contract, which))
        execute = on_spark(self.session(), self.aws, contract)
        return _plain(replay(self.aws, contract, which, execute))

    def _rebuild(self, contract: Contract, how: RebuildArguments) -> Said:
        if how.publish:
            return self._publish(contract, how.publish)
        if contract.source == "mart":
            return self._rebuild_mart(contract, how)
        if how.now:
            raise InputError(
                f"{contract.dataset}: 'now' goes with marts; a table of silver is "
                "rebuilt as of a load"
            )
        if self.dry_run:
            return _plain(outlook(self.aws, contract, how.as_of, how.including))
        spark = self.session()
        made = rebuild(
            self.aws,
            spark,
            contract,
            clock=self.clock,
            run_id=self.run_id,
            as_of=how.as_of,
            including=how.including,
        )
        return self._compared(spark, contract, made)

    def _rebuild_mart(self, contract: Contract, how: RebuildArguments) -> Said:
        sql = self.marts.get(contract.dataset)
        if sql is None:
            raise ContractError(f"{contract.dataset}: no SELECT marts/{contract.dataset}.sql")
        if how.as_of is not None or how.including:
            raise InputError(
                f"{contract.dataset}: a mart is made from snapshots, not from loads; rebuild the "
                "silver tables that it reads as of a load"
            )
        if self.dry_run:
            return {"inputs": mart_inputs(self.aws, contract, sql, self.contracts, now=how.now)}
        spark = self.session()
        made = rebuild_mart(
            self.aws,
            spark,
            contract,
            sql,
            contracts=self.contracts,
            clock=self.clock,
            run_id=self.run_id,
            now=how.now,
        )
        return self._compared(spark, contract, made)

    def _publish(self, contract: Contract, branch: str) -> Said:
        table = self.aws.catalog().load_table(table_name(contract.checked_layer, contract.dataset))
        recipe = read_recipe(table, branch)
        made = Rebuild(
            layer=contract.checked_layer,
            dataset=contract.dataset,
            branch=branch,
            snapshot_id=require_rebuild(table, branch),
            recipe=recipe,
        )
        if self.dry_run:
            return self._compared(self.session(), contract, made)
        done = publish_rebuild(
            self.aws,
            self.session(),
            contract,
            branch,
            clock=self.clock,
            run_id=self.run_id,
            code=self.code,
        )
        return {"published": _plain(done)}

    def _compared(self, spark: SparkSession, contract: Contract, made: Rebuild) -> Said:
        layer, base = contract.checked_layer, made.recipe.base
        table = self.aws.catalog().load_table(table_name(layer, contract.dataset))
        found = compare(spark, contract, layer, base, made.snapshot_id)
        return {
            "rebuild": _plain(msgspec.structs.replace(made, counts=())),
            "difference": _plain(found),
            "compared": _plain(cost(table, [base, made.snapshot_id])),
        }

    def _drop(self, contract: Contract, branch: str) -> Said:
        if self.dry_run:
            table = self.aws.catalog().load_table(
                table_name(contract.checked_layer, contract.dataset)
            )
            return {"would_drop": branch, "snapshot": require_rebuild(table, branch)}
        return {"dropped": branch, "snapshot": drop_rebuild(self.aws, contract, branch)}


def result_key(run_id: str) -> str:
    """Key of what an operation said in the bucket of verdicts."""
    return f"operations/{run_id}.json"


def put_result(aws: Aws, run_id: str, result: object) -> str:
    """Write what a run said; its key."""
    key = result_key(run_id)
    aws.client("s3").put_object(
        Bucket=aws.bucket("verdicts"),
        Key=key,
        Body=msgspec.json.encode(result),
        ContentType="application/json",
    )
    return key


def _own(contract: Contract, text: str) -> Contract:
    """The contract that ``text`` is, which has to be the dataset's; without, the given one."""
    if not text:
        return contract
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        Path(folder, f"{contract.dataset}.yaml").write_text(text, encoding="utf-8")
        given = load_contracts(Path(folder))
    if list(given) != [contract.dataset]:
        raise ContractError(
            f"the contract given is of {', '.join(given)}; expected one of {contract.dataset}"
        )
    return given[contract.dataset]


def _read(text: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(text or "{}", type=kind)
    except msgspec.DecodeError as error:
        raise InputError(f"--arguments {text!r}: {error}") from error


def _plain(value: object) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(value)
    return found
