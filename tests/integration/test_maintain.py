"""Tables kept small: what goes, what must stay, and what runs beside it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.bronze_rows import Clock, deliver, renamed, silver_rows

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Gate
from lakehouse.errors import GateError
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.ingestion.ledger import Claim, ClaimedFile, ObjectRef, Part, Plan
from lakehouse.maintenance.compact import small_files
from lakehouse.maintenance.expire import expirable, pinned
from lakehouse.maintenance.maintain import COMPACTED, Maintained, maintain, maintain_dataset
from lakehouse.maintenance.rebuild import rebuild
from lakehouse.marts.changes import published_as
from lakehouse.naming import Layer
from lakehouse.promotion.progress import read_state
from lakehouse.promotion.promote import promote
from lakehouse.promotion.runclaim import run_claim

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


def reading(hour: int, **changes: Any) -> dict[str, Any]:
    return {
        "origin": "EWR",
        "time_hour": datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour),
        "temp": 40.0,
        "dewp": 30.0,
        "visib": 10.0,
    } | changes


def later(**time: float) -> datetime:
    return datetime.now(UTC) + timedelta(**time)


def table_of(aws: Aws, layer: Layer, contract: Contract) -> Table:
    return aws.catalog().load_table(f"{layer}.{contract.dataset}")


def files(table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.inspect.data_files().to_pylist()
    return found


def run(
    aws: Aws,
    spark: SparkSession,
    layer: Layer,
    contract: Contract,
    *,
    now: datetime,
    dry_run: bool = False,
    pins: Collection[int] = (),
) -> Maintained:
    return maintain(
        aws,
        lambda: spark,
        layer,
        contract.dataset,
        pins=pins,
        clock=lambda: now,
        run_id="maintain",
        dry_run=dry_run,
    )


def test_small_files_of_bronze_become_few_and_loads_are_still_found(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_small")
    for load in range(8):
        deliver(aws, contract, load, [reading(load * 10 + n) for n in range(10)])
    table = table_of(aws, "bronze", contract)
    before = table.scan().to_arrow().sort_by([("_load", "ascending"), ("_sequence", "ascending")])
    orphan = f"{table.location()}/data/left-behind.parquet"
    claimed = f"{table.location()}/data/claimed.parquet"
    for path in (orphan, claimed):
        with table.io.new_output(path).create() as stream:
            stream.write(b"PAR1")
    ledger = open_ledger(aws, contract.dataset)
    ref = ObjectRef("a", "1", 1, datetime(2026, 1, 1, tzinfo=UTC))
    ledger.record_plan(Plan(8, datetime(2026, 1, 1, tzinfo=UTC), (Part(objects=(ref,)),)))
    file = ClaimedFile(claimed, 4, 1, 0, {}, {}, {}, {}, {}, {}, [])
    ledger.record_claim(Claim(8, 0, (file,), 1, {}, 4))
    metadata = table.metadata_location

    planned = run(aws, spark, "bronze", contract, now=later(days=4), dry_run=True)

    assert table.refresh().metadata_location == metadata, "a dry run changes nothing"
    assert planned.compacted is not None
    assert (planned.compacted.files_before, planned.compacted.files_after) == (8, None)
    assert planned.orphans == 1

    done = run(aws, spark, "bronze", contract, now=later(days=4))

    assert done.compacted is not None
    assert (done.compacted.files_before, done.compacted.files_after) == (8, 1)
    assert not table.io.new_input(orphan).exists()
    assert table.io.new_input(claimed).exists(), "what an unpublished load claims is no orphan"
    table.refresh()
    assert len(files(table)) == 1
    assert small_files(table) == []
    after = table.scan().to_arrow()
    assert after["_load"].to_pylist() == sorted(after["_load"].to_pylist()), "sorted by load"
    again = after.sort_by([("_load", "ascending"), ("_sequence", "ascending")])
    assert again.to_pylist() == before.to_pylist()
    assert table.properties["lakehouse.load"] == "7"
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-1").rows_added == 80


def test_files_that_were_rewritten_stay_for_whoever_reads_them(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_read")
    for load in range(6):
        deliver(aws, contract, load, [reading(load)])
    table = table_of(aws, "bronze", contract)
    old = [file["file_path"] for file in files(table)]
    at = later(days=4)
    run(aws, spark, "bronze", contract, now=at)
    assert table.refresh().properties[COMPACTED] == at.isoformat()

    soon = run(aws, spark, "bronze", contract, now=at + timedelta(hours=11))
    assert "files were rewritten" in soon.skipped["orphans"]
    assert all(table.io.new_input(path).exists() for path in old)

    done = run(aws, spark, "bronze", contract, now=at + timedelta(days=2))
    assert done.skipped == {}
    assert done.orphans >= len(old)
    assert not any(table.io.new_input(path).exists() for path in old)
    assert len(table.refresh().scan().to_arrow()) == 6


def test_snapshots_that_something_needs_are_not_expired(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_expiring")
    heads = []
    for load in range(4):
        deliver(aws, contract, load, [reading(load)])
        promote(aws, spark, contract, clock=Clock(), run_id=f"run-{load}")
        heads.append(read_state(table_of(aws, "silver", contract)).base)
    made = rebuild(aws, spark, contract, clock=lambda: datetime.now(UTC), run_id="beside")
    table = table_of(aws, "silver", contract)
    pin = heads[1]
    assert pin is not None
    keep = timedelta(days=7)
    assert expirable(table, [pin], later(days=6), keep) == []

    gone = expirable(table, [pin], later(days=8), keep)

    needed = {pin, heads[3], made.snapshot_id}
    assert {heads[0], heads[2]} <= set(gone)
    assert not needed & set(gone)
    with pytest.raises(ValueError, match="give at least"):
        expirable(table, [], later(), timedelta(hours=1))
    done = run(aws, spark, "silver", contract, now=later(days=8), pins=[pin])
    assert done.snapshots is not None
    assert done.snapshots.expired == len(gone)
    assert "rebuild_beside" in done.skipped["compaction"]
    table.refresh()
    assert needed <= {snapshot.snapshot_id for snapshot in table.metadata.snapshots}
    assert len(table.scan(snapshot_id=pin).to_arrow()) == 2
    assert run(aws, spark, "silver", contract, now=later(days=15)).branches == (made.branch,)
    assert set(table.refresh().metadata.refs) == {"main"}
    assert len(silver_rows(aws, contract.dataset)) == 4


def test_a_snapshot_is_kept_from_when_it_was_replaced(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_replaced")
    deliver(aws, contract, 0, [reading(0)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-0")
    table = table_of(aws, "silver", contract)
    first = table.current_snapshot()
    assert first is not None
    with table.transaction() as transaction:
        transaction.set_properties({"made": "long ago"})
    deliver(aws, contract, 1, [reading(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    table.refresh()
    replaced = datetime.fromtimestamp(table.metadata.snapshot_log[-1].timestamp_ms / 1000, UTC)
    assert replaced.timestamp() * 1000 > first.timestamp_ms
    keep = timedelta(days=1)

    between = replaced + keep - timedelta(milliseconds=2)
    assert between - keep > datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)
    assert first.snapshot_id not in expirable(table, [], between, keep)
    assert first.snapshot_id in expirable(table, [], replaced + keep + timedelta(seconds=1), keep)


def test_silver_is_compacted_when_nobody_works_on_it_and_promotion_goes_on(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_rewritten", gate=Gate(on_fail="hold"))
    for load in range(6):
        deliver(aws, contract, load, [reading(load)])
        promote(aws, spark, contract, clock=Clock(), run_id=f"run-{load}")
    before = sorted(silver_rows(aws, contract.dataset), key=str)
    with run_claim(aws, "silver", contract.dataset, "somebody"):
        (_, silver) = maintain_dataset(
            aws,
            lambda: spark,
            contract,
            pins={},
            clock=lambda: later(days=1),
            run_id="maintain",
            dry_run=False,
        )
    assert "run somebody works on it" in silver.skipped["all"]

    done = run(aws, spark, "silver", contract, now=later(days=1))

    assert done.compacted is not None
    assert done.compacted.files_before == 6
    assert done.compacted.files_after == 1
    assert sorted(silver_rows(aws, contract.dataset), key=str) == before
    run(aws, spark, "silver", contract, now=later(days=30))
    table = table_of(aws, "silver", contract)
    state = read_state(table)
    assert state.promoted == 5
    assert published_as(table, state, state.base) == 5, "it is known what main was published as"
    deliver(aws, contract, 6, [reading(0, temp=41.0), reading(7)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-6").promoted == (6,)
    deliver(aws, contract, 7, [reading(9, temp=4.4)])
    with pytest.raises(GateError, match="is held"):
        promote(aws, spark, contract, clock=Clock(), run_id="run-7")
    held = run(aws, spark, "silver", contract, now=later(days=30))
    assert "is held and waits for a person" in held.skipped["compaction"]
    assert held.branches == (), "what is held is not dropped"


def test_what_marts_were_made_from_is_pinned(aws: Aws, contracts: Contracts) -> None:
    from lakehouse.tables import ensure_table

    mart = renamed(contracts["carrier_on_time"], "mart_pinned")
    assert pinned(aws, [mart]) == {}
    table = ensure_table(aws, mart, "gold")
    with table.transaction() as transaction:
        transaction.set_properties({"lakehouse.inputs": '{"silver.flights":17}'})

    assert pinned(aws, [mart]) == {"silver.flights": frozenset({17})}
