"""Refines new loads of bronze into a candidate of silver, on a branch that no reader sees.

Rows are read by ``_load``, not by snapshot, so that expiry, compaction and erasure in bronze do not
matter. The cost follows the increment: bronze is read by load, silver by the days that it touches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import PublishConflictError
from lakehouse.promotion.merge import merge_statement, pruning, pruning_field, silver_columns
from lakehouse.promotion.publish import Candidate
from lakehouse.tables import SILVER_COLUMNS, SPARK_TYPES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_REFUSALS: Final = ("CommitFailedException", "CommitStateUnknownException")
_SNAPSHOT_PROPERTY: Final = "spark.sql.iceberg.snapshot-property."


class Survey(msgspec.Struct, frozen=True):
    """The loads that bring something to silver, in order, and whether any row is a replay."""

    loads: tuple[int, ...]
    replayed: bool


def survey(
    spark: SparkSession, contract: Contract, after: int, upto: int, without: Sequence[int]
) -> Survey:
    """What the loads past ``after`` up to ``upto`` brought to bronze, but for those ``without``."""
    from pyspark.sql import functions as f

    rows = (
        spark.table(_name("bronze", contract))
        .where((f.col("_load") > after) & (f.col("_load") <= upto))
        .where(~f.col("_load").isin(list(without)))
        .groupBy("_load")
        .agg(
            f.count_if(f.col("_reject").isNull()).alias("good"),
            f.max("_attempt").alias("attempt"),
        )
        .collect()
    )
    # A replay that was rejected takes the attempt before it along, so it is read as well.
    replayed = any(row["attempt"] for row in rows)
    return Survey(tuple(sorted(row["_load"] for row in rows if row["good"] or replayed)), replayed)


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
) -> Candidate:
    """MERGE the good rows of ``loads`` into a new branch of silver made as of ``base``.

    ``summary`` becomes part of the candidate's snapshot summary.
    """
    create_branch(spark, "silver", contract, branch, base)
    # Cut off from its tables: a MERGE reads its source twice, and Spark 4.1 cannot plan one over a
    # view that reads an Iceberg table ("No plan for TableReference").
    increment = deduplicated(
        good_rows(spark, contract, loads, replayed), contract
    ).localCheckpoint()
    predicate = pruning(contract, touched(increment, contract))
    view = f"{contract.dataset}_{branch}"
    increment.createTempView(view)
    try:
        with conflicts_told(), snapshot_summary(spark, summary):
            spark.sql(merge_statement(contract, branch, view, predicate))
    finally:
        spark.catalog.dropTempView(view)
    return read_candidate(aws, "silver", contract, branch, base)


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


def good_rows(
    spark: SparkSession, contract: Contract, loads: Sequence[int], replayed: bool
) -> DataFrame:
    """The good deliveries of the loads; of a position that was replayed, the newest attempt."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    bronze = spark.table(_name("bronze", contract))
    rows = bronze.where(f.col("_load").between(loads[0], loads[-1]))
    if len(loads) != loads[-1] - loads[0] + 1:
        rows = rows.where(f.col("_load").isin(list(loads)))
    if replayed:
        position = Window.partitionBy("_source", "_sequence", "_index")
        newest = f.max("_attempt").over(position)
        rows = rows.withColumn("_newest", newest).where(f.col("_attempt") == f.col("_newest"))
    known = set(bronze.columns)
    return rows.where(f.col("_reject").isNull()).select(
        *(
            f.col(field.name)
            if field.name in known
            else f.lit(None).cast(SPARK_TYPES[field.type]).alias(field.name)
            for field in contract.fields
        ),
        *(name for name, _, _ in SILVER_COLUMNS),
        "_arrived_at",
    )


def deduplicated(rows: DataFrame, contract: Contract) -> DataFrame:
    """One row a key, the first or the latest as the contract keeps it.

    With ``keep: first`` and a bound in days, rows of one key with a longer gap between them are not
    compared; with ``keep: latest`` the bound is for the table alone, as a MERGE takes only one row
    for each row it updates.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    rule = contract.deduplicate
    key = list(rule.key)
    if rule.keep == "first" and rule.within_days is not None and contract.event_time is not None:
        by_time = Window.partitionBy(key).orderBy(contract.event_time)
        gap = f.unix_timestamp(contract.event_time) - f.unix_timestamp(
            f.lag(contract.event_time).over(by_time)
        )
        far = f.coalesce((gap > rule.within_days * 86_400).cast("int"), f.lit(0))
        rows = rows.withColumn("_far", far).withColumn("_era", f.sum("_far").over(by_time))
        key = [*key, "_era"]
    rank = f.row_number().over(Window.partitionBy(key).orderBy(*_order(contract)))
    return rows.withColumn("_rank", rank).where("_rank = 1").select(*silver_columns(contract))


def _order(contract: Contract) -> list[Column]:
    """By arrival and position; the latest by event time before that."""
    from pyspark.sql import functions as f

    # Sequence numbers are decimal texts of some 56 digits: the longer one is the greater one.
    arrival = [
        f.col("_arrived_at"),
        f.col("_load"),
        f.col("_source"),
        f.length("_sequence"),
        f.col("_sequence"),
        f.col("_index"),
    ]
    if contract.deduplicate.keep == "first":
        return [column.asc() for column in arrival]
    event = [f.col(contract.event_time)] if contract.event_time else []
    return [column.desc() for column in [*event, *arrival]]


def touched(rows: DataFrame, contract: Contract) -> list[date | str]:
    """The days, or values, of the pruning field in the rows, in order."""
    from pyspark.sql import functions as f

    field = pruning_field(contract)
    if field is None:
        return []
    by_day = contract.field(field).type in {"date", "timestamp"}
    column = f.to_date(field) if by_day else f.col(field).cast("string")
    found = rows.select(column.alias("touched")).distinct().where("touched IS NOT NULL")
    return sorted(row["touched"] for row in found.collect())


def _name(layer: naming.Layer, contract: Contract) -> str:
    return f"{naming.CATALOG}.{naming.table(layer, contract.dataset)}"


def _summary(table: Table, snapshot_id: int | None) -> Mapping[str, str]:
    snapshot = table.metadata.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    if snapshot is None or snapshot.summary is None:
        return {}
    return dict(snapshot.summary.additional_properties)


def _records(table: Table, snapshot_id: int | None) -> int:
    return int(_summary(table, snapshot_id).get("total-records", 0))
