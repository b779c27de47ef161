"""The streaming query of one dataset: started, supervised, ended between two loads."""

from __future__ import annotations

import gc
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from lakehouse.aws import Aws
from lakehouse.errors import LakehouseError
from lakehouse.ingestion.stream import LoadsSource, StreamOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from lakehouse.ingestion.loads import LoadReport


def warm_up(spark: SparkSession, aws: Aws) -> None:
    """Have each worker import and connect what a part needs, before a first load is planned."""

    def ready(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import lakehouse.ingestion.ingest  # noqa: F401 - takes a second

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
        self._drop_checkpoint()
        self._failed_start = None
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
        self._drop_checkpoint()

    def _drop_checkpoint(self) -> None:
        if self._checkpoint:
            shutil.rmtree(self._checkpoint, ignore_errors=True)

    def _publisher(self) -> Callable[[DataFrame, int], None]:
        from lakehouse.ingestion.ingest import open_loads

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
