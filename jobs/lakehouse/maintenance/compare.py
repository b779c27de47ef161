"""What differs between two snapshots of a table: rows added, removed, changed, with samples.

Hashes of the rows are summed up by day or partition first; rows are held against each other only
where those differ.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.promotion.history import unique_key
from lakehouse.promotion.order import text
from lakehouse.promotion.samples import MASK
from lakehouse.tables import SPARK_TYPES, is_chained

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

Kind = Literal["added", "removed", "changed"]
KINDS: Final[tuple[Kind, ...]] = ("added", "removed", "changed")
SAMPLES: Final = 20
"""Most rows that are shown of a kind."""
_MOST_GROUPS: Final = 100
"""Above this many groups that differ, all rows are held against each other."""
_BEFORE, _AFTER = "before_", "after_"


class RowDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One row that differs: its identity, and (before, after) of each column that does.

    Values are texts; those that are classified are masked.
    """

    kind: Kind
    key: dict[str, str | None]
    columns: dict[str, tuple[str | None, str | None]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How a snapshot differs from another; ``columns`` counts changed rows by column.

    ``groups`` are the days or partitions there are, ``differing`` those that were looked at row by
    row.
    """

    table: str
    before: int
    after: int
    rows_before: int
    rows_after: int
    added: int
    removed: int
    changed: int
    columns: dict[str, int]
    groups: int
    differing: int
    samples: tuple[RowDifference, ...]

    @property
    def none(self) -> bool:
        """Whether the two hold the same rows."""
        return not (self.added or self.removed or self.changed)


class Cost(msgspec.Struct, frozen=True):
    """What a comparison reads at the least: rows and bytes of both snapshots, by the metadata."""

    rows: int
    megabytes: float


def cost(table: Table, snapshots: Sequence[int]) -> Cost:
    """What comparing snapshots of a table reads."""
    rows, size = 0, 0
    for number in snapshots:
        snapshot = table.metadata.snapshot_by_id(number)
        said = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
        rows += int(said.get("total-records", 0))
        size += int(said.get("total-files-size", 0))
    return Cost(rows, round(size / 1e6, 1))


def identity(contract: Contract, layer: naming.Layer) -> tuple[str, ...]:
    """The columns by which a row of one snapshot is found in another; none: by all it holds."""
    if layer == "gold":
        return contract.deduplicate.key
    key = unique_key(contract)
    return (*key, "_seen_from") if is_chained(contract) and key == contract.deduplicate.key else key


def compare(
    spark: SparkSession,
    contract: Contract,
    layer: naming.Layer,
    before: int,
    after: int,
    *,
    told: Callable[[str], None] = lambda _: None,
) -> Difference:
    """Hold snapshot ``after`` of a contract's table against ``before``, all columns of all rows."""
    from pyspark.sql import functions as f

    table = naming.table(layer, contract.dataset)
    told(f"summing up {table} by {_group_name(contract)}")
    one, other = _aligned(
        *(
            spark.sql(f"SELECT * FROM {naming.CATALOG}.{table} VERSION AS OF {n}")  # noqa: S608 - names of the contract's own
            for n in (before, after)
        )
    )
    columns = one.columns
    keys = list(identity(contract, layer)) or columns
    group = f.expr(_group(contract))
    old, new = _sums(one, group), _sums(other, group)
    differing = sorted(
        (g for g in {*old, *new} if old.get(g) != new.get(g)), key=lambda g: (g is None, str(g))
    )
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    by_column: dict[str, int] = {}
    samples: tuple[RowDifference, ...] = ()
    if differing:
        told(f"comparing rows of {table} in {len(differing):,} of {len({*old, *new}):,}")
        if len(differing) <= _MOST_GROUPS:
            near = " OR ".join(f"({rows_of(contract, group)})" for group in differing)
            one, other = one.where(near), other.where(near)
        rows = _joined(one, other, keys).persist()
        try:
            counts, by_column = _counted(rows, columns)
            samples = _samples(rows, contract, keys, columns)
        finally:
            rows.unpersist()
    return Difference(
        table=table,
        before=before,
        after=after,
        rows_before=sum(rows for rows, _ in old.values()),
        rows_after=sum(rows for rows, _ in new.values()),
        **counts,
        columns=by_column,
        groups=len({*old, *new}),
        differing=len(differing),
        samples=samples,
    )


def _aligned(before: DataFrame, after: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Both with the same columns in the same order; one that a side lacks is null there."""
    from pyspark.sql import functions as f

    kinds = {field.name: field.dataType for side in (before, after) for field in side.schema.fields}

    def filled(side: DataFrame) -> DataFrame:
        return side.select(
            [
                f.col(f"`{name}`") if name in side.columns else f.lit(None).cast(kind).alias(name)
                for name, kind in kinds.items()
            ]
        )

    return filled(before), filled(after)


def _group_name(contract: Contract) -> str:
    return contract.partition_by[0].field if contract.partition_by else "the whole"


def _group(contract: Contract) -> str:
    """The expression of what rows are summed up by: the first partition field."""
    if not contract.partition_by:
        return "'all'"
    first = contract.partition_by[0]
    if first.transform == "identity":
        return f"CAST(`{first.field}` AS STRING)"
    unit = {"day": "DD", "month": "MM", "year": "YYYY"}[first.transform]
    day = f"CAST(`{first.field}` AS DATE)"
    return f"CAST({day if unit == 'DD' else f'trunc({day}, {unit!r})'} AS STRING)"


def rows_of(contract: Contract, group: str | None) -> str:
    """The predicate of a group's rows, of literals that Iceberg prunes files by."""
    if not contract.partition_by:
        return "true"
    first = contract.partition_by[0]
    if group is None:
        return f"`{first.field}` IS NULL"
    kind = SPARK_TYPES[contract.field(first.field).type]
    if first.transform == "identity":
        return f"`{first.field}` = CAST({text(group)} AS {kind})"
    low = date.fromisoformat(group)
    last = {
        "day": low,
        "month": low.replace(day=monthrange(low.year, low.month)[1]),
        "year": low.replace(month=12, day=31),
    }[first.transform]
    if kind == "date":
        return f"`{first.field}` BETWEEN DATE '{low}' AND DATE '{last}'"
    end = f"TIMESTAMP '{last} 23:59:59.999999'"
    return f"`{first.field}` BETWEEN TIMESTAMP '{low} 00:00:00' AND {end}"


def _sums(side: DataFrame, group: Column) -> dict[str | None, tuple[int, Decimal]]:
    """Rows and the sum of their hashes by group."""
    from pyspark.sql import functions as f

    # A null leaves Spark's hash as it is, so that a value could move to the next column unseen.
    parts = [p for n in side.columns for p in (f.col(f"`{n}`"), f.col(f"`{n}`").isNull())]
    summed_up = side.groupBy(group.alias("group")).agg(
        f.count(f.lit(1)).alias("rows"),
        # Sums of bigints overflow, which is an error in ANSI mode.
        f.sum(f.xxhash64(*parts).cast("decimal(38,0)")).alias("hash"),
    )
    return {row["group"]: (row["rows"], row["hash"]) for row in summed_up.collect()}


def _joined(before: DataFrame, after: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The rows that differ, with ``_kind``, each side's columns under its prefix.

    Rows with one identity, of which there ought to be one, are paired in a fixed order.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    columns = before.columns

    def numbered(side: DataFrame, prefix: str) -> DataFrame:
        of_key = [f.col(f"`{name}`") for name in keys]
        order = Window.partitionBy(*of_key).orderBy(*(f.col(f"`{name}`") for name in columns))
        names = [f.col(f"`{name}`").alias(prefix + name) for name in columns]
        return side.select(*names, f.row_number().over(order).alias(prefix))

    b, a = numbered(before, _BEFORE), numbered(after, _AFTER)
    same = b[_BEFORE] == a[_AFTER]
    for name in keys:
        same &= b[_BEFORE + name].eqNullSafe(a[_AFTER + name])
    alike = reduce(
        lambda x, y: x & y,
        (f.col(f"`{_BEFORE}{n}`").eqNullSafe(f.col(f"`{_AFTER}{n}`")) for n in columns),
    )
    kind = (
        f.when(f.col(_BEFORE).isNull(), "added")
        .when(f.col(_AFTER).isNull(), "removed")
        .when(~alike, "changed")
    )
    return b.join(a, same, "full_outer").withColumn("_kind", kind).where("_kind IS NOT NULL")


def _counted(rows: DataFrame, columns: Sequence[str]) -> tuple[dict[Kind, int], dict[str, int]]:
    from pyspark.sql import functions as f

    def differs(name: str) -> Column:
        same = f.col(f"`{_BEFORE}{name}`").eqNullSafe(f.col(f"`{_AFTER}{name}`"))
        return f.count_if((f.col("_kind") == "changed") & ~same)

    kinds = [f.count_if(f.col("_kind") == kind).alias(f"_{kind}") for kind in KINDS]
    (row,) = rows.agg(*kinds, *(differs(name).alias(name) for name in columns)).collect()
    return {kind: row[f"_{kind}"] for kind in KINDS}, {n: row[n] for n in columns if row[n]}


def _samples(
    rows: DataFrame, contract: Contract, keys: Sequence[str], columns: Sequence[str]
) -> tuple[RowDifference, ...]:
    from pyspark.sql import functions as f

    masked = {field.name for field in contract.fields if field.masked}
    both = [f.col(f"`{p}{n}`").cast("string").alias(p + n) for n in columns for p in _SIDES]
    found: list[RowDifference] = []
    for kind in KINDS:
        order = [f.coalesce(f"`{_AFTER}{n}`", f"`{_BEFORE}{n}`") for n in keys]
        some = rows.where(f.col("_kind") == kind).orderBy(*order).limit(SAMPLES).select(*both)
        found += [_sample(kind, row, keys, columns, masked) for row in some.collect()]
    return tuple(found)


_SIDES: Final = (_BEFORE, _AFTER)


def _sample(
    kind: Kind, row: Row, keys: Sequence[str], columns: Sequence[str], masked: set[str]
) -> RowDifference:
    def shown(side: str, name: str) -> str | None:
        value: str | None = row[side + name]
        return MASK if name in masked and value is not None else value

    side = _BEFORE if kind == "removed" else _AFTER
    return RowDifference(
        kind=kind,
        key={name: shown(side, name) for name in keys},
        columns={
            name: (shown(_BEFORE, name), shown(_AFTER, name))
            for name in columns
            if name not in keys and row[_BEFORE + name] != row[_AFTER + name]
        },
    )
