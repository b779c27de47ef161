"""Loads as a Structured Streaming source: Spark plans, distributes and restarts, nothing more.

The source's rows are claims. Its offset is the number of a load, and the ledger knows what that
load covers, so that Spark's checkpoint is a counter that nothing depends on.

Spark starts several Python processes for a source and imports this module in each, so what is heavy
(PyIceberg takes 1.5 s) is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import LedgerError
from lakehouse.ingestion.ledger import Limits

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from lakehouse.ingestion.loads import Loads
    from lakehouse.ingestion.streamplan import StreamPlanner

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

    def partitions(self, start: Mapping[str, int], end: Mapping[str, int]) -> list[InputPartition]:  # noqa: ARG002 - Spark's signature
        """The parts of the load that the end offset names."""
        if end["load"] < 0:
            return []
        loads, _ = self._driver()
        plan = loads.ledger.plan(end["load"])
        if plan is None:
            raise LedgerError(
                f"load {end['load']} of {self._options.contract.dataset} was planned and is not in "
                "the ledger any more; was the ledger bucket emptied? Restore it before going on"
            )
        return [_PartOfLoad(plan.load, part) for part in range(len(plan.parts))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Work on one part, and give its claim as a row."""
        import pyarrow as pa

        from lakehouse.ingestion.ingest import open_ledger, work_on

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
            from lakehouse.ingestion.ingest import open_loads
            from lakehouse.ingestion.kinesis import Stream
            from lakehouse.ingestion.streamplan import StreamPlanner

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
