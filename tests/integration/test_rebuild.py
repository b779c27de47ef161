"""Silver built again from bronze, held against main, published or dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from support.bronze_rows import Clock, deliver, renamed, silver_rows
from support.refining import GONE, contract_of

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Deduplicate, Field, FileFormat
from lakehouse.errors import GateError, InputError, PublishConflictError
from lakehouse.maintenance.branches import rebuild_branches
from lakehouse.maintenance.compare import Difference, compare, cost
from lakehouse.maintenance.decide import drop_rebuild, publish_rebuild
from lakehouse.maintenance.rebuild import Rebuild, rebuild
from lakehouse.maintenance.rebuildmart import rebuild_mart
from lakehouse.promotion.progress import INPUTS, as_property, read_state
from lakehouse.promotion.promote import promote
from lakehouse.promotion.verdict import read_verdict
from lakehouse.tables import ensure_table

if TYPE_CHECKING:
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


def state(aws: Aws, contract: Contract) -> Any:
    return read_state(aws.catalog().load_table(f"silver.{contract.dataset}"))


def difference(spark: SparkSession, contract: Contract, made: Rebuild) -> Difference:
    return compare(spark, contract, "silver", made.recipe.base, made.snapshot_id)


def with_troubles(aws: Aws, spark: SparkSession, contract: Contract) -> None:
    """Loads with late, repeated, replayed and rejected rows, each promoted when it came."""
    bad = {"code": "type", "detail": "$.temp"}
    at = {"_sequence": "77", "_index": 0}
    loads: list[tuple[list[dict[str, Any]], int]] = [
        ([reading(n) for n in range(0, 96, 6)] + [reading(200, _reject=bad, **at)], 0),
        ([reading(0, temp=41.0), reading(6, temp=42.0), reading(300)], 0),
        ([reading(12, temp=39.0), reading(12, temp=38.0), reading(-48)], 0),
        ([reading(200, temp=33.0, **at)], 1),
        ([reading(300, temp=44.0)], 0),
    ]
    for number, (rows, attempt) in enumerate(loads):
        deliver(aws, contract, number, rows, attempt=attempt)
        promote(aws, spark, contract, clock=Clock(), run_id=f"run-{number}")


def test_what_is_published_rebuilt_by_the_same_contract_is_the_same(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_same")
    with_troubles(aws, spark, contract)
    base = state(aws, contract).base

    for rows in (5_000_000, 1):
        made = rebuild(
            aws, spark, contract, clock=Clock(), run_id=f"rebuild-{rows}", batch_rows=rows
        )

        found = difference(spark, contract, made)
        assert found.none, found
        assert found.rows_after == found.rows_before == 19
        assert (found.differing, found.groups) == (0, found.groups)
        assert state(aws, contract).base == base, "main is left alone"
    table = aws.catalog().load_table(f"silver.{contract.dataset}")
    assert len(rebuild_branches(table)) == 2
    assert set(table.metadata.refs) == {"main", *rebuild_branches(table)}
    assert cost(table, [base, made.snapshot_id]).rows == 38


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("chained", {"keep": "latest", "within_days": 5}),
        ("history", {"history": True}),
        ("deleting", {"deletes": GONE}),
    ],
)
def test_every_kind_of_silver_is_rebuilt_the_same(
    aws: Aws, spark: SparkSession, name: str, rule: dict[str, Any]
) -> None:
    contract = renamed(contract_of(by_day=True, **rule), f"things_{name}")

    def thing(key: str, day: float, **values: Any) -> dict[str, Any]:
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day)
        return {"id": key, "at": at, "state": "u", "op": "U"} | values

    later = {"_sequence": "5", "_index": 0}
    deliver(aws, contract, 0, [thing("a", 0), thing("a", 5, state="v"), thing("b", 1, **later)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-0")
    deliver(aws, contract, 1, [thing("a", 2), thing("a", 3, op="D"), thing("c", 9)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    deliver(aws, contract, 2, [thing("b", 1, state="w", **later)], attempt=1)
    promote(aws, spark, contract, clock=Clock(), run_id="run-2")

    made = rebuild(aws, spark, contract, clock=Clock(), run_id="again", batch_rows=1)

    found = difference(spark, contract, made)
    assert found.rows_before
    assert found.none, found


def test_a_rebuild_as_of_a_load_shows_what_later_loads_did_and_takes_their_place(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    fields = tuple(
        msgspec.structs.replace(f, classification="confidential") if f.name == "dewp" else f
        for f in contracts["weather"].fields
    )
    contract = renamed(contracts["weather"], "weather_as_of", fields=fields)
    deliver(aws, contract, 0, [reading(1), reading(2), reading(30)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-0")
    before = silver_rows(aws, contract.dataset)
    deliver(aws, contract, 1, [reading(1, temp=50.0, dewp=31.0), reading(60)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    made = rebuild(aws, spark, contract, clock=Clock(), run_id="back", as_of=0)

    found = difference(spark, contract, made)
    assert (found.added, found.removed, found.changed) == (0, 1, 1)
    assert found.differing == found.groups - 1 or found.groups == found.differing
    assert found.columns["temp"] == 1
    assert found.columns["_load"] == 1, "positions count"
    removed, changed = sorted(found.samples, key=lambda sample: sample.kind, reverse=True)
    assert removed.key["time_hour"] == "2013-01-03 12:00:00"
    assert changed.columns["temp"] == ("50.0", "40.0")
    assert changed.columns["dewp"] == ("•••", "•••")

    done = publish_rebuild(
        aws, spark, contract, made.branch, clock=Clock(), run_id="publish", code="r1"
    )

    def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(rows, key=lambda row: str(row["time_hour"]))

    assert done.rebuilt
    assert done.contract_version == contract.version
    assert plain(silver_rows(aws, contract.dataset)) == plain(before)
    assert state(aws, contract).promoted == 0
    verdict = read_verdict(aws, contract.dataset, made.snapshot_id)
    assert verdict is not None
    assert verdict.passed
    assert verdict.scope == "", "the whole was looked at"
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").promoted == (1,)
    assert len(silver_rows(aws, contract.dataset)) == 4


def test_a_load_that_is_set_aside_stays_out_unless_told(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_aside")
    deliver(aws, contract, 0, [reading(1)])
    deliver(aws, contract, 1, [reading(2, temp=4.4)])
    deliver(aws, contract, 2, [reading(3)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-0").set_aside == (1,)

    assert difference(
        spark, contract, rebuild(aws, spark, contract, clock=Clock(), run_id="without")
    ).none
    mended = renamed(contract, contract.dataset, version="2.0.0", checks=())
    made = rebuild(aws, spark, mended, clock=Clock(), run_id="with", including=[1])
    found = difference(spark, mended, made)
    assert (found.added, found.removed, found.changed) == (1, 0, 0)
    with pytest.raises(InputError, match=r"made by version 2\.0\.0 of the contract"):
        publish_rebuild(aws, spark, contract, made.branch, clock=Clock(), run_id="publish")

    publish_rebuild(aws, spark, mended, made.branch, clock=Clock(), run_id="publish")

    assert len(silver_rows(aws, contract.dataset)) == 3
    assert state(aws, contract).set_aside == ()


def test_a_rebuild_that_its_gate_fails_or_whose_main_moved_publishes_nothing(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_refused")
    deliver(aws, contract, 0, [reading(1), reading(2, temp=35.0)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-0")
    base = state(aws, contract).base
    colder = ({"failed_rows": {"name": "too cold", "expression": "temp < 38"}},)
    strict = renamed(contract, contract.dataset, version="2.0.0", checks=colder)
    made = rebuild(aws, spark, strict, clock=Clock(), run_id="strict")
    for _ in range(2):
        with pytest.raises(GateError, match="too cold"):
            publish_rebuild(aws, spark, strict, made.branch, clock=Clock(), run_id="publish")
    assert state(aws, contract).base == base
    assert drop_rebuild(aws, strict, made.branch) == made.snapshot_id
    with pytest.raises(InputError, match="has no rebuild on a branch"):
        drop_rebuild(aws, strict, made.branch)

    made = rebuild(aws, spark, contract, clock=Clock(), run_id="late")
    deliver(aws, contract, 1, [reading(5)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    with pytest.raises(PublishConflictError, match="drop it and rebuild again"):
        publish_rebuild(aws, spark, contract, made.branch, clock=Clock(), run_id="publish")
    assert len(silver_rows(aws, contract.dataset)) == 3


@pytest.mark.parametrize("load", [-1, 1])
def test_a_load_that_is_not_promoted_cannot_be_rebuilt_to(
    aws: Aws, spark: SparkSession, contracts: Contracts, load: int
) -> None:
    contract = renamed(contracts["weather"], f"weather_upto_{load + 1}")
    with pytest.raises(InputError, match="promote it first"):
        rebuild(aws, spark, contract, clock=Clock(), run_id="none")
    deliver(aws, contract, 0, [reading(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-0")

    with pytest.raises(InputError, match=f"load {load} is not promoted; expected one from 0 to 0"):
        rebuild(aws, spark, contract, clock=Clock(), run_id="far", as_of=load)


def test_a_mart_is_rebuilt_from_the_snapshots_that_it_was_made_from(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    silver = renamed(contracts["weather"], "weather_counted")
    deliver(aws, silver, 0, [reading(1), reading(2), reading(3, origin="JFK")])
    promote(aws, spark, silver, clock=Clock(), run_id="run-0")
    pin = state(aws, silver).base
    deliver(aws, silver, 1, [reading(4)])
    promote(aws, spark, silver, clock=Clock(), run_id="run-1")
    mart = Contract(
        dataset="readings_by_origin",
        version="1.0.0",
        description="",
        owner="tests",
        source="mart",
        format=FileFormat(type="csv"),
        fields=(
            Field(name="origin", type="string", required=True, primary_key=True),
            Field(name="readings", type="integer"),
        ),
        deduplicate=Deduplicate(key=("origin",)),
    )
    both = Contracts([silver, mart], "tests")
    sql = "SELECT origin, count(*) AS readings FROM silver.weather_counted GROUP BY origin"
    with pytest.raises(InputError, match="build it first"):
        rebuild_mart(aws, spark, mart, sql, contracts=both, clock=Clock(), run_id="none")
    table = ensure_table(aws, mart, "gold")
    with table.transaction() as transaction:
        transaction.append(pa.table({"origin": ["EWR", "LGA"], "readings": [7, 1]}))
        transaction.set_properties({INPUTS: as_property({"silver.weather_counted": pin})})

    made = rebuild_mart(aws, spark, mart, sql, contracts=both, clock=Clock(), run_id="again")

    found = compare(spark, mart, "gold", made.recipe.base, made.snapshot_id)
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.columns == {"readings": 1}
    changed = next(sample for sample in found.samples if sample.kind == "changed")
    assert (changed.key, changed.columns) == ({"origin": "EWR"}, {"readings": ("7", "2")})
    now = rebuild_mart(aws, spark, mart, sql, contracts=both, clock=Clock(), run_id="now", now=True)
    assert compare(spark, mart, "gold", made.snapshot_id, now.snapshot_id).columns == {
        "readings": 1
    }

    publish_rebuild(aws, spark, mart, now.branch, clock=Clock(), run_id="publish")

    rows = table.refresh().scan().to_arrow().sort_by("origin").to_pylist()
    assert rows == [{"origin": "EWR", "readings": 3}, {"origin": "JFK", "readings": 1}]
    assert read_state(table).inputs == {"silver.weather_counted": state(aws, silver).base}
    with table.transaction() as transaction:
        transaction.set_properties({INPUTS: as_property({"silver.weather_counted": 1})})
    with pytest.raises(InputError, match=r"the snapshot 1 of silver\.weather_counted"):
        rebuild_mart(aws, spark, mart, sql, contracts=both, clock=Clock(), run_id="expired")


def test_a_value_that_moves_to_the_next_column_and_a_row_that_is_doubled_are_seen(
    aws: Aws, spark: SparkSession
) -> None:
    contract = renamed(contract_of(), "things_hashed")
    table = ensure_table(aws, contract, "silver")

    def holds(*rows: tuple[str, str | None, str | None]) -> int:
        columns = [list(column) for column in zip(*rows, strict=True)]
        text = pa.string()
        filled = {f.name: pa.nulls(len(rows), f.type) for f in schema_to_pyarrow(table.schema())}
        named = zip(("id", "state", "op"), columns, strict=True)
        filled |= {name: pa.array(column, text) for name, column in named}
        write = table.overwrite if table.current_snapshot() else table.append
        write(pa.table(filled))
        head = table.refresh().current_snapshot()
        assert head is not None
        return head.snapshot_id

    one = holds(("a", "x", None), ("b", None, None))
    moved = holds(("a", None, "x"), ("b", None, None))
    doubled = holds(("a", "x", None), ("b", None, None), ("b", None, None))
    same = holds(("b", None, None), ("a", "x", None))

    assert compare(spark, contract, "silver", one, moved).columns == {"state": 1, "op": 1}
    found = compare(spark, contract, "silver", one, doubled)
    assert (found.added, found.removed, found.changed) == (1, 0, 0)
    assert compare(spark, contract, "silver", one, same).differing == 0
