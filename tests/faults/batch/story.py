"""What happens to a dataset from its files to its mart, and what must come of it.

The expectation is worked out here from the files alone, by rules written down a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import parse_contract

FIRST: Final = datetime(2026, 3, 1, tzinfo=UTC)
BAD: Final = 900
"""Amounts above it fail the gate, although each row by itself is good."""

_ORDERS: Final = """
apiVersion: v3.1.0
kind: DataContract
id: {name}
version: {version}
status: active
team: {{name: faults}}
customProperties:
  - {{property: source, value: files}}
  - {{property: format, value: {{type: ndjson}}}}
  - {{property: eventTime, value: at}}
  - {{property: partitionBy, value: day(at)}}
  - {{property: gate, value: {{onFail: set-aside}}}}
schema:
  - name: {name}
    quality:
      - type: custom
        engine: soda
        implementation:
          failed_rows: {{name: too much, expression: amount > 900}}
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
      - {{name: day, logicalType: date, primaryKey: true}}
      - {{name: at, logicalType: timestamp, required: true}}
      - name: amount
        logicalType: integer
        required: true
        logicalTypeOptions: {{minimum: 0, maximum: 1000}}
      - {{name: kind, logicalType: string, required: true, enum: [{kinds}]}}
"""
_DAILY: Final = """
apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
status: active
team: {{name: faults}}
customProperties:
  - {{property: source, value: mart}}
  - {{property: partitionBy, value: day}}
  - {{property: inputs, value: [{{table: silver.{orders}, field: day}}]}}
schema:
  - name: {name}
    properties:
      - {{name: day, logicalType: date, primaryKey: true}}
      - {{name: orders, logicalType: integer, required: true}}
      - {{name: amount, logicalType: integer, required: true}}
"""


class Row(msgspec.Struct, frozen=True):
    """An order as silver has it."""

    id: int
    day: str
    at: str
    amount: int
    kind: str


class Story(msgspec.Struct, frozen=True):
    """Files by round, by name, as lines; everything of one round lands as one load."""

    seed: int
    rounds: tuple[dict[str, list[str]], ...]

    @property
    def orders(self) -> str:
        """The dataset."""
        return f"orders_{self.seed}"

    @property
    def daily(self) -> str:
        """Its mart."""
        return f"daily_{self.seed}"

    def contract(self, *, widened: bool) -> Contract:
        """Of the orders, before and after it takes the kind that it did not know."""
        kinds = ["sale", "gift", *(["loan"] if widened else [])]
        listed = ", ".join(f"{{value: {kind}}}" for kind in kinds)
        version = "1.1.0" if widened else "1.0.0"
        return parse_contract(_ORDERS.format(name=self.orders, version=version, kinds=listed), "")

    def mart(self) -> Contract:
        """Of the mart."""
        return parse_contract(_DAILY.format(name=self.daily, orders=self.orders), "")

    def select(self) -> str:
        """The mart's SELECT."""
        return (
            "SELECT day, count(*) AS orders, sum(amount) AS amount "
            f"FROM silver.{self.orders} GROUP BY day"
        )


def rounds_of(seed: int) -> int:
    """How often files arrive in the story of a seed."""
    return 3 if seed % 4 == 0 else 2


def write(seed: int) -> Story:
    """The story of a seed: late, repeated, contradicting, malformed rows, and one bad load."""
    random = Random(f"story {seed}")
    rounds = rounds_of(seed)
    bad = random.randrange(1, rounds)
    return Story(
        seed,
        tuple(
            {
                f"r{number}-{part}.ndjson": list(_lines(random, number, bad=number == bad))
                for part in range(random.randint(1, 3))
            }
            for number in range(rounds)
        ),
    )


def _lines(random: Random, number: int, *, bad: bool) -> Iterator[str]:
    for nth in range(random.randint(15, 40)):
        key = random.randrange(60)
        late = timedelta(days=key % 5, minutes=random.randrange(600) + 60 * number)
        # No two orders of a key have one time, so that which is the latest is beyond doubt.
        at = FIRST + late + timedelta(microseconds=random.randrange(10**6), seconds=nth)
        row: dict[str, Any] = {
            "id": key,
            "day": f"{FIRST + timedelta(days=key % 5):%Y-%m-%d}",
            "at": at.isoformat(),
            "amount": random.randrange(BAD),
            "kind": random.choice(["sale", "gift"]),
        }
        fate = random.random()
        if fate < 0.08:
            row["kind"] = "loan"
        elif fate < 0.12:
            row["amount"] = "much"
        elif fate < 0.15:
            yield '{"id": '
            continue
        elif bad and (fate < 0.4 or not nth):
            row["amount"] = BAD + 50
        yield json.dumps(row)
        if fate > 0.9:
            yield json.dumps(row)


def expected(story: Story, *, widened: bool = True) -> set[Row]:
    """What silver holds at the end: the latest of each key of every load that is not bad."""
    kept: dict[tuple[int, str], tuple[tuple[str, int, str, int], Row]] = {}
    for load, files in enumerate(story.rounds):
        parsed = [
            (name, index, row)
            for name, lines in sorted(files.items())
            for index, line in enumerate(lines)
            if (row := _good(line)) is not None
        ]
        first = [item for item in parsed if item[2].kind != "loan"]
        if not any(row.amount > BAD for _, _, row in first):
            _keep(kept, load, first)
        if widened:
            # Replayed, those of a load set aside come in as well: each is a good row by itself.
            again = [item for item in parsed if item[2].kind == "loan"]
            if not any(row.amount > BAD for _, _, row in again):
                _keep(kept, len(story.rounds), again)
    return {row for _, row in kept.values()}


def _keep(
    kept: dict[tuple[int, str], tuple[tuple[str, int, str, int], Row]],
    load: int,
    rows: list[tuple[str, int, Row]],
) -> None:
    for name, index, row in rows:
        rank = (row.at, load, name, index)
        before = kept.get((row.id, row.day))
        if before is None or rank > before[0]:
            kept[row.id, row.day] = (rank, row)


def _good(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return None if isinstance(row["amount"], str) else Row(**row)


def totals(rows: set[Row]) -> set[tuple[str, int, int]]:
    """What the mart holds for the rows of silver: day, orders, amount."""
    days = {row.day for row in rows}
    return {
        (
            day,
            sum(row.day == day for row in rows),
            sum(row.amount for row in rows if row.day == day),
        )
        for day in days
    }


def deliveries(story: Story) -> int:
    """Lines in all files."""
    return sum(len(lines) for files in story.rounds for lines in files.values())
