"""Refines new loads of bronze into a candidate of silver, on a branch that no reader sees.

Rows are read by ``_load``, not by snapshot, so that expiry, compaction and erasure in bronze do not
matter. The cost follows the increment: bronze is read by load, silver by the days that it touches.
What comes out does not depend on how loads were cut or in which order they were promoted.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import PublishConflictError
from lakehouse.promotion.deliveries import in_loads, newest_attempts, past_and
from lakehouse.promotion.increment import Increment
from lakehouse.promotion.merge import insert_statement, merge_statement
from lakehouse.promotion.progress import Touched, read_state
from lakehouse.promotion.publish import Candidate
from lakehouse.promotion.region import file_field, within
from lakehouse.promotion.verdict import LoadCounts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_REFUSALS: Final = ("CommitFailedException", "CommitStateUnknownException")
_SNAPSHOT_PROPERTY: Final = "spark.sql.iceberg.snapshot-property."


class Survey(msgspec.Struct, frozen=True):
    """The loads to promote, in order; whether any row is a replay; what each load brought."""

    loads: tuple[int, ...]
    replayed: bool
    counts: tuple[LoadCounts, ...]
    """Of each of the loads, by the attempts that count."""


class Refined(msgspec.Struct, frozen=True):
    """A candidate and where it differs from what is published.

    ``scope`` is the predicate, on silver's columns, of the region that holds every changed row and
    every row with a key of the loads; empty: the whole table.
    """

    candidate: Candidate
    touched: Touched | None
    scope: str


def survey(  # noqa: PLR0917 - two readings of progress and their bounds
    spark: SparkSession,
    contract: Contract,
    after: int,
    upto: int,
    without: Sequence[int],
    taken_in: Sequence[int] = (),
) -> Survey:
    """What the loads past ``after`` up to ``upto`` brought to bronze, and those ``taken_in``.

    Loads ``without`` are left out; ``loads`` has those that bring silver something, or that may
    have more rejects than the contract allows, and all that are taken in.
    """
    left_out = sorted(set(without) - set(taken_in))
    new = f"(_load > {after} AND _load <= {upto} AND NOT {in_loads(left_out)})"
    meant = f"({new} OR {in_loads(taken_in)})" if taken_in else new
    settled = past_and((), upto, left_out)
    found, replays = _counted(spark, contract, meant, None)
    if replays or taken_in:
        # Positions may have been replayed by loads that were promoted before.
        counted, _ = _counted(spark, contract, meant, settled)
        found = {load: counted.get(load, {}) for load in found}
    limited = contract.gate.reject_share is not None
    loads = {load for load, codes in found.items() if codes.get(None) or load in replays or limited}
    counts = {
        load: LoadCounts(
            load, codes.get(None, 0), {c: n for c, n in codes.items() if c is not None}
        )
        for load, codes in found.items()
    }
    ordered = tuple(sorted(loads | set(taken_in)))
    return Survey(
        ordered, bool(replays), tuple(counts.get(n, LoadCounts(n, 0, {})) for n in ordered)
    )


def _counted(
    spark: SparkSession, contract: Contract, loads: str, settled: str | None
) -> tuple[dict[int, dict[str | None, int]], frozenset[int]]:
    """Deliveries by load and reason, None for good ones; and the loads that replay something."""
    deliveries = newest_attempts(_name("bronze", contract), loads, settled)
    rows = spark.sql(
        "SELECT _load, _reject.code AS code, count(*) AS deliveries, max(_attempt) AS attempt\n"
        f"FROM (\n{deliveries})\nGROUP BY _load, _reject.code"
    ).collect()
    found: dict[int, dict[str | None, int]] = defaultdict(dict)
    for row in rows:
        found[row["_load"]][row["code"]] = row["deliveries"]
    return dict(found), frozenset(row["_load"] for row in rows if row["attempt"])


def refine(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    *,
    base: int | None,
    loads: Sequence[int],
    replayed: bool,
    branch: str,
    summary: Mapping[str, str],
) -> Refined:
    """Bring the good rows of ``loads`` to a new branch of silver made as of ``base``.

    ``loads`` may lie before others that are promoted. ``summary`` becomes part of the candidate's
    snapshot summary; where nothing changes there is no new snapshot, unless rejects are limited.
    """
    state = read_state(aws.catalog().load_table(naming.table("silver", contract.dataset)))
    absent = {item.load for item in state.set_aside} | {item.load for item in state.taken_in}
    settled = past_and(loads, state.promoted, sorted(absent - set(loads)))
    late = any(load <= state.promoted for load in loads)
    create_branch(spark, "silver", contract, branch, base)
    with Increment(
        spark,
        contract,
        bronze=_name("bronze", contract),
        silver=None if base is None else f"{_name('silver', contract)} VERSION AS OF {base}",
        loads=in_loads(loads),
        settled=settled,
        replays=replayed or late,
        name=f"{contract.dataset}_{branch}",
    ) as increment:
        changes = increment.changes()
        # A load that is nothing but rejects gets its verdict on a snapshot of its own.
        if changes.rows or contract.gate.reject_share is not None:
            statement = insert_statement(contract, branch, changes.view)
            if changes.replaces:
                field = file_field(contract)
                files = within(contract, field, changes.files, "t") if field else ""
                statement = merge_statement(contract, branch, changes.view, files)
            with conflicts_told(), snapshot_summary(spark, summary):
                spark.sql(statement)
    return Refined(
        read_candidate(aws, "silver", contract, branch, base), changes.touched, changes.scope
    )


def create_branch(
    spark: SparkSession, layer: naming.Layer, contract: Contract, branch: str, base: int | None
) -> None:
    """A branch at ``base``; at an empty snapshot where the table has none yet."""
    version = "" if base is None else f" AS OF VERSION {base}"
    with conflicts_told():
        spark.sql(f"ALTER TABLE {_name(layer, contract)} CREATE BRANCH `{branch}`{version}")


def read_candidate(
    aws: Aws, layer: naming.Layer, contract: Contract, branch: str, base: int | None
) -> Candidate:
    """The candidate that is on a branch now."""
    table = aws.catalog().load_table(naming.table(layer, contract.dataset))
    head = table.metadata.refs[branch].snapshot_id
    summary = _summary(table, head)
    changed = int(summary.get("added-data-files", 0)) + int(summary.get("deleted-data-files", 0))
    return Candidate(
        layer=layer,
        dataset=contract.dataset,
        branch=branch,
        snapshot_id=head,
        base=base,
        rows=_records(table, head),
        rows_added=_records(table, head) - _records(table, base),
        changed=head != base and changed > 0,
    )


@contextlib.contextmanager
def conflicts_told() -> Iterator[None]:
    """Iceberg's refusals of a commit that Spark makes, as PublishConflictError.

    Another run that works on a branch of the same table can exhaust Iceberg's own retries.
    """
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # ships no types
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        text = str(error)
        if not any(name in text for name in _REFUSALS):
            raise
        raise PublishConflictError(
            "another run changed the table while a candidate was written; refine again"
        ) from error


@contextlib.contextmanager
def snapshot_summary(spark: SparkSession, summary: Mapping[str, str]) -> Iterator[None]:
    """While this lasts, snapshots that Spark commits carry ``summary``."""
    for key, value in summary.items():
        spark.conf.set(_SNAPSHOT_PROPERTY + key, value)
    try:
        yield
    finally:
        for key in summary:
            spark.conf.unset(_SNAPSHOT_PROPERTY + key)


def _name(layer: naming.Layer, contract: Contract) -> str:
    return f"{naming.CATALOG}.{naming.table(layer, contract.dataset)}"


def _summary(table: Table, snapshot_id: int | None) -> Mapping[str, str]:
    snapshot = table.metadata.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    if snapshot is None or snapshot.summary is None:
        return {}
    return dict(snapshot.summary.additional_properties)


def _records(table: Table, snapshot_id: int | None) -> int:
    return int(_summary(table, snapshot_id).get("total-records", 0))
