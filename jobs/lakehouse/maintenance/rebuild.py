"""Builds a silver table again from bronze, as of a load, on a branch of its own.

The rows are made by the very increments that a promotion is made of, over all loads in order, in
batches that bound what is worked on at a time. A person then looks at the difference to main and
has the branch published, by the whole gate and the same compare-and-swap, or dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import InputError
from lakehouse.maintenance.branches import finish, rebuild_branch, require_rebuild
from lakehouse.maintenance.compare import cost
from lakehouse.promotion.deliveries import in_loads, past_and
from lakehouse.promotion.increment import Increment
from lakehouse.promotion.merge import insert_statement, merge_statement
from lakehouse.promotion.progress import State, as_property, read_state
from lakehouse.promotion.publish import branch_name
from lakehouse.promotion.refine import (
    conflicts_told,
    create_branch,
    snapshot_summary,
    survey,
)
from lakehouse.promotion.region import file_field, within
from lakehouse.promotion.verdict import LoadCounts
from lakehouse.tables import ensure_table, load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Clock = Callable[[], datetime]
RECIPE: Final = "lakehouse.rebuild"
_BATCH_ROWS: Final = 5_000_000
"""Good deliveries of a batch of loads; one load may have more."""
_NAMED_LOADS: Final = 1000
"""Most loads that a rebuild names; with each publication they stand in the table's properties."""
_log = structlog.get_logger(__name__)


class Recipe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rebuild was made from; stands in the summary of its snapshots.

    ``base`` is the snapshot of main that it is to replace. Of silver: ``as_of`` is the last load,
    ``loads`` the newest of those that brought something, ``including`` those that are set aside and
    went in all the same. Of gold: ``inputs`` are the snapshots it read, ``select`` the fingerprint
    of its SELECT.
    """

    base: int
    contract_version: str
    contract: str
    """Fingerprint of the contract."""
    as_of: int = -1
    loads: tuple[int, ...] = ()
    including: tuple[int, ...] = ()
    inputs: dict[str, int] = {}
    select: str = ""


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild that waits on its branch to be published or dropped."""

    layer: naming.Layer
    dataset: str
    branch: str
    snapshot_id: int
    recipe: Recipe
    counts: tuple[LoadCounts, ...] = ()
    """What each load brought that went in."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild would read and replace, by the metadata."""

    as_of: int
    including: tuple[int, ...]
    set_aside: tuple[int, ...]
    """Loads that stay out."""
    bronze_rows: int
    """Of all loads, also of those past ``as_of``."""
    bronze_megabytes: float
    rows: int
    """Of main now."""


def outlook(
    aws: Aws, contract: Contract, as_of: int | None = None, including: Sequence[int] = ()
) -> Outlook:
    """What a rebuild of silver would read; InputError as ``rebuild``."""
    state, base = _promoted(aws, contract)
    upto = state.promoted if as_of is None else as_of
    _check(contract, state, upto, including)
    bronze = aws.catalog().load_table(naming.table("bronze", contract.dataset))
    head = bronze.current_snapshot()
    source = cost(bronze, [head.snapshot_id] if head else [])
    return Outlook(
        as_of=upto,
        including=tuple(including),
        set_aside=tuple(n for n in sorted(_absent(state) - set(including)) if n <= upto),
        bronze_rows=source.rows,
        bronze_megabytes=source.megabytes,
        rows=cost(_table(aws, contract), [base]).rows,
    )


def fingerprint(contract: Contract) -> str:
    """Stands for all that a contract says, wherever it was read from."""
    text = msgspec.json.encode(msgspec.structs.replace(contract, path=""))
    return hashlib.sha256(text).hexdigest()[:16]


def rebuild(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    *,
    clock: Clock,
    run_id: str,
    as_of: int | None = None,
    including: Sequence[int] = (),
    batch_rows: int = _BATCH_ROWS,
) -> Rebuild:
    """Make silver anew from the loads up to ``as_of``, None for all that are promoted.

    Loads that are set aside or about to be tried again stay out but for those ``including``. Main
    gets the columns of the contract that it lacks, and is not changed otherwise. Raises InputError
    for a load that is not promoted, PublishConflictError where others keep changing the table.
    """
    state, base = _promoted(aws, contract)
    upto = state.promoted if as_of is None else as_of
    _check(contract, state, upto, including)
    ensure_table(aws, contract, "silver")
    out = _absent(state) - set(including)
    found = survey(spark, contract, -1, upto, sorted(out))
    recipe = Recipe(
        base=base,
        contract_version=contract.version,
        contract=fingerprint(contract),
        as_of=upto,
        loads=found.loads[-_NAMED_LOADS:],
        including=tuple(sorted(including)),
    )
    began = clock()
    work = branch_name(run_id, 1, began)
    create_branch(spark, "silver", contract, work, base)
    with conflicts_told(), snapshot_summary(spark, summary(recipe, run_id)):
        _empty(spark, contract, work)
        done = 0
        for batch in batches(found.counts, batch_rows):
            head = None if not done else _table(aws, contract).metadata.refs[work].snapshot_id
            settled = past_and((), batch[-1], sorted(out))
            with Increment(
                spark,
                contract,
                bronze=f"{naming.CATALOG}.{naming.table('bronze', contract.dataset)}",
                silver=None if head is None else f"{_name(contract)} VERSION AS OF {head}",
                loads=in_loads(batch),
                settled=settled,
                replays=found.replayed,
                name=f"{contract.dataset}_{work}_{batch[0]}",
            ) as increment:
                _add(spark, contract, work, increment)
            done += len(batch)
            _log.info("rebuilding", dataset=contract.dataset, loads=done, of=len(found.loads))
    branch = rebuild_branch(run_id, began)
    return Rebuild(
        layer="silver",
        dataset=contract.dataset,
        branch=branch,
        snapshot_id=finish(_table(aws, contract), work, branch),
        recipe=recipe,
        counts=found.counts,
    )


def batches(counts: Sequence[LoadCounts], most_rows: int) -> Iterator[list[int]]:
    """The loads in order, as many at a time as have no more good deliveries than that."""
    batch: list[int] = []
    rows = 0
    for item in counts:
        if batch and rows + item.good > most_rows:
            yield batch
            batch, rows = [], 0
        batch.append(item.load)
        rows += item.good
    if batch:
        yield batch


def read_recipe(table: Table, branch: str) -> Recipe:
    """What the rebuild on a branch was made from; InputError where it does not say."""
    snapshot = table.metadata.snapshot_by_id(require_rebuild(table, branch))
    summed_up = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
    if RECIPE not in summed_up:
        raise InputError(
            f"{'.'.join(table.name())}: branch {branch} does not say what it was made from; drop "
            "it and rebuild again"
        )
    return msgspec.json.decode(summed_up[RECIPE], type=Recipe)


def summary(recipe: Recipe, run_id: str) -> dict[str, str]:
    """What the snapshots of a rebuild say of themselves."""
    return {
        RECIPE: as_property(recipe),
        "lakehouse.run": run_id,
        "lakehouse.contract-version": recipe.contract_version,
    }


def _promoted(aws: Aws, contract: Contract) -> tuple[State, int]:
    """The table's state and main's snapshot."""
    silver = load_table(aws, "silver", contract.dataset)
    state = read_state(silver) if silver else None
    if state is None or state.base is None:
        raise InputError(
            f"silver.{contract.dataset} has no rows yet, so there is nothing to rebuild; promote "
            "it first"
        )
    return state, state.base


def _check(contract: Contract, state: State, upto: int, including: Sequence[int]) -> None:
    if not 0 <= upto <= state.promoted:
        raise InputError(
            f"{contract.dataset}: load {upto} is not promoted; expected one from 0 to "
            f"{state.promoted}"
        )
    aside = _absent(state)
    for load in including:
        if load not in aside or load > upto:
            known = ", ".join(str(n) for n in sorted(aside) if n <= upto) or "none"
            raise InputError(
                f"{contract.dataset}: load {load} is not set aside among those up to {upto}; "
                f"those are: {known}"
            )


def _absent(state: State) -> set[int]:
    """The loads that main is without although later ones are promoted."""
    return {item.load for item in state.set_aside} | {item.load for item in state.taken_in}


def _empty(spark: SparkSession, contract: Contract, branch: str) -> None:
    """Take all rows off the branch, by a snapshot that carries the summary."""
    from pyspark.sql.functions import lit

    table = f"{_name(contract)}.`branch_{branch}`"
    spark.table(table).limit(0).writeTo(table).overwrite(lit(True))


def _add(spark: SparkSession, contract: Contract, branch: str, increment: Increment) -> None:
    """Bring an increment to the branch, on top of what it holds."""
    changes = increment.changes()
    if not changes.rows:
        return
    statement = insert_statement(contract, branch, changes.view)
    if changes.replaces:
        field = file_field(contract)
        files = within(contract, field, changes.files, "t") if field else ""
        statement = merge_statement(contract, branch, changes.view, files)
    spark.sql(statement)


def _name(contract: Contract) -> str:
    return f"{naming.CATALOG}.{naming.table('silver', contract.dataset)}"


def _table(aws: Aws, contract: Contract) -> Table:
    return aws.catalog().load_table(naming.table("silver", contract.dataset))
