"""Puts the load engine to work: in a Spark task, on the driver, as a streaming query."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.decoding.again import Redecoder
from lakehouse.decoding.decode import RowDecoder
from lakehouse.decoding.registry import SchemaRegistry, glue_registry
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.icetable import IcebergLoadTable
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.landing import LandingAttempt, LandingPlanner
from lakehouse.ingestion.ledger import Claim, Ledger, Plan, RejectFilter
from lakehouse.ingestion.loads import Attempt, LoadReport, Loads, log_load, work
from lakehouse.ingestion.rejects import count_rejects
from lakehouse.ingestion.replay import ReplayPlanner, ReplayReport, run_replay
from lakehouse.ingestion.replayread import ReplayAttempt, outcomes_now
from lakehouse.ingestion.streamread import BronzeSink, StreamAttempt
from lakehouse.store import S3Store
from lakehouse.tables import ensure_table, load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def open_ledger(aws: Aws, dataset: str) -> Ledger:
    """The ledger of a dataset in the deployment's ledger bucket."""
    return Ledger(S3Store(aws.client("s3"), aws.bucket("ledger"), ""), dataset)


def open_loads(
    aws: Aws,
    contract: Contract,
    clock: Callable[[], datetime] = utc_now,
    observe: Callable[[LoadReport], None] = log_load,
) -> Loads:
    """The loads of a dataset over its bronze table, which is made or evolved here."""
    table = IcebergLoadTable(ensure_table(aws, contract, "bronze"))
    return Loads(open_ledger(aws, contract.dataset), table, clock, observe)


def work_on(
    aws: Aws, contract: Contract, plan: Plan, part: int, *, accept_loss: bool = False
) -> Claim:
    """The claim of one part, made where this is called: in a Spark task or on the driver."""
    ledger = open_ledger(aws, contract.dataset)

    def attempt() -> Attempt:
        if plan.replay is not None:
            return _replay_attempt(aws, plan, plan.replay.contract, part)
        table = _worker_table(aws, contract.dataset, contract.version)
        if plan.parts[part].shards:
            writer = BronzeWriter(table, contract, plan, part)
            sink = BronzeSink(contract, RowDecoder(contract, _registry(aws, contract)), writer)
            stream = Stream.of(aws, contract)
            return StreamAttempt(
                stream, sink, plan, part, ahead=_fetchers(), accept_loss=accept_loss
            )
        return LandingAttempt(aws, table, contract, plan, part)

    return work(ledger, plan.load, part, attempt)


def _replay_attempt(aws: Aws, plan: Plan, contract: Contract, part: int) -> Attempt:
    # What it reads was published just now, so the table is not the one that the worker keeps.
    table = aws.catalog().load_table(f"bronze.{contract.dataset}")
    redecoder = Redecoder(contract, _registry(aws, contract))
    return ReplayAttempt(table, redecoder, BronzeWriter(table, contract, plan, part), plan, part)


def _registry(aws: Aws, contract: Contract) -> SchemaRegistry | None:
    """Where a stream's writer schemas are: in the account of the stream."""
    framed = contract.source == "stream" and contract.format.type == "avro"
    return glue_registry(aws, contract.stream.role) if framed else None


@functools.cache
def _fetchers() -> Executor:
    """The threads that fetch ahead: one a shard is enough, and one may still be on the last."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="fetch")


# A worker serves many tasks and needs of the table only its columns and location, which change with
# the contract's version.
@functools.lru_cache(maxsize=64)
def _worker_table(aws: Aws, dataset: str, version: str) -> Table:
    del version
    return aws.catalog().load_table(f"bronze.{dataset}")


def on_driver(aws: Aws, contract: Contract) -> Callable[[Plan], Iterable[Claim]]:
    """Works on the parts one after the other in this process, without Spark."""
    return lambda plan: [work_on(aws, contract, plan, part) for part in range(len(plan.parts))]


def on_spark(
    spark: SparkSession, aws: Aws, contract: Contract
) -> Callable[[Plan], Iterable[Claim]]:
    """Works on the parts of a plan in one Spark task each."""

    def execute(plan: Plan) -> list[Claim]:
        parts = range(len(plan.parts))

        def run(numbers: Iterable[int]) -> Iterator[bytes]:
            for part in numbers:
                yield msgspec.json.encode(work_on(aws, contract, plan, part))

        made = spark.sparkContext.parallelize(parts, len(parts)).mapPartitions(run).collect()
        return [msgspec.json.decode(claim, type=Claim) for claim in made]

    return execute


def land(aws: Aws, contract: Contract, execute: Callable[[Plan], Iterable[Claim]]) -> list[Plan]:
    """Land everything that has arrived for a dataset; the loads that it took."""
    loads = open_loads(aws, contract)
    planner = LandingPlanner(aws, contract, loads.ledger)
    done: list[Plan] = []
    while (plan := loads.run(planner, execute)) is not None:
        done.append(plan)
    return done


def replay(
    aws: Aws,
    contract: Contract,
    which: RejectFilter,
    execute: Callable[[Plan], Iterable[Claim]],
    *,
    told: Callable[[str], None] = lambda _: None,
    observe: Callable[[LoadReport], None] = log_load,
) -> ReplayReport:
    """Replay the rejects of a dataset by today's contract; what became of them.

    An unfinished load of somebody else comes first: it is waited for, and carried out here where
    nobody does. ``told`` hears of what takes a while, ``observe`` of each load that is done.
    """
    loads = open_loads(aws, contract, observe=observe)
    table = ensure_table(aws, contract, "bronze")

    def count(wanted: RejectFilter, upto: int) -> dict[int, int]:
        table.refresh()
        found = count_rejects(table, wanted, upto)
        return {load: codes.total() for load, codes in found.items()}

    planner = ReplayPlanner(loads.ledger, count, contract, which)
    return run_replay(loads, planner, contract, execute, told)


def forecast(
    aws: Aws,
    contract: Contract,
    which: RejectFilter,
    progress: Callable[[int], object] = lambda _: None,
) -> ReplayReport:
    """What a replay would make of the rejects of a dataset now; nothing is written.

    ``progress`` is told how many more are decoded.
    """
    table = load_table(aws, "bronze", contract.dataset)
    redecoder = Redecoder(contract, _registry(aws, contract))
    outcomes = outcomes_now(table, redecoder, which, progress) if table else {}
    return ReplayReport(contract.dataset, contract.version, True, None, outcomes)
