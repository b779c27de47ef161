"""What the same increment costs in a small and in a large silver table: refine, gate, publish.

Both tables take the same number of flights a day, so that the large one only reaches further back.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from benchmarks.estate import PREFIX, Estate
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import load_contract
from lakehouse.ingestion.icetable import LOAD
from lakehouse.promotion.gate import fingerprint
from lakehouse.promotion.progress import GATED, PROMOTED
from lakehouse.promotion.promote import promote
from lakehouse.promotion.verdict import read_verdict
from lakehouse.spark import catalog_conf
from lakehouse.tables import ensure_table
from localaws import sparkenv

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

A_DAY: Final = 25_000
INCREMENT: Final = 50_000
"""Deliveries of an increment: a new day's flights, and the day before's once more."""
SIZES: Final = (500_000, 10_000_000)
_LAST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FLIGHTS: Final = Path(__file__).parents[1] / "quality" / "contracts" / "flights.yaml"


class Step(msgspec.Struct, frozen=True):
    """One promotion of the increment, in seconds; files of silver, at the gate by its scope."""

    seconds: float
    added: int
    files: int
    files_in_scope: int
    files_written: int


class Increments(msgspec.Struct, frozen=True):
    """Promotions of the same increments into a table of some rows."""

    rows: int
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Median of a promotion."""
        return median(step.seconds for step in self.steps)


def measure(
    estate: Estate, repeats: int, progress: Callable[[int], None]
) -> tuple[Increments, ...]:
    """Promote increments into tables of every size, in turns; the first of each warms up."""
    estate.deploy([])
    aws = estate.aws
    flights = load_contract(_FLIGHTS)
    tables = [
        msgspec.structs.replace(flights, dataset=f"flights_{rows}", path="") for rows in SIZES
    ]
    for contract, rows in zip(tables, SIZES, strict=True):
        _fill(aws, contract, rows)
    steps: dict[str, list[Step]] = {contract.dataset: [] for contract in tables}
    spark = _spark(estate)
    try:
        for number in range(repeats + 1):
            for contract in tables:
                step = _step(aws, spark, contract, number + 1)
                if number:
                    steps[contract.dataset].append(step)
            progress(number)
    finally:
        spark.stop()
    return tuple(
        Increments(rows, tuple(steps[contract.dataset]))
        for contract, rows in zip(tables, SIZES, strict=True)
    )


def _step(aws: Aws, spark: SparkSession, contract: Contract, load: int) -> Step:
    days = [_LAST + timedelta(days=load - 1 + n) for n in (0, 1)]
    _deliver(aws, contract, load, pa.concat_tables(_flights(contract, day) for day in days))
    began = time.perf_counter()
    done = promote(
        aws, spark, contract, clock=lambda: datetime.now(UTC), run_id=f"bench-{load}", code="bench"
    )
    seconds = time.perf_counter() - began
    if done.promoted != (load,) or done.rows_added != A_DAY:
        raise AssertionError(f"load {load} of {contract.dataset} was not promoted: {done}")
    table = ensure_table(aws, contract, "silver")
    snapshot = table.current_snapshot()
    assert snapshot is not None and snapshot.summary is not None  # noqa: S101, PT018 - promoted
    verdict = read_verdict(aws, contract.dataset, snapshot.snapshot_id)
    if verdict is None or verdict.touched is None or not verdict.scope:
        raise AssertionError(f"{contract.dataset}: the gate looked at the whole table")
    return Step(
        seconds=seconds,
        added=done.rows_added,
        files=int(snapshot.summary["total-data-files"] or 0),
        files_in_scope=_files_in(table, verdict.touched.ranges, contract),
        files_written=int(snapshot.summary["added-data-files"] or 0),
    )


def _files_in(table: Table, ranges: tuple[tuple[str, str], ...], contract: Contract) -> int:
    slack = timedelta(days=contract.deduplicate.within_days or 0)
    low = datetime.fromisoformat(ranges[0][0]).replace(tzinfo=UTC) - slack
    high = datetime.fromisoformat(ranges[-1][1]).replace(tzinfo=UTC) + slack
    where = (
        f"{contract.event_time} >= '{low.isoformat()}' AND "
        f"{contract.event_time} < '{high.isoformat()}'"
    )
    return len(list(table.scan(row_filter=where).plan_files()))


def _fill(aws: Aws, contract: Contract, rows: int) -> None:
    """Silver with so many rows up to the last day, all of which its gate let through."""
    ensure_table(aws, contract, "bronze")
    table = ensure_table(aws, contract, "silver")
    days = [_LAST - timedelta(days=n) for n in range(rows // A_DAY)]
    for some in _by(days, 20):
        table.append(pa.concat_tables(_silver(contract, table, day) for day in some))
    with table.transaction() as transaction:
        transaction.set_properties({PROMOTED: "0", GATED: fingerprint(contract)})


def _by(days: list[datetime], size: int) -> Iterator[list[datetime]]:
    for first in range(0, len(days), size):
        yield days[first : first + size]


def _flights(contract: Contract, day: datetime) -> pa.Table:
    """A day's flights, the same whenever they are asked for."""
    random = np.random.default_rng(day.toordinal())
    minutes = np.arange(A_DAY) * 1440 // A_DAY
    departures = [day + timedelta(minutes=int(minute)) for minute in minutes]
    stem = f"{day:%Y%m%d}"
    delay = random.integers(-10, 120, A_DAY).astype(float)
    columns: dict[str, Any] = {
        "event_id": [
            hashlib.md5(f"{stem}{n}".encode(), usedforsecurity=False).hexdigest()
            for n in range(A_DAY)
        ],
        "flight_date": [day.date()] * A_DAY,
        "scheduled_departure": departures,
        "carrier": random.choice(["UA", "AA", "DL", "B6"], A_DAY),
        "flight": random.integers(1, 9999, A_DAY),
        "tailnum": [f"N{n:05d}" for n in random.integers(0, 5000, A_DAY)],
        "origin": random.choice(["EWR", "JFK", "LGA"], A_DAY),
        "dest": random.choice(["IAH", "MIA", "LAX", "ORD"], A_DAY),
        "dep_delay": delay,
        "arr_delay": delay + random.integers(-20, 20, A_DAY),
        "air_time": random.integers(40, 400, A_DAY).astype(float),
        "distance": random.integers(100, 3000, A_DAY),
    }
    return pa.table({field.name: columns[field.name] for field in contract.fields})


def _silver(contract: Contract, table: Table, day: datetime) -> pa.Table:
    rows = _flights(contract, day)
    position = {
        "_load": np.zeros(A_DAY, dtype="int64"),
        "_source": ["shardId-000000000000"] * A_DAY,
        "_sequence": [f"{day:%Y%m%d}{n:08d}" for n in range(A_DAY)],
        "_index": np.zeros(A_DAY, dtype="int64"),
    }
    return _as(table, {name: rows[name] for name in rows.column_names} | position, A_DAY)


def _deliver(aws: Aws, contract: Contract, load: int, rows: pa.Table) -> None:
    """A load of good deliveries in bronze."""
    table = ensure_table(aws, contract, "bronze")
    count, now = rows.num_rows, datetime.now(UTC)
    platform = {
        "_payload": [b"{}"] * count,
        "_source": ["shardId-000000000000"] * count,
        "_sequence": [f"{load:08d}{n:08d}" for n in range(count)],
        "_index": np.zeros(count, dtype="int64"),
        "_arrived_at": [now] * count,
        "_ingested_at": [now] * count,
        "_load": np.full(count, load),
        "_attempt": np.zeros(count, dtype="int32"),
        "_contract_version": [contract.version] * count,
    }
    with table.transaction() as transaction:
        columns = {name: rows[name] for name in rows.column_names} | platform
        transaction.append(_as(table, columns, count))
        transaction.set_properties({LOAD: str(load)})


def _as(table: Table, columns: dict[str, Any], count: int) -> pa.Table:
    """Columns in the types of a table, absent ones null."""
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    arrays = [
        _array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> Any:
    return values.cast(kind) if isinstance(values, pa.ChunkedArray) else pa.array(values, kind)


def _spark(estate: Estate) -> SparkSession:

    from pyspark.sql import SparkSession

    os.environ.update(sparkenv.launch_env())
    builder = SparkSession.builder.appName("increment")
    for key, value in (catalog_conf(PREFIX) | sparkenv.local_conf(estate.s3, estate.glue)).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
