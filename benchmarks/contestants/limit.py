"""The limit: what Python and Arrow can do at all, with nothing checked and nothing committed.

Two processes fetch pages, Arrow's own JSON reader makes the columns, Parquet goes to the local
disk. What is malformed is told by its last byte and left out.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.json as paj
import pyarrow.parquet as pq

from benchmarks.contestants.run import Run, in_processes
from benchmarks.estate import PREFIX, contract
from benchmarks.fetch import Page, Reader
from lakehouse import naming
from lakehouse.tables import arrow_type

_GROUP_BYTES = 32 * 1024 * 1024
_POSITION = pa.schema(
    [
        ("_payload", pa.binary()),
        ("_source", pa.string()),
        ("_sequence", pa.string()),
        ("_partition_key", pa.string()),
        ("_arrived_at", pa.timestamp("us", tz="UTC")),
    ]
)


def pages(reader: Reader, shard: str, first: int) -> Iterator[Page]:
    """Every page of a shard."""
    at, behind = reader.iterator(shard, first), 1
    while behind:
        page = reader.page(at)
        at, behind = page.NextShardIterator, page.MillisBehindLatest
        yield page


def columns(page: Page, shard: str, schema: pa.Schema) -> pa.Table:
    """The typed columns, the payload and the position of a page's records."""
    good = [record for record in page.Records if record.Data.endswith(b"}")]
    payloads = [record.Data for record in good]
    options = paj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    read = paj.ReadOptions(use_threads=False, block_size=1 << 22)
    typed = paj.read_json(io.BytesIO(b"\n".join(payloads)), read, options)
    arrived = [round(record.ApproximateArrivalTimestamp * 1_000_000) for record in good]
    position = [
        pa.array(payloads, pa.binary()),
        pa.repeat(shard, len(good)),
        pa.array([record.SequenceNumber for record in good]),
        pa.array([record.PartitionKey for record in good]),
        pa.array(arrived, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
    ]
    for field, array in zip(_POSITION, position, strict=True):
        typed = typed.append_column(field, array)
    return typed


def work(run: Run, shards: Sequence[int]) -> int:
    """Write the shards to files; how many records were fetched."""
    reader = Reader(run.kinesis, naming.stream(PREFIX, "bids"))
    # Arrow's reader knows timestamps without a zone only.
    fields = [(f.name, arrow_type(f)) for f in contract().fields]
    schema = pa.schema(
        [
            (name, pa.timestamp("us") if pa.types.is_timestamp(kind) else kind)
            for name, kind in fields
        ]
    )
    fetched = 0
    for shard, first in sorted(reader.shards().items()):
        if int(shard.rpartition("-")[2]) not in shards:
            continue
        path = Path(run.scratch, "limit", f"{shard}.parquet")
        whole = pa.schema([*schema, *_POSITION])
        with pq.ParquetWriter(path, whole, compression="zstd") as writer:
            held: list[pa.Table] = []
            for page in pages(reader, shard, first):
                fetched += len(page.Records)
                held.append(columns(page, shard, schema))
                if sum(table["_payload"].nbytes for table in held) >= _GROUP_BYTES:
                    writer.write_table(pa.concat_tables(held))
                    held.clear()
            if held:
                writer.write_table(pa.concat_tables(held))
    return fetched


def command(run: Run) -> list[str]:
    """The command line of this program."""
    return run.program(__name__)


if __name__ == "__main__":
    told = Run.told()
    shutil.rmtree(Path(told.scratch, "limit"), ignore_errors=True)
    Path(told.scratch, "limit").mkdir(parents=True)
    in_processes(told, work)
    shutil.rmtree(Path(told.scratch, "limit"))
