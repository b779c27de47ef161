"""A stream in memory: shards that split, merge, forget, lag behind and refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from model.scheduler import START, Scheduler, Violation

from lakehouse.errors import TransientError
from lakehouse.ingestion.kinesis import (
    ExpiredIteratorError,
    Page,
    Record,
    ShardGoneError,
    Stream,
    ThrottledError,
)
from lakehouse.ingestion.ledger import Position

RETENTION: Final = timedelta(hours=24)
LAG: Final = timedelta(seconds=50)
"""How long a listing may be behind a reshard."""
_ITERATOR_LIFE: Final = timedelta(minutes=5)
_CLIENT_PATIENCE: Final = timedelta(minutes=1)


@dataclass
class Delivery:
    """A record as the stream took it."""

    shard: str
    sequence: int
    key: int
    number: int
    """The how manieth of its key it is."""
    arrived: datetime


@dataclass
class Shard:
    name: str
    parents: tuple[str, ...]
    keys: tuple[int, ...]
    opened: datetime
    closed: datetime | None = None
    records: list[Delivery] = field(default_factory=list)


class Shards(Stream):
    """What the protocol sees of a stream; and what producers and operators do to it."""

    def __init__(self, scheduler: Scheduler, keys: int, roots: int) -> None:
        self.name = "s"
        self.deliveries: list[Delivery] = []
        self._scheduler = scheduler
        self._shards: dict[str, Shard] = {}
        self._written: dict[int, int] = dict.fromkeys(range(keys), 0)
        for root in range(roots):
            self._open((), tuple(range(root, keys, roots)))

    # What the platform calls.

    def retention(self) -> timedelta:
        self._call("describe stream", "unanswered")
        return RETENTION

    def shards(self) -> dict[str, tuple[str, ...]]:
        fault = self._call("list shards", "lagging", "unanswered")
        now = self._scheduler.now
        seen = now - LAG if fault == "lagging" else now
        return {
            s.name: s.parents
            for s in self._shards.values()
            if s.opened <= seen and not self._vanished(s, seen)
        }

    def iterator(self, shard: str, position: Position) -> str:
        self._call(f"iterator of {shard}", "throttled", "unanswered")
        found = self._shard(shard)
        match position.kind:
            case "after":
                at = sum(r.sequence <= int(position.sequence) for r in found.records)
            case "timestamp":
                assert position.timestamp is not None
                at = sum(r.arrived < position.timestamp for r in found.records)
            case "trim_horizon":
                at = 0
        return f"{shard} {at} {self._scheduler.now.isoformat()}"

    def get(self, iterator: str, limit: int = 10_000) -> Page:
        shard, _, rest = iterator.partition(" ")
        at_text, _, made = rest.partition(" ")
        fault = self._call(
            f"get {limit} of {shard} from {at_text}", "throttled", "unanswered", "expired", "blank"
        )
        now, found = self._scheduler.now, self._shard(shard)
        if now - datetime.fromisoformat(made) > _ITERATOR_LIFE or fault == "expired":
            raise ExpiredIteratorError("the iterator expired")
        at = max(int(at_text), sum(self.trimmed(r) for r in found.records))
        end = at if fault == "blank" else min(at + limit, len(found.records))
        behind = timedelta(0)
        if end < len(found.records):
            reached = found.records[end - 1].arrived if end > at else found.records[end].arrived
            behind = now - reached + timedelta(milliseconds=1)
        following = f"{shard} {end} {now.isoformat()}"
        return Page(
            Records=[
                Record(
                    b"%d %d" % (r.key, r.number), str(r.key), str(r.sequence), r.arrived.timestamp()
                )
                for r in found.records[at:end]
            ],
            NextShardIterator=None if found.closed and end == len(found.records) else following,
            MillisBehindLatest=int(behind / timedelta(milliseconds=1)),
        )

    # What the world does.

    def put(self, key: int) -> None:
        """A producer's record, acknowledged."""
        shard = next(s for s in self.open() if key in s.keys)
        self._written[key] += 1
        delivery = Delivery(
            shard.name, len(self.deliveries) + 1, key, self._written[key], self._scheduler.now
        )
        shard.records.append(delivery)
        self.deliveries.append(delivery)

    def open(self) -> list[Shard]:
        return [s for s in self._shards.values() if s.closed is None]

    def can_reshard(self) -> bool:
        return len(self._shards) < 12

    def split(self, shard: Shard) -> bool:
        if len(shard.keys) < 2:
            return False
        self._close(shard)
        half = len(shard.keys) // 2
        self._open((shard.name,), shard.keys[:half])
        self._open((shard.name,), shard.keys[half:])
        return True

    def merge(self, one: Shard, other: Shard) -> None:
        self._close(one)
        self._close(other)
        self._open((one.name, other.name), (*one.keys, *other.keys))

    def trimmed(self, delivery: Delivery, at: datetime | None = None) -> bool:
        return delivery.arrived + RETENTION < (at or self._scheduler.now)

    def listed(self) -> set[str]:
        return {s.name for s in self._shards.values() if not self._vanished(s, self._scheduler.now)}

    def parents_of(self, shard: str) -> tuple[str, ...]:
        return self._shards[shard].parents

    @property
    def size(self) -> int:
        """How much there can be to read: records, and shards twice."""
        return len(self.deliveries) + 2 * len(self._shards)

    @property
    def keys(self) -> int:
        return len(self._written)

    def _open(self, parents: tuple[str, ...], keys: tuple[int, ...]) -> None:
        name = f"shard-{len(self._shards):02d}"
        opened = self._scheduler.now if parents else START - LAG
        self._shards[name] = Shard(name, parents, keys, opened)

    def _close(self, shard: Shard) -> None:
        if shard.closed is not None:
            raise Violation(f"{shard.name} is closed already")
        shard.closed = self._scheduler.now

    def _vanished(self, shard: Shard, at: datetime) -> bool:
        return shard.closed is not None and shard.closed + RETENTION < at

    def _shard(self, name: str) -> Shard:
        found = self._shards.get(name)
        if found is None or self._vanished(found, self._scheduler.now):
            raise ShardGoneError(f"{name} is gone")
        return found

    def _call(self, what: str, *faults: str) -> str:
        asked = self._scheduler.now
        fault = self._scheduler.call(what, faults)
        if fault == "throttled":
            raise ThrottledError("slow down")
        if fault == "unanswered" or self._scheduler.now - asked > _CLIENT_PATIENCE:
            raise TransientError("no answer")
        return fault
