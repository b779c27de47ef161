"""What an acceptance sends and drops, and what has to become of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from acceptance.datasets import Version
from lakehouse.cli.produce import Record

KINDS: Final = ("view", "click", "order")
NAMES: Final = {kind: f"{kind} of something" for kind in KINDS}
_BROKEN: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("enum", {"kind": "refund"}),
    ("range", {"amount": -1}),
    ("missing", {"run": None}),
)
"""Rules that a record breaks, by the reason that bronze gives."""


class Delivery(NamedTuple):
    """A record with what has to become of it."""

    record: Record
    number: int
    """Of the event; a repeat has that of the first one."""
    reject: str | None = None
    """The reason that bronze has to give; None for a good one."""


def event(run: str, number: int, version: Version = 1) -> Delivery:
    """A good event."""
    return Delivery(_record(run, number, _values(run, number, version)), number)


def trouble(run: str, numbers: Iterable[int]) -> list[Delivery]:
    """Events that are no good: malformed ones and breakers of each rule in turn."""
    found = []
    for place, number in enumerate(numbers):
        if place % 4 == 3:
            record = Record(f"{run}-{number}", b'{"event_id": "' + run.encode())
            found.append(Delivery(record, number, "malformed"))
            continue
        code, wrong = _BROKEN[place % 4]
        values = {k: v for k, v in {**_values(run, number, 1), **wrong}.items() if v is not None}
        found.append(Delivery(_record(run, number, values), number, code))
    return found


def _values(run: str, number: int, version: Version) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    values = {
        "event_id": f"{run}-{number}",
        "run": run,
        "at": at.isoformat(),
        "kind": KINDS[number % len(KINDS)],
        "amount": number % 1000,
    }
    return values if version == 1 else values | {"note": f"note {number}"}


def _record(run: str, number: int, values: Mapping[str, Any]) -> Record:
    return Record(f"{run}-{number}", json.dumps(values).encode())


class Sent:
    """All that was acknowledged so far, and what follows from it."""

    def __init__(self) -> None:
        self.deliveries = 0
        self.good: dict[int, bool] = {}
        """The good events, and whether each has a note."""
        self.rejects: Counter[str] = Counter()

    def add(self, deliveries: Iterable[Delivery], version: Version = 1) -> None:
        """These were acknowledged."""
        for delivery in deliveries:
            self.deliveries += 1
            if delivery.reject is None:
                self.good.setdefault(delivery.number, version > 1)
            else:
                self.rejects[delivery.reject] += 1

    def marts(self) -> list[list[str | None]]:
        """The mart's rows of the run, as Athena writes them."""
        counts: Counter[str] = Counter()
        amounts: Counter[str] = Counter()
        for number in self.good:
            kind = KINDS[number % len(KINDS)]
            counts[kind] += 1
            amounts[kind] += number % 1000
        return [[k, NAMES[k], str(counts[k]), str(amounts[k])] for k in sorted(counts)]


class Files(NamedTuple):
    """A file that passes its gate, and one that does not."""

    good: Path
    bad: Path
    rows: int
    """Of both together."""
    rejects: Counter[str]
    """Of both together."""


def write_files(folder: Path, run: str) -> Files:
    """CSV files: in the good one a row of four is wrong, in the bad one three of four are."""
    folder.mkdir(parents=True, exist_ok=True)
    good, bad = folder / f"{run}-good.csv", folder / f"{run}-bad.csv"
    head = "run,kind,name,contact\n"
    rows = [f"{run},{kind},{NAMES[kind]},somebody" for kind in KINDS]
    good.write_text(head + "\n".join([*rows, f"{run},refund,no such kind,somebody"]) + "\n")
    wrong = [f"{run},refund,no such kind,somebody"] * 3
    bad.write_text(head + "\n".join([f"{run},view,must not be seen,somebody", *wrong]) + "\n")
    return Files(good, bad, 8, Counter({"enum": 4}))
