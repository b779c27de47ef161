"""Marts from the real flights of January, compared row by row with figures made by pandas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from support.bronze_rows import Clock, deliver, real

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Field, LogicalType
from lakehouse.errors import ContractError, GateError
from lakehouse.marts.build import build
from lakehouse.marts.plan import plan
from lakehouse.marts.sql import pinned
from lakehouse.promotion.promote import promote
from lakehouse.promotion.verdict import read_verdicts
from localaws.duck import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
KINDS: dict[str, LogicalType] = {
    "year": "integer",
    "month": "integer",
    "day": "integer",
    "sched_dep_time": "integer",
    "dep_delay": "number",
    "arr_delay": "number",
    "air_time": "number",
    "carrier": "string",
    "flight": "integer",
    "tailnum": "string",
    "origin": "string",
    "dest": "string",
    "distance": "integer",
}
"""The columns of the source, which the stream's records are made from."""
NOW = Clock()
MARTS = ("route_punctuality", "carrier_on_time", "delay_by_weather")


def select(mart: str) -> str:
    return Path("jobs/marts", f"{mart}.sql").read_text(encoding="utf-8")


def january_flights(contract: Contract) -> list[dict[str, Any]]:
    """The flights of January in the contract's form: times in UTC, New York five hours behind."""
    raw_fields = tuple(Field(name=name, type=kind) for name, kind in KINDS.items())
    spec = real("flights", msgspec.structs.replace(contract, fields=raw_fields))
    rows = []
    for number, raw in enumerate(row for row in spec if row["month"] == 1):
        local = datetime(raw["year"], raw["month"], raw["day"], tzinfo=UTC) + timedelta(
            hours=raw["sched_dep_time"] // 100, minutes=raw["sched_dep_time"] % 100
        )
        row = {field.name: raw.get(field.name) for field in contract.fields}
        departure = local + timedelta(hours=5)
        rows.append(
            row
            | {
                "event_id": f"{number:032x}",
                "flight_date": local.date(),
                "scheduled_departure": departure,
            }
        )
    return rows


@pytest.fixture(scope="module")
def silver(aws: Aws, spark: SparkSession, contracts: Contracts) -> Mapping[str, pd.DataFrame]:
    """What was promoted to silver, by dataset."""
    rows = {name: real(name, contracts[name]) for name in ("airlines", "planes", "weather")}
    rows["flights"] = january_flights(contracts["flights"])
    rows["weather"] = [row for row in rows["weather"] if row["time_hour"].month == 1]
    # Some aircraft and one carrier without reference data.
    rows["planes"] = rows["planes"][::2]
    rows["airlines"] = [row for row in rows["airlines"] if row["carrier"] != "UA"]
    for name, found in rows.items():
        deliver(aws, contracts[name], 0, found)
        assert promote(aws, spark, contracts[name], clock=NOW, run_id="run").promoted == (0,)
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def expected(mart: str, silver: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The mart by pandas, from its definition."""
    flights = silver["flights"].copy()
    flights["month"] = pd.to_datetime(flights.flight_date).dt.to_period("M").dt.start_time.dt.date
    flights["cancelled"] = flights.dep_delay.isna()
    flights["arrived"] = flights.arr_delay <= 15
    if mart == "route_punctuality":
        flights["departed"] = flights.dep_delay <= 15
        grouped = flights.groupby(["flight_date", "origin", "dest"])
        return grouped.agg(
            flights=("event_id", "size"),
            cancelled=("cancelled", "sum"),
            departed_on_time=("departed", "sum"),
            arrived_on_time=("arrived", "sum"),
            mean_dep_delay=("dep_delay", "mean"),
            mean_arr_delay=("arr_delay", "mean"),
            worst_arr_delay=("arr_delay", "max"),
        ).reset_index()
    if mart == "carrier_on_time":
        joined = flights.merge(silver["planes"][["tailnum", "seats"]], how="left", on="tailnum")
        joined["flown"] = joined.seats.where(~joined.cancelled)
        joined = joined.merge(silver["airlines"], how="left", on="carrier")
        joined["name"] = joined.name.fillna(joined.carrier)
        found = (
            joined.groupby(["month", "carrier"])
            .agg(
                name=("name", "max"),
                flights=("event_id", "size"),
                cancelled=("cancelled", "sum"),
                arrived_on_time=("arrived", "sum"),
                mean_arr_delay=("arr_delay", "mean"),
                seats_flown=("flown", lambda seats: seats.sum(min_count=1)),
            )
            .reset_index()
        )
        found.insert(6, "on_time_share", found.arrived_on_time / found.flights)
        return found
    flights["hour"] = flights.scheduled_departure.dt.floor("h")
    weather = silver["weather"].rename(columns={"time_hour": "hour"}).assign(observed=True)
    joined = flights.merge(weather, how="left", on=["origin", "hour"])
    joined["conditions"] = "clear"
    joined.loc[joined.wind_speed >= 20, "conditions"] = "strong wind"
    joined.loc[joined.precip > 0, "conditions"] = "rain"
    joined.loc[joined.visib < 3, "conditions"] = "low visibility"
    joined.loc[joined.observed.isna(), "conditions"] = "not observed"
    joined["delayed"] = joined.dep_delay > 15
    found = (
        joined.groupby(["month", "origin", "conditions"])
        .agg(
            flights=("event_id", "size"),
            cancelled=("cancelled", "sum"),
            delayed=("delayed", "sum"),
            departed=("dep_delay", "count"),
            mean_dep_delay=("dep_delay", "mean"),
            mean_wind_speed=("wind_speed", "mean"),
        )
        .reset_index()
    )
    found.insert(6, "delayed_share", found.delayed / found.departed)
    return found.drop(columns="departed")


def gold(aws: Aws, mart: str) -> pd.DataFrame:
    return aws.catalog().load_table(f"gold.{mart}").scan().to_pandas()


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_is_what_its_definition_says(
    aws: Aws,
    spark: SparkSession,
    contracts: Contracts,
    silver: Mapping[str, pd.DataFrame],
    mart: str,
) -> None:
    contract = contracts[mart]

    done = build(aws, spark, contract, select(mart), contracts=contracts, clock=NOW, run_id="run-1")

    assert done.published
    key = list(contract.deduplicate.key)
    found = gold(aws, mart).sort_values(key, ignore_index=True)
    wanted = expected(mart, silver).sort_values(key, ignore_index=True)
    assert list(found.columns) == [field.name for field in contract.fields]
    assert done.rows == len(wanted)
    assert_frame_equal(found, wanted[list(found.columns)], check_dtype=False, rtol=1e-9)


@pytest.mark.usefixtures("silver")
@pytest.mark.parametrize("mart", MARTS)
def test_athena_gives_the_same_rows_for_a_marts_select(
    aws: Aws, spark: SparkSession, contracts: Contracts, emulator: str, mart: str
) -> None:
    contract = contracts[mart]
    made = plan(aws, contract, select(mart), contracts)
    found = spark.sql(pinned(mart, select(mart), made.inputs)).collect()
    by_spark = [row.asDict() for row in found]
    lake = Lake(aws.client("glue"), emulator, "us-east-1")
    with lake.connect() as athena:
        asked = athena.execute(lake.prepare(athena, select(mart), "silver"))
        by_athena = asked.to_arrow_table().to_pylist()

    def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = [
            {
                f.name: f"{row[f.name]:.9g}"
                if isinstance(row[f.name], float)
                else str(row[f.name])[:10]
                if f.type == "date"
                else row[f.name]
                for f in contract.fields
            }
            for row in rows
        ]
        return sorted(found, key=lambda row: [str(row[name]) for name in contract.deduplicate.key])

    assert by_spark
    assert comparable(by_spark) == comparable(by_athena)


@pytest.mark.usefixtures("silver")
def test_an_unchanged_mart_is_left_alone_and_a_changed_input_makes_it_anew(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract, sql = contracts["carrier_on_time"], select("carrier_on_time")
    build(aws, spark, contract, sql, contracts=contracts, clock=NOW, run_id="run-2")
    assert plan(aws, contract, sql, contracts).current
    assert (
        build(aws, spark, contract, sql, contracts=contracts, clock=NOW, run_id="run-3").published
        is False
    )

    deliver(aws, contracts["airlines"], 1, [{"carrier": "UA", "name": "United"}])
    promote(aws, spark, contracts["airlines"], clock=NOW, run_id="run-4")
    assert build(
        aws, spark, contract, sql, contracts=contracts, clock=NOW, run_id="run-5"
    ).published

    names = dict(
        zip(
            gold(aws, "carrier_on_time")["carrier"],
            gold(aws, "carrier_on_time")["name"],
            strict=True,
        )
    )
    assert names["UA"] == "United"
    table = aws.catalog().load_table("gold.carrier_on_time")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    inputs = msgspec.json.decode(snapshot.summary["lakehouse.inputs"] or "")
    assert inputs == msgspec.json.decode(table.properties["lakehouse.inputs"])
    airlines = aws.catalog().load_table("silver.airlines").current_snapshot()
    assert airlines is not None
    assert inputs["silver.airlines"] == airlines.snapshot_id
    assert read_verdicts(aws, "carrier_on_time")[-1].inputs == inputs


def test_a_mart_waits_for_an_input_without_rows(aws: Aws, contracts: Contracts) -> None:
    contract = msgspec.structs.replace(contracts["carrier_on_time"], inputs=())
    sql = "SELECT a.faa FROM silver.airports AS a JOIN silver.flights AS f ON true"
    assert plan(aws, contract, sql, contracts).waits_for == ("silver.airports",)


@pytest.mark.usefixtures("silver")
def test_a_select_with_other_columns_runs_nothing(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    sql = select("route_punctuality").replace("dest,", "count(*) AS dest,", 1)
    sql = sql.replace("origin, dest", "origin")
    before = aws.catalog().load_table("gold.route_punctuality").metadata_location

    with pytest.raises(ContractError, match="column 3 is 'dest bigint' instead of 'dest string'"):
        build(
            aws,
            spark,
            contracts["route_punctuality"],
            sql,
            contracts=contracts,
            clock=NOW,
            run_id="run-6",
        )

    assert aws.catalog().load_table("gold.route_punctuality").metadata_location == before


@pytest.mark.usefixtures("silver")
def test_a_mart_that_fails_its_gate_is_held_and_the_old_one_stays(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = contracts["route_punctuality"]
    before = len(gold(aws, "route_punctuality"))
    sql = select("route_punctuality").replace("count(*) AS flights", "count(*) - 1 AS flights")

    with pytest.raises(GateError, match="flights keeps its rules"):
        build(aws, spark, contract, sql, contracts=contracts, clock=NOW, run_id="run-7")

    assert len(gold(aws, "route_punctuality")) == before
    with pytest.raises(GateError, match="is held"):
        plan(aws, contract, sql, contracts)
    assert plan(aws, contract, select("route_punctuality"), contracts).current
