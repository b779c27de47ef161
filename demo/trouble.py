"""Turns flights into deliveries as a careless world makes them: repeated, late, broken.

Broken deliveries are extra ones, so that their flight still arrives good as well, except for the
share ``LOST``, whose only delivery is broken: silver cannot have those, and the independent
computation has to know. What is true of a delivery stands beside the payload, never in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from demo.data import encode, events

Kind = Literal["flight", "late", "repeat", "malformed", "rule"]

REPEATED: Final = 0.02
"""Share of the flights whose good delivery is sent once more, byte for byte."""
LATE: Final = 0.03
"""Share of the flights sent well after their turn."""
MALFORMED: Final = 0.01
"""Share of the flights with a delivery that is not JSON."""
RULE_BROKEN: Final = 0.01
"""Share of the flights with a delivery that is JSON and breaks one rule of the contract."""
LOST: Final = 0.0005
"""Share of the flights whose only delivery is broken, half of each sort."""
_LATE_HOURS: Final = (1.0, 48.0)
"""How long after its turn a late flight is sent, in hours of event time."""
_REPEAT_HOURS: Final = (0.1, 24.0)
"""How long after the good delivery its repeat is sent, in hours of event time."""

Event = dict[str, Any]
_Break = Callable[[Event, np.random.Generator], Event]


class Delivery(NamedTuple):
    """One record to be sent, and the truth about it."""

    key: str
    """Partition key: the ``event_id`` of the flight that it came from."""
    payload: bytes
    kind: Kind
    reason: str | None
    """Code of the reason for which the platform has to reject it; None: it is good."""


def _with(**changes: Any) -> _Break:
    return lambda event, _: {**event, **changes}


def _without(field: str) -> _Break:
    return lambda event, _: {k: v for k, v in event.items() if k != field}


def _changed(field: str, change: Callable[[Any], Any]) -> _Break:
    return lambda event, _: {**event, field: change(event[field])}


BROKEN_RULES: Final[Mapping[str, tuple[_Break, ...]]] = {
    "missing": tuple(_without(f) for f in ("origin", "scheduled_departure", "distance")),
    "type": (
        _changed("flight", str),
        _with(distance="far"),
        _changed("distance", lambda miles: miles + 0.5),
        _with(dep_delay="n/a"),
    ),
    "range": (
        _with(flight=0),
        _changed("distance", lambda miles: -miles),
        _with(dep_delay=1e6),
        _with(air_time=-1.0),
    ),
    "pattern": (
        _changed("event_id", lambda text: text.upper() + "-"),
        _changed("carrier", str.lower),
        _with(dest="Newark"),
    ),
    "enum": (_with(origin="PHL"), _with(origin="")),
    "format": (
        _changed("flight_date", lambda day: "/".join(reversed(day.split("-")))),
        _changed("scheduled_departure", lambda when: when.removesuffix("Z")),
    ),
}
"""Ways to break exactly one rule of the flights' contract, by the code of the reason.

Carriers without a letter cannot be lower-cased; New York has none.
"""


def _truncated(payload: bytes, random: np.random.Generator) -> bytes:
    return payload[: int(random.integers(1, len(payload)))]


def _garbage(_: bytes, random: np.random.Generator) -> bytes:
    # A digit or quote in front would be JSON of another type.
    return b"\x00\xff" + random.bytes(int(random.integers(8, 200)))


def _run_together(payload: bytes, _: np.random.Generator) -> bytes:
    return payload + payload


def _not_a_number(payload: bytes, _: np.random.Generator) -> bytes:
    return payload.replace(b'"distance":', b'"distance":NaN,"was":')


def _log_line(_: bytes, random: np.random.Generator) -> bytes:
    return f"ERROR upstream timed out after {random.integers(100, 9000)} ms".encode()


MALFORMED_WAYS: Final[tuple[Callable[[bytes, np.random.Generator], bytes], ...]] = (
    _truncated,
    _garbage,
    _run_together,
    _not_a_number,
    _log_line,
)
"""Ways to make a payload that is not one JSON document."""


def deliveries(flights: pd.DataFrame, seed: int) -> list[Delivery]:
    """Everything that is sent for the flights, in the order of sending.

    The same flights and seed give the same deliveries.
    """
    random = np.random.default_rng(seed)
    count = len(flights)
    turn = flights["scheduled_departure"].map(pd.Timestamp.timestamp).to_numpy(float) / 3600
    lost = _some(random, np.arange(count), LOST * count)
    whole = np.setdiff1d(np.arange(count), lost)
    late = _some(random, whole, LATE * count)
    repeated = _some(random, whole, REPEATED * count)
    malformed = _some(random, whole, MALFORMED * count - len(lost[::2]))
    ruled = _some(random, whole, RULE_BROKEN * count - len(lost[1::2]))

    originals = list(events(flights))
    payloads = [encode(event) for event in originals]
    sent_at = turn.copy()
    sent_at[late] += random.uniform(*_LATE_HOURS, len(late))
    is_late = np.zeros(count, bool)
    is_late[late] = True

    timed: list[tuple[float, Delivery]] = []

    def add(when: float, flight: int, payload: bytes, kind: Kind, reason: str | None) -> None:
        timed.append((when, Delivery(originals[flight]["event_id"], payload, kind, reason)))

    for flight in whole.tolist():
        kind: Kind = "late" if is_late[flight] else "flight"
        add(sent_at[flight], flight, payloads[flight], kind, None)
    for flight in repeated.tolist():
        when = sent_at[flight] + random.uniform(*_REPEAT_HOURS)
        add(when, flight, payloads[flight], "repeat", None)
    for flight in np.concatenate([malformed, lost[::2]]).tolist():
        way = MALFORMED_WAYS[random.integers(len(MALFORMED_WAYS))]
        broken = way(payloads[flight], random)
        add(turn[flight] + random.random(), flight, broken, "malformed", "malformed")
    codes = tuple(BROKEN_RULES)
    for flight in np.concatenate([ruled, lost[1::2]]).tolist():
        code = codes[random.integers(len(codes))]
        ways = BROKEN_RULES[code]
        event = ways[random.integers(len(ways))](originals[flight], random)
        add(turn[flight] + random.random(), flight, encode(event), "rule", code)
    timed.sort(key=lambda item: item[0])
    return [delivery for _, delivery in timed]


def _some(random: np.random.Generator, among: np.ndarray, how_many: float) -> np.ndarray:
    """That many of them, in order, none twice; at most all."""
    size = min(len(among), max(0, round(how_many)))
    return np.sort(random.choice(among, size, replace=False))


def tally(sent: Sequence[Delivery]) -> dict[Kind, int]:
    """How many deliveries of each kind."""
    counts: dict[Kind, int] = dict.fromkeys(("flight", "late", "repeat", "malformed", "rule"), 0)
    for delivery in sent:
        counts[delivery.kind] += 1
    return counts
