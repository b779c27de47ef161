"""Reads one part of a stream's load: its shards in order, each page fetched ahead."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import RowDecoder
from lakehouse.decoding.unpack import unpack
from lakehouse.errors import DataLossError
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.kinesis import (
    PAGE_RECORDS,
    ExpiredIteratorError,
    Page,
    Record,
    ShardGoneError,
    Stream,
    ThrottledError,
)
from lakehouse.ingestion.ledger import Claim, Plan, Position, ShardEnd, ShardStart

_LEAST_RETENTION: Final = timedelta(hours=24)
"""No stream keeps records for less. Source: Kinesis quotas."""
_CLOCKS: Final = timedelta(minutes=1)
"""How far the clocks of a worker and of Kinesis may differ."""


class Sink(Protocol):
    """Where a part's records go."""

    def add(self, shard: str, records: Sequence[Record]) -> int:
        """Take a page of a shard; the bytes of its payloads."""

    def claim(self, shards: tuple[ShardEnd, ...], through: datetime | None) -> Claim:
        """End what was begun and say what it is."""

    def abort(self) -> None:
        """Remove what was written."""


class StreamAttempt:
    """One try at a part of a stream's load; see ``loads.Attempt``. ``ahead`` fetches pages."""

    def __init__(
        self,
        stream: Stream,
        sink: Sink,
        plan: Plan,
        part: int,
        *,
        ahead: Executor,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        accept_loss: bool = False,
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._limits = plan.limits
        self._shards = plan.parts[part].shards
        self._through = plan.stream.through if plan.stream else None
        self._began = (plan.stream and plan.stream.began) or plan.made_at
        self._ahead = ahead
        self._clock = clock
        self._accept_loss = accept_loss
        self._lost: dict[str, str] = {}

    def read(self) -> Claim:
        """Read each shard until it is caught up, closed or at the load's limits.

        Raises DataLossError where the stream no longer has what comes next, unless that is
        accepted; the claim says then what is lost.
        """
        began = time.monotonic()
        read = [self._read_shard(start, len(self._shards)) for start in self._shards]
        through = [moment for _, moment in read if moment is not None]
        claim = self._sink.claim(
            tuple(end for end, _ in read), min(through) if len(through) == len(read) else None
        )
        return msgspec.structs.replace(
            claim,
            seconds=round(time.monotonic() - began, 3),
            accepted_loss="; ".join(self._lost.values()),
        )

    def abort(self) -> None:
        """See Attempt."""
        self._sink.abort()

    def _read_shard(self, start: ShardStart, sharing: int) -> tuple[ShardEnd, datetime | None]:
        """How far a shard is read, and the time up to which everything in it was."""
        limits = self._limits
        most_records = max(1, limits.records // sharing)
        most_bytes = max(1, limits.megabytes * 1024 * 1024 // sharing)
        deadline = self._clock() + timedelta(seconds=limits.seconds / sharing)
        position, records, size, through = start.start, 0, 0, self._through
        try:
            for page, asked in self._pages(start, min(most_records, PAGE_RECORDS)):
                # Pages of one read follow each other; time has passed before the first of them. A
                # backlog from before the first load begins at the very end of the retention.
                read_to = through or self._began
                idle = position == start.start and read_to >= self._began
                self._check_loss(start.shard, read_to, asked, _CLOCKS if idle else timedelta(0))
                if page.Records:
                    size += self._sink.add(start.shard, page.Records)
                    position = Position("after", page.Records[-1].SequenceNumber)
                through = _read_through(page, asked, through)
                records += len(page.Records)
                caught_up = page.MillisBehindLatest == 0 and not page.Records
                if caught_up or records >= most_records or size >= most_bytes:
                    break
                if self._clock() >= deadline:
                    break
        except ShardGoneError:
            if not self._accept_loss:
                raise
            self._lost[start.shard] = f"all that was left in {start.shard}"
            return ShardEnd(start.shard, position, closed=True, behind_ms=0), through
        closed = page.NextShardIterator is None
        return ShardEnd(start.shard, position, closed, page.MillisBehindLatest), through

    def _check_loss(
        self, shard: str, through: datetime, asked: datetime, margin: timedelta
    ) -> None:
        """Kinesis takes a position that it has trimmed for the oldest record it still has."""
        if asked - through < _LEAST_RETENTION - margin:
            return
        kept = self._stream.retention()
        horizon = asked - kept + margin
        if through >= horizon or shard in self._lost:
            return
        lost = f"what arrived in {shard} between {through:%Y-%m-%d %H:%M}Z and {horizon:%H:%M}Z"
        if not self._accept_loss:
            raise DataLossError(
                f"stream {self._stream.name} keeps records for {kept} and was read up to "
                f"{through:%Y-%m-%d %H:%M}Z only: {lost} may be lost. Raise the retention if it "
                "is not too late; else send it again, or start the job with --accept-loss"
            )
        self._lost[shard] = lost

    def _pages(self, start: ShardStart, limit: int) -> Iterator[tuple[Page, datetime]]:
        """The shard's pages and when each was asked for; at least one.

        The next is fetched while this one is decoded. A stream that refuses more ends them early.
        """

        def fetch(iterator: str) -> tuple[Page, datetime]:
            asked = self._clock()
            return self._stream.get(iterator, limit), asked

        position, first = start.start, True
        pending = self._ahead.submit(fetch, self._stream.iterator(start.shard, position))
        while True:
            try:
                page, asked = pending.result()
            except ExpiredIteratorError:
                page, asked = fetch(self._stream.iterator(start.shard, position))
            except ThrottledError:
                if first:
                    raise
                return
            following, first = page.NextShardIterator, False
            if page.Records:
                position = Position("after", page.Records[-1].SequenceNumber)
                if following is not None:
                    pending = self._ahead.submit(fetch, following)
            yield page, asked
            if following is None:
                return
            if not page.Records:
                pending = self._ahead.submit(fetch, following)


class BronzeSink:
    """Takes a part's pages apart, decodes them and writes them to bronze."""

    def __init__(self, contract: Contract, decoder: RowDecoder, writer: BronzeWriter) -> None:
        self._format = contract.format
        self._decoder = decoder
        self._writer = writer

    def add(self, shard: str, records: Sequence[Record]) -> int:
        """See Sink."""
        size = 0
        for share in unpack([record.Data for record in records], self._format):
            rows, rejects = self._decoder.decode(share.bodies)
            columns = self._decoder.columns(rows, rejects)
            of = records if share.origins is None else [records[n] for n in share.origins]
            keys: Sequence[str | None] = [record.PartitionKey for record in of]
            if share.partition_keys is not None:
                own = zip(share.partition_keys, keys, strict=True)
                keys = [key if mine is None else mine for mine, key in own]
            size += self._writer.add(
                columns=columns,
                rejects=rejects,
                payloads=share.payloads,
                source=shard,
                sequences=[record.SequenceNumber for record in of],
                indexes=pa.array(share.indexes, pa.int64()),
                partition_keys=keys,
                arrived_at=instants([record.ApproximateArrivalTimestamp for record in of]),
            )
        return size

    def claim(self, shards: tuple[ShardEnd, ...], through: datetime | None) -> Claim:
        """See Sink."""
        return self._writer.claim(shards, through)

    def abort(self) -> None:
        """See Sink."""
        self._writer.abort()


def _read_through(page: Page, asked: datetime, before: datetime | None) -> datetime | None:
    """The time up to which everything in a shard is read after a page.

    Beyond the end of a closed shard, its children go on from when its last record arrived.
    """
    if page.NextShardIterator is not None:
        return asked - timedelta(milliseconds=page.MillisBehindLatest)
    if not page.Records:
        return before
    last = datetime.fromtimestamp(page.Records[-1].ApproximateArrivalTimestamp, UTC)
    return last if before is None else max(before, last)


def instants(seconds: Sequence[float]) -> pa.Array:
    """Seconds since 1970 as Arrow timestamps, to the microsecond."""
    micros = pc.round(pc.multiply(pa.array(seconds, pa.float64()), 1e6))
    return micros.cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
