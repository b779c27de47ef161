"""Compacts the partitions of a table that have many small files, a bounded amount at a time.

Files that a claim of an unpublished load names are in no table yet, so that no compaction sees
them. Rewriting changes no row; a commit of others in between is taken up by Iceberg's own retry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform, IdentityTransform, MonthTransform, YearTransform
from pyiceberg.types import TimestamptzType

from lakehouse import naming
from lakehouse.errors import PublishConflictError
from lakehouse.promotion.order import text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TARGET_BYTES: Final = 128 * 1024 * 1024
"""Size of files that a table's writers aim at."""
SMALL_BYTES: Final = TARGET_BYTES * 3 // 4
FEWEST: Final = 5
"""Small files of a partition that are worth a rewrite."""
RUN_BYTES: Final = 20 * 1024**3
"""Bytes of a table that one run rewrites at the most; the next one goes on."""
MANY_MANIFESTS: Final = 50
_REFUSALS: Final = ("CommitFailedException", "ValidationException", "CommitStateUnknownException")


class SmallFiles(msgspec.Struct, frozen=True):
    """The small files of one partition; ``partition`` is by field name, empty where there is none.

    Days, months and years count from 1970.
    """

    partition: dict[str, Any]
    files: int
    size: int


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What a compaction did: partitions, their small files and what they became.

    What comes after is None where nothing was done yet.
    """

    partitions: int
    files_before: int
    files_after: int | None = None
    rewritten_bytes: int
    left: int
    """Partitions that wait for another run."""
    manifests_before: int
    manifests_after: int | None = None


class Work(msgspec.Struct, frozen=True):
    """The partitions that are worth a rewrite, those that one run rewrites, and the manifests."""

    found: tuple[SmallFiles, ...]
    chosen: tuple[SmallFiles, ...]
    manifests: int

    @property
    def many_manifests(self) -> bool:
        """Whether there are so many manifests that reading them slows every query."""
        return self.manifests > MANY_MANIFESTS

    def outlook(self) -> Compacted:
        """What is to be done, before it is."""
        return Compacted(
            partitions=len(self.chosen),
            files_before=sum(item.files for item in self.chosen),
            rewritten_bytes=sum(item.size for item in self.chosen),
            left=len(self.found) - len(self.chosen),
            manifests_before=self.manifests,
        )


def small_files(table: Table) -> list[SmallFiles]:
    """The partitions with at least FEWEST small files, those with most first."""
    found: dict[tuple[Any, ...], list[int]] = {}
    names = [field.name for field in table.spec().fields]
    for row in _files(table):
        if row["spec_id"] == table.spec().spec_id and row["file_size_in_bytes"] < SMALL_BYTES:
            where = tuple(row["partition"][name] for name in names)
            found.setdefault(where, []).append(row["file_size_in_bytes"])
    worth = [
        SmallFiles(dict(zip(names, where, strict=True)), len(sizes), sum(sizes))
        for where, sizes in found.items()
        if len(sizes) >= FEWEST
    ]
    return sorted(worth, key=lambda item: (-item.files, str(item.partition)))


def within_bounds(found: Sequence[SmallFiles], most_bytes: int) -> list[SmallFiles]:
    """The first of the partitions, up to so many bytes; at least one."""
    chosen: list[SmallFiles] = []
    total = 0
    for item in found:
        if chosen and total + item.size > most_bytes:
            break
        chosen.append(item)
        total += item.size
    return chosen


def predicate(table: Table, partition: Mapping[str, Any]) -> str:
    """The predicate of a partition's rows, of literals, as ``rewrite_data_files`` wants it."""
    parts = []
    for field in table.spec().fields:
        source = table.schema().find_field(field.source_id)
        value = partition[field.name]
        column = f"`{source.name}`"
        if value is None:
            parts.append(f"{column} IS NULL")
        elif isinstance(field.transform, IdentityTransform):
            parts.append(f"{column} = {_literal(value)}")
        else:
            low, high = _days(field.transform, value)
            kind = "TIMESTAMP" if isinstance(source.field_type, TimestamptzType) else "DATE"
            end = " 00:00:00" if kind == "TIMESTAMP" else ""
            parts.append(f"{column} >= {kind} '{low}{end}' AND {column} < {kind} '{high}{end}'")
    return " AND ".join(parts)


def plan(table: Table, most_bytes: int = RUN_BYTES) -> Work:
    """What one run is to do for a table, by its metadata."""
    found = small_files(table)
    return Work(tuple(found), tuple(within_bounds(found, most_bytes)), _manifests(table))


def compact(spark: SparkSession, table: Table, layer: naming.Layer, work: Work) -> Compacted:
    """Rewrite small files into large ones, partition by partition, and many manifests into few.

    Bronze is sorted by load within a partition, so that a load is found in few files. Raises
    PublishConflictError where others kept changing the same files; what was rewritten stays.
    """
    after = sum(
        _rewrite(spark, table, layer, predicate(table, item.partition)) for item in work.chosen
    )
    if work.many_manifests:
        _call(spark, f"rewrite_manifests(table => {_name(table)}, use_caching => false)")
    table.refresh()
    return msgspec.structs.replace(
        work.outlook(), files_after=after, manifests_after=_manifests(table)
    )


def _rewrite(spark: SparkSession, table: Table, layer: naming.Layer, where: str) -> int:
    order = (
        "strategy => 'sort', sort_order => '_load ASC NULLS LAST', " if layer == "bronze" else ""
    )
    condition = f"where => {text(where)}, " if where else ""
    options = {
        "min-input-files": FEWEST,
        "target-file-size-bytes": TARGET_BYTES,
        # Large files stay; a whole partition would be rewritten for one small file else.
        "max-file-size-bytes": TARGET_BYTES * 4,
        "min-file-size-bytes": SMALL_BYTES,
    }
    listed = ", ".join(f"'{key}', '{value}'" for key, value in options.items())
    rows = _call(
        spark,
        f"rewrite_data_files(table => {_name(table)}, {order}{condition}options => map({listed}))",
    )
    return sum(row["added_data_files_count"] for row in rows)


def _call(spark: SparkSession, procedure: str) -> list[Any]:
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # ships no types
    from pyspark.errors import PySparkException

    try:
        return spark.sql(f"CALL {naming.CATALOG}.system.{procedure}").collect()
    except (Py4JJavaError, PySparkException) as error:
        said = str(error)
        if not any(name in said for name in _REFUSALS):
            raise
        raise PublishConflictError(
            "others kept changing the table while its files were rewritten; the next run goes on"
        ) from error


def _files(table: Table) -> Iterable[dict[str, Any]]:
    if table.current_snapshot() is None:
        return []
    columns = ["spec_id", "file_size_in_bytes", "partition"]
    rows: list[dict[str, Any]] = table.inspect.data_files().select(columns).to_pylist()
    return rows


def _manifests(table: Table) -> int:
    snapshot = table.current_snapshot()
    return len(snapshot.manifests(table.io)) if snapshot else 0


def _name(table: Table) -> str:
    return text(".".join(table.name()))


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f}'"
    return f"DATE '{value}'" if isinstance(value, date) else text(str(value))


def _days(transform: object, value: Any) -> tuple[date, date]:
    """The first day of a partition and the first after it."""
    if isinstance(transform, DayTransform):
        # PyIceberg shows a day as a date, by its number in the metadata.
        day = value if isinstance(value, date) else date(1970, 1, 1) + timedelta(days=value)
        return day, day + timedelta(days=1)
    if isinstance(transform, MonthTransform):
        return _month(value), _month(value + 1)
    if isinstance(transform, YearTransform):
        return date(1970 + value, 1, 1), date(1971 + value, 1, 1)
    raise ValueError(f"a partition by {transform} is none that a contract makes")


def _month(number: int) -> date:
    return date(1970 + number // 12, number % 12 + 1, 1)
