"""What changed in an input since a mart was made from it, by what the input's publications say.

A publication names the days in which rows changed. Where that does not lead from the one snapshot
to the other without a gap, such as after a commit that no gate let through, nothing is known.
"""

# ruff: noqa: S608 - names and literals are the contracts' own

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec
import sqlglot
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from sqlglot import exp

from lakehouse import naming
from lakehouse.contracts.model import Contract, MartInput
from lakehouse.marts import days
from lakehouse.marts.days import Ranges
from lakehouse.promotion.history import live_predicate
from lakehouse.promotion.progress import State, Touched

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DAYS: Final = frozenset({"date", "timestamp"})


class Changed(msgspec.Struct, frozen=True):
    """An input whose rows differ between two snapshots in the ``touched`` regions alone."""

    table: str
    old: int
    new: int
    touched: tuple[Touched, ...]


class Unknown(msgspec.Struct, frozen=True):
    """An input of which is not known in which days it changed, and why."""

    table: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table}: {self.reason}"


def pin(table: Table, state: State) -> int | None:
    """The snapshot to read main at, None while it has no rows.

    It is the one that was published, so that it leads to a verdict, even where main was compacted
    since; main's own where that has expired or something else was committed.
    """
    newest = len(state.publications) - 1
    if state.base is None or newest < 0 or published_as(table, state, state.base) != newest:
        return state.base
    published = state.publications[newest].snapshot_id
    return state.base if table.metadata.snapshot_by_id(published) is None else published


def published_as(table: Table, state: State, snapshot_id: int | None) -> int | None:
    """Index of the publication whose rows a snapshot has: its own, or compacted; None: of none."""
    index = {item.snapshot_id: number for number, item in enumerate(state.publications)}
    at = snapshot_id
    while at is not None and at not in index:
        snapshot = table.metadata.snapshot_by_id(at)
        if snapshot is None or snapshot.summary is None:
            return None
        if snapshot.summary.operation != Operation.REPLACE:
            return None
        at = snapshot.parent_snapshot_id
    return None if at is None else index[at]


def since(name: str, table: Table, state: State, old: int, new: int) -> Changed | Unknown | None:
    """How an input's rows differ between two snapshots that a mart is made from; None: in nothing.

    Reads metadata only.
    """
    if old == new:
        return None
    first, last = published_as(table, state, old), published_as(table, state, new)
    if first is None:
        return Unknown(name, "what was published since the mart was made is no longer on record")
    if last is None:
        return Unknown(name, "main has rows that were not published by a gate")
    if first > last:
        return Unknown(name, "main was set back to an older snapshot")
    between = state.publications[first + 1 : last + 1]
    touched: list[Touched] = []
    for number, item in enumerate(between, start=first):
        # A commit in between that no gate let through belongs to no publication.
        gap = published_as(table, state, item.base) != number
        if gap or item.rebuilt or item.touched is None:
            why = "was not made from the one before" if gap else "does not say in which days"
            return Unknown(name, f"its publication {item.number} {why}")
        touched.append(item.touched)
    return Changed(name, old, new, tuple(touched)) if between else None


def known_days(item: MartInput, changed: Changed) -> Ranges | None:
    """The changed days of the input's field, None where the rows have to be asked."""
    if any(part.field != item.field for part in changed.touched):
        return None
    return days.of_texts(r for part in changed.touched for r in part.ranges)


def not_readable(
    item: MartInput, changed: Changed, contract: Contract, table: Table
) -> Unknown | None:
    """Why the older rows cannot be asked for the days of the input's field."""
    had = columns(table, changed.old)
    if had is None:
        return Unknown(item.table, f"its snapshot {changed.old} has expired")
    asked = {item.field, *(part.field for part in changed.touched)}
    if new := sorted((asked | _live_columns(contract)) - had):
        return Unknown(item.table, f"its snapshot {changed.old} has no column {new[0]}")
    kinds = {field.name: field.type for field in contract.fields}
    for part in changed.touched:
        if kinds.get(part.field) not in _DAYS:
            return Unknown(item.table, f"{part.field} has no days any more")
    return None


def days_of_rows(
    spark: SparkSession, item: MartInput, changed: Changed, contract: Contract
) -> Ranges | None:
    """The days that the field has in the touched regions, before and after.

    None where a row there has none.
    """
    regions: list[str] = []
    for field in sorted({part.field for part in changed.touched}):
        ranges = (r for part in changed.touched if part.field == field for r in part.ranges)
        kind = contract.field(field).type
        regions.append(days.predicate(field, kind, days.of_texts(ranges)))
    where = f"({' OR '.join(f'({region})' for region in regions)})"
    if live := live_predicate(contract):
        where += f" AND ({live})"
    rows = spark.sql(
        " UNION ".join(
            f"SELECT to_date(`{item.field}`) AS day FROM {naming.CATALOG}.{item.table} "
            f"VERSION AS OF {snapshot} WHERE {where}"
            for snapshot in (changed.old, changed.new)
        )
    ).collect()
    found: set[date | None] = {row["day"] for row in rows}
    return None if None in found else days.of_days(day for day in found if day is not None)


def live_rows(contract: Contract, table: Table, snapshot_id: int) -> str:
    """The predicate of a snapshot's rows that are no tombstones, empty where there are none."""
    had = columns(table, snapshot_id)
    return live_predicate(contract) if had is None or _live_columns(contract) <= had else ""


def columns(table: Table, snapshot_id: int) -> set[str] | None:
    """The columns that a snapshot is read with, None once it has expired."""
    snapshot = table.metadata.snapshot_by_id(snapshot_id)
    if snapshot is None:
        return None
    schema = table.schema()
    if snapshot.schema_id is not None:
        schema = table.schemas().get(snapshot.schema_id, schema)
    return {field.name for field in schema.fields}


def _live_columns(contract: Contract) -> set[str]:
    live = live_predicate(contract)
    if not live:
        return set()
    return {column.name for column in sqlglot.parse_one(live, dialect="spark").find_all(exp.Column)}
