"""What a small load costs as a table grows older: no Spark, one process, many commits."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import msgspec

from benchmarks import data
from benchmarks.estate import Estate, contract
from lakehouse.ingestion import ingest
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.ledger import Limits
from lakehouse.ingestion.streamplan import StreamPlanner
from lakehouse.tables import load_table

RECORDS: Final = 100
"""Records of a load."""
_AROUND: Final = 4


class Age(msgspec.Struct, frozen=True):
    """A load at some number of commits: medians over nine around it, in seconds."""

    commits: int
    load_seconds: float
    """From before its plan until it is published."""
    publish_seconds: float
    metadata_bytes: int
    manifests: int


class Growth(msgspec.Struct, frozen=True):
    """A dataset growing older, and what a load costs that has nothing to read."""

    ages: tuple[Age, ...]
    idle_seconds: float
    """Median of asking for a load when there is nothing to read; it commits nothing."""
    records_a_load: int = RECORDS


def measure(estate: Estate, loads: int, progress: Callable[[int], None]) -> Growth:
    """Publish so many small loads one after the other."""
    estate.deploy(["bids"])
    spec = data.Spec(RECORDS * loads, 254, 1_700_000_000.0, 0.001)
    estate.serve("bids", data.make(spec, estate.scratch), 1)
    aws, bids = estate.aws, contract()
    dataset = ingest.open_loads(aws, bids, observe=lambda _: None)
    execute = ingest.on_driver(aws, bids)
    planner = StreamPlanner(Stream.of(aws, bids), bids.stream.start, Limits(records=RECORDS))
    took: list[tuple[float, float]] = []
    states: dict[int, tuple[int, int]] = {}
    marks = [10**n for n in range(1, 10) if 10**n < loads] + [loads]
    for number in range(1, loads + 1):
        begin = time.perf_counter()
        plan = dataset.plan(planner)
        assert plan is not None  # noqa: S101 - there are records for every load
        list(execute(plan))
        claimed = time.perf_counter()
        dataset.publish(plan.load)
        end = time.perf_counter()
        took.append((end - begin, end - claimed))
        if number in marks:
            states[number] = _state(estate)
        progress(number)
    return Growth(
        tuple(_age(took, number, *states[number]) for number in marks),
        _idle(lambda: dataset.plan(planner)),
    )


def _age(took: list[tuple[float, float]], number: int, size: int, manifests: int) -> Age:
    last = min(len(took), number + _AROUND)
    around = took[last - 2 * _AROUND - 1 : last]
    return Age(number, median(t for t, _ in around), median(t for _, t in around), size, manifests)


def _idle(ask: Callable[[], object]) -> float:
    # The first question settles that the last load is published and makes the iterator.
    ask()
    times = []
    for _ in range(21):
        begin = time.perf_counter()
        if ask() is not None:
            raise AssertionError("a load was planned with nothing to read")
        times.append(time.perf_counter() - begin)
    return median(times)


def _state(estate: Estate) -> tuple[int, int]:
    """Bytes of the table's metadata, and the number of its manifests."""
    table = load_table(estate.aws, "bronze", "bids")
    assert table is not None  # noqa: S101 - loads were published to it
    size = len(table.io.new_input(table.metadata_location))
    snapshot = table.current_snapshot()
    assert snapshot is not None  # noqa: S101 - loads were published to it
    return size, len(snapshot.manifests(table.io))
