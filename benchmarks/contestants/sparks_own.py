"""Spark's own way: raw records to the JVM, ``from_json``, Iceberg's writer, an append a batch.

The source is a Python data source too, as no other exists; where a batch ends it learns from the
replay server's numbering, which no real stream would tell. Row rules are not checked.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from benchmarks.contestants.run import Run, Said, say
from benchmarks.estate import PREFIX, contract
from benchmarks.fetch import Reader
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.spark import catalog_conf
from lakehouse.tables import SPARK_TYPES, ensure_table
from localaws.sparkenv import local_conf

_RECORDS_A_SHARD = 500_000
"""The most records of a shard in a batch, as many as a part of the platform's loads has."""
_SCHEMA = (
    "payload binary, source string, sequence string, partition_key string, arrived_at timestamp"
)
_ARROW = pa.schema(
    [
        ("payload", pa.binary()),
        ("source", pa.string()),
        ("sequence", pa.string()),
        ("partition_key", pa.string()),
        ("arrived_at", pa.timestamp("us", tz="UTC")),
    ]
)


class RawRecords(DataSource):
    """``spark.readStream.format("raw-records")`` with the options url, stream and ends."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "raw-records"

    def schema(self) -> str:
        """Payload and position."""
        return _SCHEMA

    def streamReader(self, schema: Any) -> DataSourceStreamReader:  # noqa: N802, ARG002 - Spark's
        """The reader of one stream."""
        ends = [int(end) for end in self.options["ends"].split(",")]
        return RawReader(self.options["url"], self.options["stream"], ends)


class _Slice(InputPartition):
    def __init__(self, shard: str, first: int, end: int) -> None:
        self.shard, self.first, self.end = shard, first, end


class RawReader(DataSourceStreamReader):
    """Offsets are the number of each shard's next record."""

    def __init__(self, url: str, stream: str, ends: Sequence[int]) -> None:
        self._url, self._stream, self._ends = url, stream, ends
        self._at: dict[str, int] = {}

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """The first record of each shard."""
        return Reader(self._url, self._stream).shards()

    def latestOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """One batch further than the last time."""
        before = self._at or self.initialOffset()
        self._at = {
            shard: min(at + _RECORDS_A_SHARD, end)
            for (shard, at), end in zip(sorted(before.items()), self._ends, strict=True)
        }
        return self._at

    def partitions(self, start: Mapping[str, int], end: Mapping[str, int]) -> list[InputPartition]:
        """A task a shard."""
        return [_Slice(shard, start[shard], end[shard]) for shard in sorted(end)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of a shard's slice, a page a batch."""
        assert isinstance(partition, _Slice)  # noqa: S101 - what partitions() made
        reader = Reader(self._url, self._stream)
        at = reader.iterator(partition.shard, partition.first)
        left = partition.end - partition.first
        while left > 0:
            page = reader.page(at, min(left, 10_000))
            at, left = page.NextShardIterator, left - len(page.Records)
            arrived = [round(r.ApproximateArrivalTimestamp * 1_000_000) for r in page.Records]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([r.Data for r in page.Records], pa.binary()),
                    pa.repeat(partition.shard, len(page.Records)),
                    pa.array([r.SequenceNumber for r in page.Records]),
                    pa.array([r.PartitionKey for r in page.Records]),
                    pa.array(arrived, pa.int64()).cast(_ARROW.field("arrived_at").type),
                ],
                schema=_ARROW,
            )


def append(batch: DataFrame, number: int) -> None:
    """Type a batch's records and append them to the table."""
    bids = contract()
    typed = ", ".join(f"{f.name} {SPARK_TYPES[f.type]}" for f in bids.fields)
    parsed = batch.withColumn("record", F.from_json(F.col("payload").cast("string"), typed))
    reject = F.struct(F.lit("malformed").alias("code"), F.lit(None).cast("string").alias("detail"))
    parsed.select(
        *(F.col(f"record.{f.name}") for f in bids.fields),
        F.col("payload").alias("_payload"),
        F.col("source").alias("_source"),
        F.col("sequence").alias("_sequence"),
        F.lit(0).cast("long").alias("_index"),
        F.col("partition_key").alias("_partition_key"),
        F.col("arrived_at").alias("_arrived_at"),
        F.current_timestamp().alias("_ingested_at"),
        F.lit(number).cast("long").alias("_load"),
        F.lit(0).alias("_attempt"),
        F.lit(bids.version).alias("_contract_version"),
        F.when(F.col("record.auction").isNull(), reject).alias("_reject"),
        # All rows of a batch are of one day, so a shuffle to gather them would be for nothing.
    ).writeTo("lake.bronze.bids").option("distribution-mode", "none").option(
        "fanout-enabled", "true"
    ).append()


def command(run: Run) -> list[str]:
    """The command line of this program."""
    return run.program(__name__)


def main() -> None:
    """Append what the stream has, then end."""
    run = Run.told()
    ensure_table(Aws.from_env(PREFIX), contract(), "bronze")
    builder = SparkSession.builder.appName("sparks-own")
    confs = catalog_conf(PREFIX) | local_conf(run.s3, run.glue)
    # A JVM that does all the work is worth its second compiler and more memory.
    confs |= {"spark.driver.memory": "3g", "spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}
    for key, value in confs.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.dataSource.register(RawRecords)
    checkpoint = tempfile.mkdtemp(prefix="sparks-own-", dir=run.scratch)
    begin = time.time()
    query = (
        spark.readStream.format(RawRecords.name())
        .option("url", run.kinesis)
        .option("stream", naming.stream(PREFIX, "bids"))
        .option("ends", ",".join(map(str, run.bounds()[1:])))
        .load()
        .writeStream.option("checkpointLocation", f"file://{checkpoint}")
        .foreachBatch(append)
        .start()
    )
    say(Said(begin))
    query.processAllAvailable()
    query.stop()


if __name__ == "__main__":
    main()
