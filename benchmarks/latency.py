"""How long a record takes from its arrival in the stream until a reader of the table sees it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks import data
from benchmarks.contestants import ours
from benchmarks.contestants.run import Run
from benchmarks.estate import Estate
from benchmarks.throughput import failed, started
from benchmarks.watch import Seen, Watch
from lakehouse.naming import table

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

RATE: Final = 1000
SHARDS: Final = 4
_READY_AFTER: Final = 40
"""Seconds in which the job is up; what arrives before counts for nothing."""


class Latency(msgspec.Struct, frozen=True):
    """Seconds from arrival to visible, of the records that arrived at a running job."""

    records: int
    seconds: float
    """In which they arrived."""
    rate: float
    median: float
    p95: float
    most: float
    commits: int


def measure(estate: Estate, seconds: int) -> Latency:
    """Let records arrive at a steady rate and see when each becomes visible."""
    with tempfile.TemporaryDirectory(prefix="live-", dir=estate.scratch) as folder:
        return _measure(estate, seconds, Path(folder))


def _measure(estate: Estate, seconds: int, folder: Path) -> Latency:
    count = RATE * (_READY_AFTER + seconds)
    contracts = estate.deploy(["bids"])
    start = time.time()
    spec = data.Spec(count, 254, round(start, 3), SHARDS / RATE, lanes=SHARDS)
    bids = data.make(spec, folder)
    estate.serve("bids", bids, SHARDS)
    run = Run(
        bids, SHARDS, str(contracts), str(estate.scratch), estate.kinesis, estate.s3, estate.glue
    )
    log = estate.scratch / "latency.log"
    with (
        started(ours.command(run, once=False), estate, log),
        Watch(estate.aws, "bids") as watch,
    ):
        if not watch.wait(count, _READY_AFTER + seconds + 60):
            raise failed(log, f"the table showed {watch.records} records of {count}")
    return _latency(estate, watch, start + _READY_AFTER, seconds)


def _latency(estate: Estate, watch: Watch, since: float, seconds: int) -> Latency:
    bids = estate.aws.catalog().load_table(table("bronze", "bids"))
    rows = bids.scan(selected_fields=("_arrived_at", "_load")).to_arrow()
    arrived = rows["_arrived_at"].cast("int64").to_numpy() / 1e6
    counted = arrived >= since
    waited = waits(arrived, rows["_load"].to_numpy(), watch.seen)[counted]
    return Latency(
        records=int(counted.sum()),
        seconds=seconds,
        rate=RATE,
        median=float(np.median(waited)),
        p95=float(np.percentile(waited, 95)),
        most=float(waited.max()),
        commits=len({seen.load for seen in watch.seen if seen.at >= since}),
    )


def waits(arrived: Floats, loads: Integers, seen: Sequence[Seen]) -> Floats:
    """Seconds from arrival to visible, by record.

    A load is visible from the first state on that was seen to hold it or a later one.
    """
    published = np.array([state.load for state in seen])
    moments = np.array([state.at for state in seen])
    return moments[np.searchsorted(published, loads)] - arrived
