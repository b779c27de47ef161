"""Loads as a Structured Streaming source: Spark plans, distributes and restarts, nothing more.

The source's rows are claims. Its offset is the number of a load, and the ledger knows what that
load covers, so a checkpoint that is lost, rolled back or shared changes nothing.

Spark starts several Python processes for a source and imports this module in each, so what is heavy
(PyIceberg takes 1.5 s) is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from lakehouse.aws import Aws
from lakehouse.contract import Contract
from lakehouse.errors import LedgerError
from lakehouse.ledger import Limits, Position

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery
    from pyspark.sql.types import StructType

    from lakehouse.kinesis import StreamPlanner
    from lakehouse.loads import Loads

_SCHEMA: Final = "load bigint, part int, good bigint, rejected bigint, payload_bytes bigint"


class StreamOptions(msgspec.Struct, frozen=True):
    """What the source needs to know, carried as one JSON option."""

    aws: Aws
    contract: Contract
    initial: Position = Position("trim_horizon")
    limits: Limits = Limits()


class LoadsSource(DataSource):
    """``spark.readStream.format("lakehouse-loads").option("options", ...)``."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "lakehouse-loads"

    def schema(self) -> str:
        """One row a claim."""
        return _SCHEMA

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802, ARG002 - Spark's signature
        """The reader of one dataset's loads."""
        return LoadsReader(msgspec.json.decode(self.options["options"], type=StreamOptions))


class _PartOfLoad(InputPartition):
    def __init__(self, load: int, part: int) -> None:
        self.load = load
        self.part = part


class LoadsReader(DataSourceStreamReader):
    """Plans loads on the driver and works on their parts in tasks."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._made: tuple[Loads, StreamPlanner] | None = None

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """The last load that needs no more work."""
        from lakehouse.ingest import open_loads

        loads = open_loads(self._options.aws, self._options.contract)
        return {"load": loads.progress().next_load - 1}

    def latestOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """The load to carry out now: an unfinished one, or a new one if there is input."""
        loads, planner = self._driver()
        plan = loads.plan(planner)
        return {"load": plan.load if plan else loads.progress().next_load - 1}

    def partitions(self, start: Mapping[str, int], end: Mapping[str, int]) -> list[InputPartition]:
        """The parts of the load that the end offset names."""
        if end["load"] < 0:
            return []
        loads, _ = self._driver()
        plan = loads.ledger.plan(end["load"])
        if plan is None:
            raise LedgerError(
                f"the checkpoint of {self._options.contract.dataset} names load {end['load']} "
                f"(after {start['load']}), which the ledger does not know; the checkpoint belongs "
                "to another ledger: give the job a checkpoint location of its own"
            )
        return [_PartOfLoad(plan.load, part) for part in range(len(plan.parts))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Work on one part, and give its claim as a row."""
        import pyarrow as pa

        from lakehouse.ingest import open_ledger, work_on

        assert isinstance(partition, _PartOfLoad)  # noqa: S101 - what partitions() made
        options = self._options
        plan = open_ledger(options.aws, options.contract.dataset).plan(partition.load)
        assert plan is not None  # noqa: S101 - partitions() has read it
        claim = work_on(options.aws, options.contract, plan, partition.part)
        yield pa.RecordBatch.from_pylist(
            [
                {
                    "load": claim.load,
                    "part": claim.part,
                    "good": claim.good,
                    "rejected": claim.records - claim.good,
                    "payload_bytes": claim.payload_bytes,
                }
            ],
            schema=pa.schema(
                [
                    ("load", pa.int64()),
                    ("part", pa.int32()),
                    ("good", pa.int64()),
                    ("rejected", pa.int64()),
                    ("payload_bytes", pa.int64()),
                ]
            ),
        )

    def _driver(self) -> tuple[Loads, StreamPlanner]:
        """The driver's loads and planner, made once: the planner keeps its shard iterators."""
        if self._made is None:
            from lakehouse.ingest import open_loads
            from lakehouse.kinesis import Stream, StreamPlanner

            options = self._options
            stream = Stream(options.aws, options.contract.dataset)
            self._made = (
                open_loads(options.aws, options.contract),
                StreamPlanner(stream, options.initial, options.limits),
            )
        return self._made


def start_query(
    spark: SparkSession, options: StreamOptions, trigger_seconds: float
) -> StreamingQuery:
    """The running query of one dataset: its loads in, published in bronze."""
    from lakehouse.ingest import open_loads

    aws, contract = options.aws, options.contract
    loads = open_loads(aws, contract)

    def publish(batch: DataFrame, _: int) -> None:
        for load in sorted({row.load for row in batch.select("load").collect()}):
            loads.publish(load)

    return (
        spark.readStream.format(LoadsSource.name())
        .option("options", msgspec.json.encode(options).decode())
        .load()
        .writeStream.queryName(contract.dataset)
        .option("checkpointLocation", f"s3a://{aws.bucket('ledger')}/{contract.dataset}/checkpoint")
        .trigger(processingTime=f"{trigger_seconds} seconds")
        .foreachBatch(publish)
        .start()
    )


def drain(query: StreamingQuery) -> dict[str, object]:
    """Let a query carry out loads until its stream is caught up, then stop it."""
    try:
        query.processAllAvailable()
        progress = query.lastProgress
    finally:
        query.stop()
    return {"batches": progress["batchId"] + 1 if progress else 0}
