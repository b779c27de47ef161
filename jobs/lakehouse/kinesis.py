"""Plans and reads loads of a Kinesis stream.

A shard is read in order and from its end position; a child only after all its parents were read to
their very end, so that the records of one key stay in order across a split or merge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.bronze import BronzeWriter
from lakehouse.contract import Contract
from lakehouse.decode import RowDecoder
from lakehouse.errors import DataLossError, EstateError
from lakehouse.ledger import (
    Claim,
    Limits,
    Part,
    Plan,
    Position,
    ShardEnd,
    ShardStart,
    StreamState,
)

_ITERATOR_LIFE: Final = timedelta(minutes=4)
"""A shard iterator is good for five minutes."""


class _Record(msgspec.Struct):
    Data: bytes
    PartitionKey: str
    SequenceNumber: str
    ApproximateArrivalTimestamp: float


class Page(msgspec.Struct):
    """One answer of GetRecords; ``NextShardIterator`` is None at the end of a closed shard."""

    Records: list[_Record]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


_decode_page = msgspec.json.Decoder(Page).decode


def _keep_raw(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    # boto3's own parser manages 59,000 records a second, msgspec two million.
    if response_dict["status_code"] == 200:
        customized_response_dict["Raw"] = response_dict["body"]
        response_dict["body"] = b"{}"


class Stream:
    """The few calls of one stream, with their answers typed."""

    def __init__(self, aws: Aws, dataset: str) -> None:
        self.name = aws.stream(dataset)
        self._client = aws.client("kinesis")
        self._client.meta.events.register(
            "before-parse.kinesis.GetRecords", _keep_raw, unique_id="lakehouse-raw-pages"
        )

    def retention(self) -> timedelta:
        """How long the stream keeps a record; EstateError when there is no such stream."""
        try:
            answer = self._client.describe_stream_summary(StreamName=self.name)
        except self._client.exceptions.ResourceNotFoundException as error:
            raise EstateError(
                f"no stream {self.name}; deploy the estate with the contract that declares it"
            ) from error
        return timedelta(hours=answer["StreamDescriptionSummary"]["RetentionPeriodHours"])

    def shards(self) -> dict[str, tuple[str, ...]]:
        """Every shard the stream lists, with its parents."""
        pages = self._client.get_paginator("list_shards").paginate(StreamName=self.name)
        return {
            shard["ShardId"]: tuple(
                shard[key] for key in ("ParentShardId", "AdjacentParentShardId") if shard.get(key)
            )
            for page in pages
            for shard in page["Shards"]
        }

    def iterator(self, shard: str, position: Position) -> str:
        """A shard iterator that begins at a position."""
        starts: dict[str, dict[str, Any]] = {
            "after": {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": position.sequence,
            },
            "trim_horizon": {"ShardIteratorType": "TRIM_HORIZON"},
            "timestamp": {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": position.timestamp},
        }
        answer = self._client.get_shard_iterator(
            StreamName=self.name, ShardId=shard, **starts[position.kind]
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def get(self, iterator: str, limit: int = 10_000) -> Page:
        """One page of records."""
        return _decode_page(self._client.get_records(ShardIterator=iterator, Limit=limit)["Raw"])


class StreamPlanner:
    """Plans the next load of a stream where there is something to read.

    ``initial`` says where a stream begins that was never read. ``parts`` is how many tasks a load
    has at the most.
    """

    def __init__(
        self, stream: Stream, initial: Position, limits: Limits | None = None, parts: int = 8
    ) -> None:
        self._stream = stream
        self._initial = initial
        self._limits = limits or Limits()
        self._parts = parts
        self._retention: timedelta | None = None
        self._probes: dict[tuple[str, Position], tuple[str, datetime]] = {}

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """See Planner. Raises DataLossError when the stream no longer has what comes next."""
        if self._retention is None:
            self._retention = self._stream.retention()
        if previous is None or previous.stream is None:
            state = first_state(self._stream.shards(), self._initial)
            due = True
        else:
            state = after_load(previous.stream, claims)
            if any(end.closed for claim in claims for end in claim.shards):
                state = with_children(state, self._stream.shards())
            self._check_retention(state, now)
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
        )

    def _has_records(self, positions: Mapping[str, Position], now: datetime) -> bool:
        """Whether any shard has something past its position: one small read each, at most."""
        probes, self._probes = self._probes, {}
        for shard, position in sorted(positions.items()):
            iterator, made = probes.get((shard, position), ("", now))
            if not iterator or now - made > _ITERATOR_LIFE:
                iterator, made = self._stream.iterator(shard, position), now
            page = self._stream.get(iterator, limit=1)
            if page.Records or page.NextShardIterator is None:
                return True
            self._probes[shard, position] = (page.NextShardIterator, made)
        return False

    def _check_retention(self, state: StreamState, now: datetime) -> None:
        assert self._retention is not None  # noqa: S101 - set by the only caller
        if state.through is not None and now - state.through > self._retention:
            raise DataLossError(
                f"stream {self._stream.name} keeps records for {self._retention} and was read up "
                f"to {state.through:%Y-%m-%d %H:%M:%S}Z only; what arrived up to "
                f"{now - self._retention:%Y-%m-%d %H:%M:%S}Z is lost. Send it again or accept the "
                "loss before the job goes on"
            )


def first_state(shards: Mapping[str, tuple[str, ...]], initial: Position) -> StreamState:
    """The state of a stream that was never read: begin at the oldest shards it still lists."""
    roots = [s for s, parents in shards.items() if not any(p in shards for p in parents)]
    return StreamState(positions=dict.fromkeys(roots, initial), finished=(), initial=initial)


def after_load(before: StreamState, claims: Sequence[Claim]) -> StreamState:
    """The state after a load, by what its claims say."""
    ends = {end.shard: end for claim in claims for end in claim.shards}
    positions = {
        shard: ends[shard].end if shard in ends else position
        for shard, position in before.positions.items()
        if not (shard in ends and ends[shard].closed)
    }
    closed = [shard for shard, end in ends.items() if end.closed]
    through = [claim.through for claim in claims if claim.through is not None]
    return StreamState(
        positions=positions,
        finished=(*before.finished, *sorted(closed)),
        initial=before.initial,
        through=min(through) if through else before.through,
    )


def with_children(state: StreamState, shards: Mapping[str, tuple[str, ...]]) -> StreamState:
    """The state with every shard added whose parents are all read to their end.

    Raises DataLossError for a shard that has a parent nobody has read and nobody lists.
    """
    finished = set(state.finished)
    added: dict[str, Position] = {}
    for shard, parents in shards.items():
        if shard in finished or shard in state.positions:
            continue
        unread = [p for p in parents if p not in finished]
        gone = [p for p in unread if p not in shards and p not in state.positions]
        if gone:
            raise DataLossError(
                f"shard {shard} continues shard {gone[0]}, which was never read to its end and is "
                "no longer listed; its records are lost. Send them again or accept the loss"
            )
        if not unread:
            kind = state.initial if state.initial.kind == "timestamp" else None
            added[shard] = kind or Position("trim_horizon")
    # A finished shard is forgotten only once the stream has forgotten it and its children.
    parents_listed = {p for parents in shards.values() for p in parents}
    kept = tuple(s for s in state.finished if s in shards or s in parents_listed)
    return msgspec.structs.replace(state, positions={**state.positions, **added}, finished=kept)


class StreamAttempt:
    """One try at a part of a stream's load; see ``loads.Attempt``."""

    def __init__(
        self, stream: Stream, table: Table, contract: Contract, plan: Plan, part: int
    ) -> None:
        self._stream = stream
        self._limits = plan.limits
        self._shards = plan.parts[part].shards
        self._decoder = RowDecoder(contract)
        self._writer = BronzeWriter(table, contract, plan, part)

    def read(self) -> Claim:
        """Read each shard until it is caught up, closed or at the load's limits."""
        ends: list[ShardEnd] = []
        through: list[datetime] = []
        for start in self._shards:
            end, read_through = self._read_shard(start, len(self._shards))
            ends.append(end)
            through.append(read_through)
        return self._writer.claim(tuple(ends), min(through))

    def abort(self) -> None:
        """See Attempt."""
        self._writer.abort()

    def _read_shard(self, start: ShardStart, sharing: int) -> tuple[ShardEnd, datetime]:
        limits = self._limits
        most_records = max(1, limits.records // sharing)
        most_bytes = max(1, limits.megabytes * 1024 * 1024 // sharing)
        deadline = datetime.now(UTC) + timedelta(seconds=limits.seconds / sharing)
        position, records, size, through = start.start, 0, 0, datetime.now(UTC)
        for page, asked in self._pages(start, min(most_records, 10_000)):
            through = asked - timedelta(milliseconds=page.MillisBehindLatest)
            self._add(start.shard, page.Records)
            if page.Records:
                position = Position("after", page.Records[-1].SequenceNumber)
            records += len(page.Records)
            size += sum(len(record.Data) for record in page.Records)
            caught_up = page.MillisBehindLatest == 0 and not page.Records
            full = records >= most_records or size >= most_bytes or datetime.now(UTC) >= deadline
            if caught_up or full or page.NextShardIterator is None:
                break
        return (
            ShardEnd(
                shard=start.shard,
                end=position,
                closed=page.NextShardIterator is None,
                behind_ms=page.MillisBehindLatest,
            ),
            through,
        )

    def _pages(self, start: ShardStart, limit: int) -> Iterator[tuple[Page, datetime]]:
        """The shard's pages, each fetched while the one before is decoded, and when asked for."""
        first = self._stream.iterator(start.shard, start.start)
        with ThreadPoolExecutor(max_workers=1) as pool:
            asked = datetime.now(UTC)
            pending = pool.submit(self._stream.get, first, limit)
            while True:
                page, made = pending.result(), asked
                iterator = page.NextShardIterator
                if iterator is not None:
                    asked = datetime.now(UTC)
                    pending = pool.submit(self._stream.get, iterator, limit)
                yield page, made
                if iterator is None:
                    return

    def _add(self, shard: str, records: Sequence[_Record]) -> None:
        payloads = [record.Data for record in records]
        rows, rejects = self._decoder.json(payloads)
        self._writer.add(
            columns=self._decoder.columns(rows),
            rejects=rejects,
            payloads=payloads,
            source=shard,
            sequences=[record.SequenceNumber for record in records],
            indexes=[0] * len(records),
            partition_keys=[record.PartitionKey for record in records],
            arrived_at=[_instant(record.ApproximateArrivalTimestamp) for record in records],
        )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
