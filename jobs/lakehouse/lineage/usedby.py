"""The marts that used a row of silver, by the snapshots that their publications pin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from lakehouse.contracts.model import Contract, Contracts
from lakehouse.lineage.published import Lake, Published
from lakehouse.promotion.progress import Publication


class Mart(msgspec.Struct, frozen=True, kw_only=True):
    """A mart over the dataset. ``since`` is its first listed publication that used the row's."""

    table: str
    uses: bool
    why: str
    since: int | None = None
    snapshot_id: int | None = None
    at: str = ""
    rows_of: str = ""
    """Which of the mart's rows it counts in, where the contract says it; empty: any."""


def marts_of(
    lake: Lake,
    contracts: Contracts,
    contract: Contract,
    rows: Iterable[Mapping[str, Any]],
    used: Mapping[int, Publication | None],
) -> Iterator[Mart]:
    """The marts that were built from the dataset, by what their publications pin."""
    name = f"silver.{contract.dataset}"
    found = list(rows)
    needed = max((p.number for row in found if (p := used[row["_load"]]) is not None), default=None)
    for mart in contracts.select([], "mart"):
        table = lake.table("gold", mart.dataset)
        listed = [p for p in (table[1].publications if table else ()) if name in p.inputs]
        if not listed:
            continue
        label = f"gold.{mart.dataset}"
        if not found:
            yield Mart(table=label, uses=False, why="silver has no row of it")
            continue
        at = listed[-1]
        built = _number(lake, contract.dataset, at)
        if needed is not None and built is not None and built < needed:
            why = f"built from publication {built} of {name}, before {needed}: run marts"
            yield Mart(table=label, uses=False, why=why, snapshot_id=at.snapshot_id, at=at.at)
            continue
        first = next(p for p in listed if needed is None or _reaches(lake, contract, p, needed))
        was = f"publication {built}" if built is not None else "a publication"
        yield Mart(
            table=label,
            uses=True,
            why=f"built from {was} of {name}",
            since=first.number,
            snapshot_id=at.snapshot_id,
            at=at.at,
            rows_of=_rows_of(mart, name, found),
        )


def _number(lake: Lake, dataset: str, mart: Publication) -> int | None:
    """The number of the dataset's publication that a mart's publication was made from."""
    head = mart.inputs[f"silver.{dataset}"]
    found = lake.publication("silver", dataset, head, before=mart.at)
    return found.number if isinstance(found, Published) else None


def _reaches(lake: Lake, contract: Contract, mart: Publication, needed: int) -> bool:
    number = _number(lake, contract.dataset, mart)
    return number is None or number >= needed


def _rows_of(mart: Contract, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """The days of the mart that rows of an input count in, as the mart's contract says."""
    said = []
    for item in mart.inputs:
        days = {_day(row.get(item.field)) for row in rows} if item.table == name else set()
        for day in sorted(day for day in days if day is not None):
            slack = timedelta(days=item.slack_days)
            said.append(f"{day - slack} to {day + slack}" if slack else f"{day}")
    return f"rows of {', '.join(said)}" if said else ""


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    return value if isinstance(value, date) else None
