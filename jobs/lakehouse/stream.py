"""Loads as a Structured Streaming source: Spark plans, distributes and restarts, nothing more.

The source's rows are claims. Its offset is the number of a load, and the ledger knows what that
load covers, so that Spark's checkpoint is a counter that nothing depends on.

Spark starts several Python processes for a source and imports this module in each, so what is heavy
(PyIceberg takes 1.5 s) is imported where it is used.
"""

from __future__ import annotations

import gc
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from lakehouse.aws import Aws
from lakehouse.contract import Contract
from lakehouse.errors import LakehouseError, LedgerError
from lakehouse.ledger import Limits

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery
    from pyspark.sql.types import StructType

    from lakehouse.loads import LoadReport, Loads
    from lakehouse.streamplan import StreamPlanner

_SCHEMA: Final = "load bigint, part int, good bigint, rejected bigint, payload_bytes bigint"


class StreamOptions(msgspec.Struct, frozen=True):
    """What the source needs to know, carried as one JSON option."""

    aws: Aws
    contract: Contract
    limits: Limits = Limits()
    parts: int = 8
    """Most tasks of a load."""
    accept_loss: bool = False


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
        loads, _ = self._driver()
        return {"load": loads.progress().next_load - 1}

    def latestOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """The load to carry out now: an unfinished one, or a new one if there is input."""
        loads, planner = self._driver()
        progress = loads.progress()
        plan = loads.plan(planner, progress)
        return {"load": plan.load if plan else progress.next_load - 1}

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
        claim = work_on(
            options.aws,
            options.contract,
            plan,
            partition.part,
            accept_loss=options.accept_loss,
        )
        yield pa.RecordBatch.from_pydict(
            {
                "load": [claim.load],
                "part": [claim.part],
                "good": [claim.good],
                "rejected": [claim.records - claim.good],
                "payload_bytes": [claim.payload_bytes],
            },
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
            from lakehouse.kinesis import Stream
            from lakehouse.streamplan import StreamPlanner

            options = self._options
            self._made = (
                open_loads(options.aws, options.contract),
                StreamPlanner(
                    Stream.of(options.aws, options.contract),
                    options.contract.stream.start,
                    options.limits,
                    options.parts,
                    accept_loss=options.accept_loss,
                ),
            )
        return self._made


def warm_up(spark: SparkSession, aws: Aws) -> None:
    """Have each worker import and connect what a part needs, before a first load is planned."""

    def ready(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import lakehouse.ingest  # noqa: F401 - takes a second

        for service in ("s3", "kinesis", "glue"):
            aws.client(service)
        aws.catalog()
        # What was imported stays, so the collector need not go through it page after page.
        gc.freeze()
        return batches

    workers = spark.sparkContext.defaultParallelism
    spark.range(0, workers, 1, workers).mapInArrow(ready, "id bigint").collect()


class IngestQuery:
    """One dataset's streaming query: its loads in, published in bronze.

    It can be started again after it failed, and asked to end between two loads. A failed start
    counts as a failed query. ``observe`` is told of each load that is published.
    """

    def __init__(
        self,
        spark: SparkSession,
        options: StreamOptions,
        observe: Callable[[LoadReport], None],
        trigger_seconds: float = 1.0,
    ) -> None:
        self.loads_done = 0
        self._spark = spark
        self._options = options
        self._observe = observe
        self._trigger = f"{trigger_seconds} seconds"
        self._query: StreamingQuery | None = None
        self._failed_start: Exception | None = None
        self._checkpoint = ""
        self._ending = threading.Event()
        self._parked = threading.Event()
        self._release = threading.Event()

    def start(self) -> None:
        """Start the query; why it could not be is what ``failure`` says.

        The ledger is the checkpoint. Spark's own only has to outlive the query, so each start has a
        fresh one on the driver's disk, which no other driver and no earlier run can spoil.
        """
        self._forget()
        dataset = self._options.contract.dataset
        try:
            self._checkpoint = tempfile.mkdtemp(prefix=f"checkpoint-{dataset}-")
            self._query = (
                self._spark.readStream.format(LoadsSource.name())
                .option("options", msgspec.json.encode(self._options).decode())
                .load()
                .writeStream.queryName(dataset)
                .option("checkpointLocation", f"file://{self._checkpoint}")
                .trigger(processingTime=self._trigger)
                .foreachBatch(self._publisher())
                .start()
            )
        except Exception as error:  # noqa: BLE001 - Spark's and AWS's own are failures of this query too
            self._failed_start = error

    @property
    def alive(self) -> bool:
        """Whether the query runs."""
        return self._query is not None and self._query.isActive

    @property
    def failure(self) -> str:
        """Why the query does not run, in one line."""
        error = self._failed_start or (self._query and self._query.exception())
        return reason(str(error)) if error else "ended without a reason"

    def drain(self) -> dict[str, object]:
        """Carry out loads until the stream is caught up, then stop.

        Raises LakehouseError with the reason when the query fails.
        """
        try:
            if self._query is not None:
                self._query.processAllAvailable()
        except Exception as error:
            raise LakehouseError(reason(str(error))) from error
        finally:
            self.stop()
        if self._failed_start is not None:
            raise LakehouseError(self.failure) from self._failed_start
        return {"loads": self.loads_done}

    def end(self, seconds: float) -> None:
        """Stop after the load under way, or in the middle of it when it takes too long.

        What was begun is carried out by the next start, whoever makes it.
        """
        self._ending.set()
        deadline = time.monotonic() + seconds
        while self._query is not None and self._query.isActive and time.monotonic() < deadline:
            if self._parked.wait(0.1) or not self._query.status["isTriggerActive"]:
                break
        # The query waits in its callback, and stopping it waits for the callback.
        threading.Timer(0.2, self._release.set).start()
        self.stop()

    def stop(self) -> None:
        """Stop at once."""
        if self._query is not None:
            self._query.stop()
        self._forget()

    def _forget(self) -> None:
        if self._checkpoint:
            shutil.rmtree(self._checkpoint, ignore_errors=True)
        self._failed_start = None

    def _publisher(self) -> Callable[[DataFrame, int], None]:
        from lakehouse.ingest import open_loads

        loads = open_loads(self._options.aws, self._options.contract, observe=self._observe)

        def publish(batch: DataFrame, _: int) -> None:
            for load in sorted({row.load for row in batch.select("load").collect()}):
                loads.publish(load)
                self.loads_done += 1
            if self._ending.is_set():
                self._parked.set()
                self._release.wait(10)

        return publish


_PURPOSELY = re.compile(r"lakehouse\.errors\.\w+: (?P<message>.+)")
_RAISED = re.compile(r"^(Caused by: )?(?P<raised>([\w$]+\.)*\w*(Error|Exception): .+)")
# They wrap what went wrong.
_WRAPPERS = ("py4j.protocol.Py4JJavaError", "Py4JJavaError", "pyspark.errors")


def reason(text: str) -> str:
    """The one line of a Spark error that says what went wrong: the innermost error in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [match["message"] for line in lines if (match := _PURPOSELY.search(line))]
    raised = [match["raised"] for line in lines if (match := _RAISED.match(line))]
    others = [error for error in raised if not error.startswith(_WRAPPERS)]
    return next(iter([*ours[-1:], *others[-1:], *lines[:1]]), "no message")
