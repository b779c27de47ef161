"""Plans the loads of a stream: which shards from where, and when there is something to read.

A shard is read from its end position; a child only after all its parents were read to their very
end, so that the records of one key stay in order across a split or merge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from lakehouse.errors import DataLossError
from lakehouse.ingestion.kinesis import ExpiredIteratorError, ShardGoneError, Stream
from lakehouse.ingestion.ledger import Claim, Limits, Part, Plan, Position, ShardStart, StreamState

_ITERATOR_LIFE: Final = timedelta(minutes=4)
"""A shard iterator is good for five minutes."""
_LISTING_LIFE: Final = timedelta(minutes=1)
"""After which the shards are listed again: a listing may be behind a reshard."""
_DESCRIPTION_LIFE: Final = timedelta(minutes=10)
"""After which the retention is asked for again."""

Shards = Mapping[str, tuple[str, ...]]
"""The listed shards, each with its parents."""


class StreamPlanner:
    """Plans the next load of a stream where there is something to read.

    ``start`` says where a stream begins that was never read, as a contract does. ``parts`` is how
    many tasks a load has at the most. ``accept_loss`` lets the loads go on over shards that the
    stream lost before they were read; each such plan says so.
    """

    def __init__(
        self,
        stream: Stream,
        start: str = "trim_horizon",
        limits: Limits | None = None,
        parts: int = 8,
        *,
        accept_loss: bool = False,
    ) -> None:
        self._stream = stream
        self._start = start
        self._limits = limits or Limits()
        self._parts = parts
        self._accept_loss = accept_loss
        self._retention = timedelta(0)
        self._described: datetime | None = None
        self._listed: datetime | None = None
        self._probes: dict[tuple[str, Position], tuple[str, datetime]] = {}

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """See Planner. Raises DataLossError when the stream no longer has what comes next."""
        self._describe(now)
        gone: tuple[str, ...] = ()
        if previous is None or previous.stream is None:
            state = first_state(self._list(now), first_position(self._start, now), now)
            due = True
        else:
            state = after_load(previous.stream, claims)
            closed = any(end.closed for claim in claims for end in claim.shards)
            stale = self._listed is None or now - self._listed > _LISTING_LIFE
            if closed or stale or state.childless:
                shards = self._list(now)
                gone = gone_parents(state, shards)
                if gone and not self._accept_loss:
                    raise DataLossError(
                        f"shard {gone[0]} of stream {self._stream.name} was never read to its end "
                        "and is no longer listed; its records are lost. Send them again, or start "
                        "the job with --accept-loss to go on without them"
                    )
                state = with_children(state, shards)
            due = state.through is None or now - state.through > self._retention / 4
        if not state.positions or not (self._has_records(state.positions, now) or due):
            return None
        starts = [ShardStart(shard, start) for shard, start in sorted(state.positions.items())]
        count = min(self._parts, len(starts))
        return Plan(
            load=load,
            made_at=now,
            parts=tuple(Part(shards=tuple(starts[n::count])) for n in range(count)),
            limits=self._limits,
            stream=state,
            accepted_loss=f"all that was left in {', '.join(gone)}" if gone else "",
        )

    def _describe(self, now: datetime) -> None:
        if self._described is None or now - self._described > _DESCRIPTION_LIFE:
            self._retention, self._described = self._stream.retention(), now

    def _list(self, now: datetime) -> Shards:
        shards, self._listed = self._stream.shards(), now
        return shards

    def _has_records(self, positions: Mapping[str, Position], now: datetime) -> bool:
        """Whether any shard has something past its position: one small read each, at most."""
        probes, self._probes = self._probes, {}
        for shard, position in sorted(positions.items()):
            iterator, made = probes.get((shard, position), ("", now))
            try:
                if not iterator or now - made > _ITERATOR_LIFE:
                    iterator = self._stream.iterator(shard, position)
                page = self._stream.get(iterator, limit=1)
            except ExpiredIteratorError:
                page = self._stream.get(self._stream.iterator(shard, position), limit=1)
            except ShardGoneError:
                # Whoever carries out the load says what that means.
                return True
            if page.Records or page.NextShardIterator is None:
                return True
            self._probes[shard, position] = (page.NextShardIterator, now)
        return False


def first_position(start: str, now: datetime) -> Position:
    """Where a stream begins that was never read; LATEST is pinned, or it would move on."""
    if start == "trim_horizon":
        return Position("trim_horizon")
    if start == "latest":
        return Position("timestamp", timestamp=now)
    return Position("timestamp", timestamp=datetime.fromisoformat(start).astimezone(UTC))


def first_state(shards: Shards, initial: Position, now: datetime) -> StreamState:
    """The state of a stream that was never read: begin at the oldest shards it still lists.

    What arrived before an initial instant is not wanted, and so counts as read.
    """
    roots = [s for s, parents in shards.items() if not any(p in shards for p in parents)]
    positions = dict.fromkeys(roots, initial)
    return StreamState(positions, (), initial, through=initial.timestamp, began=now)


def after_load(before: StreamState, claims: Sequence[Claim]) -> StreamState:
    """The state after a load, by what its claims say."""
    ends = {end.shard: end for claim in claims for end in claim.shards}
    positions = {
        shard: ends[shard].end if shard in ends else position
        for shard, position in before.positions.items()
        if not (shard in ends and ends[shard].closed)
    }
    closed = [shard for shard, end in ends.items() if end.closed]
    through = [claim.through or before.through for claim in claims]
    known = [moment for moment in through if moment is not None]
    moves = known and len(known) == len(through) and not before.childless
    return StreamState(
        positions=positions,
        finished=(*before.finished, *sorted(closed)),
        initial=before.initial,
        through=min(known) if moves else before.through,
        childless=before.childless,
        began=before.began,
    )


def carried(before: StreamState, claims: Sequence[Claim]) -> StreamState:
    """The state after a load, for one that does not read the stream.

    Whether the children of a shard that was read to its end are listed is left to the next load
    that does, so ``through`` stands still until then.
    """
    closed = any(end.closed for claim in claims for end in claim.shards)
    state = after_load(before, claims)
    return msgspec.structs.replace(state, childless=state.childless or closed)


def gone_parents(state: StreamState, shards: Shards) -> tuple[str, ...]:
    """The parents of shards not read yet that nobody has read and the stream no longer lists."""
    known = {*state.finished, *state.positions}
    unread = {p for s, parents in shards.items() if s not in known for p in parents}
    return tuple(sorted(unread - known - set(shards)))


def with_children(state: StreamState, shards: Shards) -> StreamState:
    """The state with every shard added whose parents are read to their end, or gone."""
    finished = set(state.finished)
    added: dict[str, Position] = {}
    for shard, parents in shards.items():
        if shard in finished or shard in state.positions:
            continue
        if not any(p in shards or p in state.positions for p in parents if p not in finished):
            timed = state.initial.kind == "timestamp"
            added[shard] = state.initial if timed else Position("trim_horizon")
    # A finished shard is forgotten only once the stream has forgotten it and its children. A
    # listing that is behind lacks the newest shards, and names grow with age.
    parents_listed = {p for parents in shards.values() for p in parents}
    newest = max(shards, default="")
    kept = tuple(s for s in state.finished if s in shards or s in parents_listed or s > newest)
    return msgspec.structs.replace(
        state,
        positions={**state.positions, **added},
        finished=kept,
        childless=any(shard not in parents_listed for shard in kept),
    )
