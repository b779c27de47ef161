"""Reads one part of a replay: its rejects, decoded again batch by batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table

from lakehouse.decoding.again import Again, OldReject, Redecoder
from lakehouse.decoding.decode import Reject
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.ledger import Claim, LoadRange, Plan, RejectFilter
from lakehouse.ingestion.rejects import newest_rejects

GOOD: Final = "good"
CUT: Final = "drop the file again"
"""Outcomes of a reject that are no reason: it is good, or its payload is not all there is of it."""
_BATCH_ROWS: Final = 20_000
_BATCH_BYTES: Final = 32 * 1024 * 1024
_COLUMNS: Final = ("_payload", "_partition_key", "_arrived_at")


class ReplayAttempt:
    """One try at a part of a replay; see ``loads.Attempt``. ``table`` is bronze as it is now."""

    def __init__(
        self, table: Table, redecoder: Redecoder, writer: BronzeWriter, plan: Plan, part: int
    ) -> None:
        loads, replay = plan.parts[part].rejects, plan.replay
        if loads is None or replay is None:
            raise ValueError(f"part {part} of load {plan.load} is no part of a replay")
        self._table = table
        self._redecoder = redecoder
        self._writer = writer
        self._upto = replay.upto
        self._which = within(replay.which, loads)

    def read(self) -> Claim:
        """Decode the part's rejects again and write what turned out differently."""
        began = time.monotonic()
        outcomes = Tally()
        for batch, again in decoded_again(
            self._table, self._redecoder, self._which, self._upto, outcomes
        ):
            self._write(batch, again)
        return msgspec.structs.replace(
            self._writer.claim(),
            seconds=round(time.monotonic() - began, 3),
            outcomes=outcomes.by_reason(),
        )

    def abort(self) -> None:
        """See Attempt."""
        self._writer.abort()

    def _write(self, batch: OldRows, again: Again) -> None:
        kept = [n for n in range(len(again.origins)) if batch.differs(again, n)]
        rows = batch.rows.take(pa.array([again.origins[n] for n in kept], pa.int64()))
        own = [again.partition_keys[n] for n in kept]
        keys = zip(own, rows["_partition_key"].to_pylist(), strict=True)
        places = pa.array(kept, pa.int64())
        self._writer.add(
            columns=[column.take(places) for column in again.columns],
            rejects=[again.rejects[n] for n in kept],
            payloads=[again.payloads[n] for n in kept],
            source=rows["_source"],
            sequences=rows["_sequence"],
            indexes=pa.array([again.indexes[n] for n in kept], pa.int64()),
            partition_keys=[key if mine is None else mine for mine, key in keys],
            arrived_at=rows["_arrived_at"],
            attempts=pc.add(rows["_attempt"], pa.scalar(1, pa.int32())),
        )


class Tally:
    """Counts what became of rejects."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, before: str, after: str) -> None:
        """Count one."""
        self._counts.setdefault(before, Counter())[after] += 1

    def by_reason(self) -> dict[str, dict[str, int]]:
        """The counts, in a fixed order."""
        return {
            before: dict(sorted(after.items())) for before, after in sorted(self._counts.items())
        }


class OldRows:
    """Some rows that are rejects now."""

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows
        columns = (rows["_payload"], rows["_index"], rows["_reject"])
        self.olds = [
            OldReject(payload or b"", index, Reject(said["code"], said["detail"] or ""))
            for payload, index, said in zip(*(c.to_pylist() for c in columns), strict=True)
        ]

    def differs(self, again: Again, place: int) -> bool:
        """Whether a record is anything but the reject that it comes from."""
        old, now = self.olds[again.origins[place]], again.rejects[place]
        if now is None or now.code != old.reason.code:
            return True
        return (again.indexes[place], again.payloads[place]) != (old.index, old.payload)

    def count(self, again: Again, outcomes: Tally) -> None:
        """Count what became of the rows."""
        for place, now in zip(again.origins, again.rejects, strict=True):
            outcomes.add(self.olds[place].reason.code, GOOD if now is None else now.code)
        for place in again.cut:
            outcomes.add(self.olds[place].reason.code, CUT)


def decoded_again(
    table: Table, redecoder: Redecoder, which: RejectFilter, upto: int | None, outcomes: Tally
) -> Iterator[tuple[OldRows, Again]]:
    """The rejects that count as of load ``upto``, decoded again, batch by batch, and counted."""
    for rows in newest_rejects(table, which, upto, _COLUMNS):
        for start, count in _slices(rows):
            batch = OldRows(rows.slice(start, count))
            for again in redecoder.decode(batch.olds):
                batch.count(again, outcomes)
                yield batch, again


def _slices(rows: pa.RecordBatch) -> Iterator[tuple[int, int]]:
    """Runs of rows, start and number, of bounded size."""
    start = size = 0
    for at, length in enumerate(pc.binary_length(rows["_payload"]).to_pylist()):
        size += length or 0
        if size >= _BATCH_BYTES or at + 1 - start >= _BATCH_ROWS:
            yield start, at + 1 - start
            start, size = at + 1, 0
    if start < rows.num_rows:
        yield start, rows.num_rows - start


def within(which: RejectFilter, loads: LoadRange) -> RejectFilter:
    """The filter, bounded to some loads as well."""
    first = loads.first if which.first is None else max(which.first, loads.first)
    last = loads.last if which.last is None else min(which.last, loads.last)
    return msgspec.structs.replace(which, first=first, last=last)


def outcomes_now(
    table: Table,
    redecoder: Redecoder,
    which: RejectFilter,
    progress: Callable[[int], object] = lambda _: None,
) -> dict[str, dict[str, int]]:
    """What a replay would make of the rejects that count now, by reason before and after.

    Nothing is written; ``progress`` is told how many more are decoded.
    """
    outcomes = Tally()
    for _, again in decoded_again(table, redecoder, which, None, outcomes):
        progress(len(again.origins) + len(again.cut))
    return outcomes.by_reason()
