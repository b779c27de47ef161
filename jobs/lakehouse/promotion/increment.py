"""One increment of silver: what its loads bring, and the changes that follow from it."""

# ruff: noqa: S608 - names and literals are the contract's own

from __future__ import annotations

import contextlib
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.promotion import deliveries, merge
from lakehouse.promotion.history import undecided_keys
from lakehouse.promotion.keep import kept
from lakehouse.promotion.order import listed
from lakehouse.promotion.progress import Touched
from lakehouse.promotion.region import (
    Value,
    bounding_field,
    day_field,
    file_field,
    region,
    touched,
    value_of,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The rows in which silver is to change, as a view that lives as long as its increment."""

    view: str
    rows: int
    replaces: bool
    """Whether any of them is there already, so that it is changed or goes."""
    files: frozenset[Value]
    """Values of the field by which the files of those are found."""
    touched: Touched | None
    scope: str


class Increment:
    """The deliveries of some loads, held against what silver has.

    ``bronze`` and ``silver`` are tables to select from, ``silver`` None while it has no rows;
    ``loads`` the predicate of the loads, ``settled`` of all that count once these are in.
    ``replays`` says whether any position of the loads can have several attempts.
    """

    def __init__(
        self,
        spark: SparkSession,
        contract: Contract,
        *,
        bronze: str,
        silver: str | None,
        loads: str,
        settled: str,
        replays: bool,
        name: str,
    ) -> None:
        self._spark = spark
        self._contract = contract
        self._bronze = bronze
        self._silver = silver
        self._loads = loads
        self._settled = settled
        self._replays = replays
        self._name = name
        self._views = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._views.close()

    def changes(self) -> Changes:
        """Work them out, by bronze's rows of the loads and silver's rows of their keys alone.

        Keys whose rows do not follow from that are made anew from all that bronze has of them.
        """
        contract = self._contract
        came = self._kept_view("came", self._elements(self._loads))
        lost = self._lost_keys()
        scope, current = self._current(came, lost)
        again = self._again(came, current, lost)
        everything = self._view("elements", merge.all_elements(contract, came, current, again))
        result = self._view("kept", kept(contract, everything))
        # Cut off from its tables: Spark 4.1 cannot plan a MERGE over a view that reads an Iceberg
        # table ("No plan for TableReference"), and would read it twice.
        view = self._kept_view("changes", merge.changes(contract, result, current))
        return self._summed_up(view, scope)

    def _elements(self, loads: str) -> str:
        known = frozenset(self._spark.table(self._bronze).columns)
        settled = self._settled if self._replays else None
        newest = deliveries.newest_attempts(self._bronze, loads, settled)
        return deliveries.elements(self._contract, known, newest)

    def _lost_keys(self) -> str | None:
        """The view of keys that lose a delivery to a replay, None where there is none."""
        if not self._replays:
            return None
        select = deliveries.superseded_keys(
            self._contract, self._bronze, self._loads, self._settled
        )
        return self._unless_empty("lost", select)

    def _current(self, came: str, lost: str | None) -> tuple[str, str | None]:
        """The region in which the keys' rows are, and the view of those rows."""
        contract = self._contract
        key = listed(contract.deduplicate.key)
        keys = f"SELECT DISTINCT {key} FROM `{came}`"
        found = came
        if lost is not None:
            keys += f"\nUNION SELECT {key} FROM `{lost}`"
            # Its row may come from any delivery, also from one that a replay took the place of.
            whole = f"SELECT * FROM {self._bronze} WHERE {self._settled} AND _reject IS NULL"
            found = self._view("anywhere", deliveries.of_keys(contract, whole, lost))
        scope = self._region({came, found})
        if self._silver is None:
            return scope, None
        view = self._view("keys", keys)
        select = merge.current(contract, self._silver, scope, view)
        return scope, self._kept_view("current", select)

    def _region(self, views: Collection[str]) -> str:
        field = bounding_field(self._contract)
        if field is None:
            return ""
        value = value_of(self._contract, field)
        selects = (f"SELECT DISTINCT {value} AS found FROM `{view}`" for view in views)
        rows = self._spark.sql("\nUNION ".join(selects)).collect()
        return region(self._contract, frozenset(row["found"] for row in rows))

    def _again(self, came: str, current: str | None, lost: str | None) -> tuple[str, str] | None:
        """The views of keys to be made anew and of all that bronze has of them."""
        contract = self._contract
        keys = lost
        if contract.deduplicate.history and current is not None:
            undecided = undecided_keys(contract, came, current)
            if lost is not None:
                undecided += f"\nUNION SELECT {listed(contract.deduplicate.key)} FROM `{lost}`"
            keys = self._unless_empty("undecided", undecided)
        if keys is None:
            return None
        select = deliveries.of_keys(contract, self._elements(self._settled), keys)
        return keys, self._view("again", select)

    def _summed_up(self, view: str, scope: str) -> Changes:
        contract = self._contract
        days, files = day_field(contract), file_field(contract)
        deletes = contract.deduplicate.deletes is not None
        select = ", ".join(
            [
                "NOT _new AS old",
                "_tombstone AS deleted" if deletes else "false AS deleted",
                f"{value_of(contract, days) if days else 'NULL'} AS day",
                f"{value_of(contract, files) if files else 'NULL'} AS file",
            ]
        )
        rows = self._spark.sql(
            f"SELECT *, count(*) AS rows FROM (SELECT {select} FROM `{view}`)\n"
            "GROUP BY old, deleted, day, file"
        ).collect()
        # A tombstone without a day is in none that anybody reads.
        changed = {r["day"] for r in rows if not (r["deleted"] and r["day"] is None)}
        return Changes(
            view=view,
            rows=sum(row["rows"] for row in rows),
            replaces=any(row["old"] for row in rows),
            files=frozenset(row["file"] for row in rows if row["old"]),
            touched=touched(days, changed),
            scope=scope,
        )

    def _unless_empty(self, what: str, select: str) -> str | None:
        view = self._kept_view(what, select)
        return None if self._spark.table(f"`{view}`").isEmpty() else view

    def _kept_view(self, what: str, select: str) -> str:
        return self._named(what, self._spark.sql(select).localCheckpoint())

    def _view(self, what: str, select: str) -> str:
        return self._named(what, self._spark.sql(select))

    def _named(self, what: str, rows: DataFrame) -> str:
        name = f"{self._name}_{what}"
        rows.createTempView(name)
        self._views.callback(self._spark.catalog.dropTempView, name)
        return name
