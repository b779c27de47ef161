"""What silver has to hold, told by plain loops over all deliveries; and cases to tell it by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
from hypothesis import strategies as st

from lakehouse.contracts.model import (
    Contract,
    Deduplicate,
    Deletes,
    Field,
    FileFormat,
    Partition,
)

DAY = datetime(2026, 3, 1, tzinfo=UTC)
GONE = Deletes(field="op", values=("D", "X"))


def contract_of(
    *, event: bool = True, key: tuple[str, ...] = ("id",), by_day: bool = False, **rule: Any
) -> Contract:
    """Things with a key, a state and an operation; ``rule`` is how they are de-duplicated."""
    return Contract(
        dataset="things",
        version="1.0.0",
        description="",
        owner="tests",
        source="files",
        format=FileFormat(type="csv"),
        fields=(
            Field(name="id", type="string", required=True, primary_key=True),
            Field(name="at", type="timestamp"),
            Field(name="state", type="string"),
            Field(name="op", type="string"),
        ),
        event_time="at" if event else None,
        deduplicate=Deduplicate(key=key, **rule),
        partition_by=(Partition("at", "day"),) if by_day else (),
    )


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of bronze; ``at`` is days after DAY."""

    load: int
    index: int
    attempt: int
    good: bool
    id: str
    at: float | None
    state: str | None
    op: str | None

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": None if self.at is None else DAY + timedelta(days=self.at),
            "state": self.state,
            "op": self.op,
            "_source": "s",
            "_sequence": f"{self.index}",
            "_index": 0,
            "_arrived_at": DAY + timedelta(hours=self.index),
            "_load": self.load,
            "_attempt": self.attempt,
            "_reject": None if self.good else {"code": "type", "detail": "$.state"},
        }


def came(load: int, index: int, key: str, at: float, state: str | None, **more: Any) -> Delivery:
    """A delivery that is good and tried once, unless said otherwise."""
    told: dict[str, Any] = {"attempt": 0, "good": True, "op": None} | more
    return Delivery(load=load, index=index, id=key, at=at, state=state, **told)


HARD = [
    came(0, 8, "a", 0, "u"),
    came(0, 9, "a", 4, "u"),
    came(0, 10, "b", 1, "v"),
    came(0, 11, "c", 1, None, good=False),
    came(0, 19, "d", 0, "u"),
    came(0, 20, "d", 3, "u"),
    # Between two deliveries that agree, behind two, and a delete.
    came(1, 12, "a", 2, "v"),
    came(1, 13, "b", 3, None, op="D"),
    came(1, 21, "d", 5, "v"),
    # Older than what is promoted before it.
    came(2, 14, "b", 2, "u"),
    came(2, 15, "a", 1, "u"),
    came(2, 16, "c", 5, "u"),
    # A reject that is good now, a good one that has another key, and one that is no good any more.
    came(3, 11, "c", 1, "u", attempt=1),
    came(3, 9, "b", 6, "w", attempt=1),
    came(3, 12, "a", 2, None, attempt=1, good=False),
    came(4, 17, "a", 12, "w"),
    came(4, 18, "b", 6, "w"),
    came(4, 22, "d", 2, "v"),
]
HARD_STEPS = [[0], [1], [3], [2, 4]]
"""The batches in which the loads of HARD are promoted."""


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Delivery], list[list[int]]]:
    """Deliveries over some loads, replays among them, and batches in which loads are promoted."""
    made: list[Delivery] = []
    loads = draw(st.integers(1, 6))
    for load in range(loads):
        for _ in range(draw(st.integers(0, 3))):
            again = draw(st.sampled_from([None, None, None, *range(len(made))]))
            first = made[again] if again is not None else None
            positions = [d.index for d in made]
            index = len(set(positions)) + 8 if first is None else first.index
            if first is not None and any(d.load == load and d.index == index for d in made):
                continue
            made.append(
                Delivery(
                    load=load,
                    index=index,
                    attempt=positions.count(index),
                    good=draw(st.sampled_from([True, True, True, False])),
                    id=draw(st.sampled_from("aaab")),
                    at=draw(st.sampled_from([None, 0, 1, 2, 3, 4, 5.5, 7, 9, 12])),
                    state=draw(st.sampled_from(["u", "u", "v", "v", None])),
                    op=draw(st.sampled_from([None, None, None, "D"])),
                )
            )
    order = draw(st.permutations(range(loads)))
    cuts = draw(st.lists(st.booleans(), min_size=loads, max_size=loads))
    batches: list[list[int]] = []
    for load, cut in zip(order, cuts, strict=True):
        if cut or not batches:
            batches.append([])
        batches[-1].append(load)
    return made, [sorted(batch) for batch in batches]


def expected(contract: Contract, deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    """Silver as one clean run over the deliveries gives it."""
    newest: dict[int, Delivery] = {}
    for delivery in deliveries:
        known = newest.get(delivery.index)
        if known is None or delivery.attempt > known.attempt:
            newest[delivery.index] = delivery
    rows = [_as_row(contract, d.row()) for d in newest.values() if d.good]
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_key.setdefault(tuple(row[name] for name in contract.deduplicate.key), []).append(row)
    return in_order(row for group in by_key.values() for row in _kept(contract, group))


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of silver in one order."""
    return sorted(rows, key=lambda row: (row["id"], str(row["at"]), str(row.get("_valid_from"))))


def _as_row(contract: Contract, row: dict[str, Any]) -> dict[str, Any]:
    rule = contract.deduplicate
    row["told"] = row["at"] if contract.event_time is None else None
    row["time"] = row["_arrived_at"] if row["at"] is None or not contract.event_time else row["at"]
    if rule.deletes is not None:
        row["_tombstone"] = row["op"] in rule.deletes.values
        if row["_tombstone"]:
            row |= {"state": None, "op": None}
            if contract.event_time is None:
                row["at"] = row["told"] = None
    return row


def _arrival(row: Mapping[str, Any]) -> tuple[Any, ...]:
    sequence = row["_sequence"]
    return row["_load"], row["_source"], len(sequence), sequence, row["_index"]


def _first(contract: Contract, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if contract.deduplicate.keep == "first":
        return min(rows, key=_arrival)
    early = DAY - timedelta(days=1)
    by_time = contract.event_time is not None
    return max(rows, key=lambda row: ((row["at"] or early) if by_time else early, *_arrival(row)))


def _kept(contract: Contract, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    rule = contract.deduplicate
    plain = [f.name for f in contract.fields] + ["_load", "_source", "_sequence", "_index"]
    plain += ["_tombstone"] if rule.deletes else []
    if rule.history:
        yield from _versions(rows, plain, rule.deletes is not None)
    elif rule.within_days is None or contract.event_time is None:
        yield {name: _first(contract, rows)[name] for name in plain}
    else:
        for chain in _chains(rows, timedelta(days=rule.within_days)):
            row = _first(contract, chain)
            seen = [one["at"] for one in chain]
            span = {"_seen_from": seen[0], "_seen_to": seen[-1]}
            yield {name: row[name] for name in plain} | span


def _chains(rows: Sequence[dict[str, Any]], bound: timedelta) -> Iterator[list[dict[str, Any]]]:
    timeless = [row for row in rows if row["at"] is None]
    if timeless:
        yield timeless
    chain: list[dict[str, Any]] = []
    for row in sorted((r for r in rows if r["at"] is not None), key=lambda r: r["at"]):
        if chain and row["at"] - chain[-1]["at"] > bound:
            yield chain
            chain = []
        chain.append(row)
    if chain:
        yield chain


def _versions(
    rows: Sequence[dict[str, Any]], plain: Sequence[str], deletes: bool
) -> Iterator[dict[str, Any]]:
    by_time = sorted(rows, key=lambda row: (row["time"], _arrival(row)))
    counting = [list(group)[-1] for _, group in groupby(by_time, key=lambda row: row["time"])]
    runs: list[list[dict[str, Any]]] = []
    for row in counting:
        if runs and _state(runs[-1][-1]) == _state(row):
            runs[-1].append(row)
        else:
            runs.append([row])
    for number, run in enumerate(runs):
        until = runs[number + 1][0]["time"] if number + 1 < len(runs) else None
        yield {name: run[0][name] for name in plain} | {
            "_valid_from": run[0]["time"],
            "_valid_to": until,
            "_current": until is None and not (deletes and run[0]["_tombstone"]),
            "_seen_to": run[-1]["time"],
        }


def _state(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["told"], row["state"], row["op"], row.get("_tombstone", False)
