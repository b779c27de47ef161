"""The bound: the engine's own reading, decoding and writing, without network, Spark and commit.

Two processes take pages from memory and leave Parquet on the local disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import load_file_io
from pyiceberg.table import Table
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

from benchmarks.contestants.run import Run, in_processes
from benchmarks.data import Bids
from benchmarks.estate import contract
from lakehouse.decoding.decode import RowDecoder
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.kinesis import Page, Stream
from lakehouse.ingestion.ledger import Limits, Part, Plan, Position, ShardStart
from lakehouse.ingestion.streamread import BronzeSink, StreamAttempt
from lakehouse.tables import iceberg_schema, partition_spec


class PagesInMemory:
    """A stream whose pages are read from the file of bids, which is in the page cache."""

    def __init__(self, bids: Bids, bounds: Sequence[int]) -> None:
        self._file = os.open(bids.path, os.O_RDONLY)
        self._offsets = bids.offsets()
        self._bounds = bounds
        self._most = min(10_000, 10_000_000 // max(1, bids.payload_bytes // bids.spec.records))
        self._decode = msgspec.json.Decoder(Page).decode

    def iterator(self, shard: str, position: Position) -> str:
        """The iterator of a shard's first record."""
        del position
        number = int(shard)
        return f"{self._bounds[number]} {self._bounds[number + 1]}"

    def get(self, iterator: str, limit: int = 10_000) -> Page:
        """One page, parsed from the bytes that Kinesis would send."""
        at, high = map(int, iterator.split())
        end = min(at + limit, at + self._most, high)
        begin = int(self._offsets[at])
        count = max(0, int(self._offsets[end]) - begin - 1)
        records = os.pread(self._file, count, begin)
        behind = high - end
        tail = f'],"NextShardIterator":"{end} {high}","MillisBehindLatest":{behind}}}'
        return self._decode(b'{"Records":[' + records + tail.encode())


def work(run: Run, shards: Sequence[int]) -> int:
    """Read the shards into one claim; how many records it has."""
    bids = contract()
    location = f"file://{run.scratch}/bound"
    metadata = new_table_metadata(
        iceberg_schema(bids, "bronze"),
        partition_spec(bids, "bronze"),
        UNSORTED_SORT_ORDER,
        location,
        {"format-version": "2"},
    )
    table = Table(
        ("bronze", "bids"),
        metadata,
        f"{location}/metadata.json",
        load_file_io({}, location),
        NoopCatalog("none"),
    )
    start = Position("trim_horizon")
    plan = Plan(
        load=0,
        made_at=datetime.now(UTC),
        parts=(Part(shards=tuple(ShardStart(str(shard), start) for shard in shards)),),
        limits=Limits(records=10**9, megabytes=10**6, seconds=3600),
    )
    stream = cast(Stream, PagesInMemory(run.bids, run.bounds()))
    sink = BronzeSink(bids, RowDecoder(bids), BronzeWriter(table, bids, plan, 0))
    with ThreadPoolExecutor(max_workers=1) as ahead:
        return StreamAttempt(stream, sink, plan, 0, ahead=ahead).read().records


def command(run: Run) -> list[str]:
    """The command line of this program."""
    return run.program(__name__)


if __name__ == "__main__":
    told = Run.told()
    shutil.rmtree(Path(told.scratch, "bound"), ignore_errors=True)
    in_processes(told, work)
    shutil.rmtree(Path(told.scratch, "bound"))
