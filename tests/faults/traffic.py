"""Numbered events, a row of them for each key, one in fifty breaking the contract."""

from __future__ import annotations

import json
from typing import Any, Final

from lakehouse.cli.produce import Record, produce

KEYS: Final = 250
BAD: Final = 50
"""One record in so many is out of range."""


def event(number: int) -> Record:
    """The event of a number; its key's events have ascending numbers."""
    flight = {
        "event_id": f"{number:032x}", "flight_date": "2013-01-01",
        "scheduled_departure": "2013-01-01T10:15:00Z", "carrier": "UA", "flight": 1 + number % 9000,
        "origin": "EWR", "dest": "IAH", "distance": 1400 if number % BAD else -1,
    }  # fmt: skip
    return Record(f"key-{number % KEYS}", json.dumps(flight).encode())


class Traffic:
    """What was sent and acknowledged, from the beginning."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client = client
        self._stream = stream
        self.acknowledged = 0
        """Events 0 to this are in the stream, each once."""

    def send(self, count: int) -> None:
        """Send the next events and count each batch when it is acknowledged."""
        first = self.acknowledged
        events = [event(number) for number in range(first, first + count)]
        produced = produce(self._client, self._stream, events, on_progress=self._count)
        assert produced.acknowledged == count
        assert produced.retried == 0, "a record sent twice cannot be told from one read twice"

    def _count(self, records: int) -> None:
        self.acknowledged += records
