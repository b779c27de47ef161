"""Streams and files into bronze, against the emulator."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest
from support.aggregates import aggregate

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts, Field, StreamSource
from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding import kpl
from lakehouse.errors import EstateError, LakehouseError
from lakehouse.ingestion import ingest
from lakehouse.ingestion.icetable import IcebergLoadTable
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.ledger import Limits
from lakehouse.ingestion.loads import LoadReport, Loads
from lakehouse.ingestion.orphans import remove_orphans
from lakehouse.ingestion.streamplan import StreamPlanner
from lakehouse.ingestion.tablefiles import TableFiles, referenced
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]


def flight(number: int, **change: object) -> bytes:
    record = {
        "event_id": f"{number:032x}", "flight_date": "2013-01-01",
        "scheduled_departure": "2013-01-01T10:15:00Z", "carrier": "UA", "flight": 1 + number % 9000,
        "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "dep_delay": 2.0, "arr_delay": 11.0,
        "air_time": 227.0, "distance": 1400,
    }  # fmt: skip
    return json.dumps(record | change).encode()


def send(aws: Aws, payloads: Sequence[bytes]) -> None:
    for start in range(0, len(payloads), 500):
        answer = aws.client("kinesis").put_records(
            StreamName=aws.stream("flights"),
            Records=[
                {"Data": payload, "PartitionKey": str(number)}
                for number, payload in enumerate(payloads[start : start + 500], start)
            ],
        )
        assert answer["FailedRecordCount"] == 0


def bronze(aws: Aws, dataset: str) -> pa.Table:
    table = load_table(aws, "bronze", dataset)
    assert table is not None
    return table.scan().to_arrow()


def codes(rows: pa.Table) -> Counter[str | None]:
    return Counter(reject and reject["code"] for reject in rows["_reject"].to_pylist())


@pytest.fixture(scope="module", autouse=True)
def stream_and_landing(aws: Aws) -> None:
    kinesis: Any = aws.client("kinesis")
    kinesis.create_stream(StreamName=aws.stream("flights"), ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(
        StreamName=aws.stream("flights"), WaiterConfig={"Delay": 1}
    )
    aws.client("s3").put_bucket_versioning(
        Bucket=aws.bucket("landing"), VersioningConfiguration={"Status": "Enabled"}
    )


@pytest.fixture
def flights(aws: Aws, contracts: Contracts) -> Loads:
    return ingest.open_loads(aws, contracts["flights"])


@pytest.fixture
def planner(aws: Aws, contracts: Contracts) -> StreamPlanner:
    return StreamPlanner(Stream.of(aws, contracts["flights"]), limits=Limits(records=1000))


def test_a_stream_lands_in_loads_with_its_rejects(
    aws: Aws, contracts: Contracts, flights: Loads, planner: StreamPlanner
) -> None:
    sent = [flight(n) for n in range(2500)] + [b"{", flight(1, distance=-1), flight(2)]
    send(aws, sent)
    execute = ingest.on_driver(aws, contracts["flights"])
    loads = []
    while (plan := flights.run(planner, execute)) is not None:
        loads.append(plan.load)
    rows = bronze(aws, "flights")
    assert loads == list(range(len(loads)))
    assert len(loads) > 1, "the limit of a load was not kept"
    assert Counter(rows["_payload"].to_pylist()) == Counter(sent)
    assert codes(rows) == {None: 2501, "malformed": 1, "range": 1}
    positions = set(
        zip(*(rows[c].to_pylist() for c in ("_source", "_sequence", "_index")), strict=True)
    )
    assert len(positions) == len(sent)


def test_an_unfinished_load_is_carried_out_by_the_next_driver(
    aws: Aws, contracts: Contracts, flights: Loads, planner: StreamPlanner
) -> None:
    before = bronze(aws, "flights").num_rows
    send(aws, [flight(n) for n in range(100)])
    planned = flights.plan(planner)
    assert planned is not None
    ingest.work_on(aws, contracts["flights"], planned, 0)
    send(aws, [flight(n) for n in range(50)])
    successor = ingest.open_loads(aws, contracts["flights"])
    execute = ingest.on_driver(aws, contracts["flights"])
    again = successor.run(planner, execute)
    assert again == planned
    while successor.run(planner, execute) is not None:
        pass
    assert bronze(aws, "flights").num_rows == before + 150


def test_a_missing_stream_is_said(aws: Aws, contracts: Contracts) -> None:
    elsewhere = msgspec.structs.replace(aws, prefix="nowhere")
    with pytest.raises(EstateError, match="no stream nowhere-flights"):
        Stream.of(elsewhere, contracts["flights"]).retention()


def test_aggregates_and_hostile_records_each_have_a_place(
    aws: Aws, contracts: Contracts, flights: Loads, planner: StreamPlanner
) -> None:
    before = bronze(aws, "flights").num_rows
    packed = [kpl.UserRecord(f"k{n}", None, flight(n)) for n in range(5)]
    late = flight(1, scheduled_departure="9999-12-31T23:59:59-14:00")
    sent = [aggregate(packed), flight(7), b"\xff\xfe", b"", late]
    send(aws, sent)
    execute = ingest.on_driver(aws, contracts["flights"])
    while flights.run(planner, execute) is not None:
        pass
    rows = bronze(aws, "flights").to_pylist()
    new = [row for row in rows if row["_load"] == max(r["_load"] for r in rows)]
    assert len(rows) == before + 9
    assert {(r["_partition_key"], r["_index"]) for r in new if r["_index"]} == {
        (f"k{n}", n) for n in range(1, 5)
    }
    bad = sorted(r["_reject"]["code"] for r in new if r["_reject"])
    assert bad == ["empty", "malformed", "range"]


def test_a_field_appears_as_a_column_once_the_contract_has_it(
    aws: Aws, contracts: Contracts, flights: Loads, planner: StreamPlanner
) -> None:
    """Until then it is kept in the payload, and the stream runs on."""
    old = contracts["flights"]
    send(aws, [flight(1, gate="B22")])
    while flights.run(planner, ingest.on_driver(aws, old)) is not None:
        pass
    gate = Field(name="gate", type="string", description="where passengers board")
    new = msgspec.structs.replace(old, fields=(*old.fields, gate), version="2.0.0")
    loads = ingest.open_loads(aws, new)
    send(aws, [flight(2, gate="C3"), flight(3)])
    while loads.run(planner, ingest.on_driver(aws, new)) is not None:
        pass
    rows = sorted(bronze(aws, "flights").to_pylist(), key=lambda row: row["_load"])[-3:]
    assert [row["gate"] for row in rows[1:]].count("C3") == 1
    assert [row["gate"] for row in rows].count(None) == 2
    assert b'"gate": "B22"' in rows[0]["_payload"]
    assert [row["_contract_version"] for row in rows] == [old.version, "2.0.0", "2.0.0"]


def test_another_accounts_stream_is_read_under_its_role(aws: Aws, contracts: Contracts) -> None:
    stream = StreamSource(
        arn=f"arn:aws:kinesis:us-east-1:000000000000:stream/{aws.stream('flights')}",
        role="arn:aws:iam::000000000000:role/reader",
    )
    partner = msgspec.structs.replace(contracts["flights"], dataset="partner", stream=stream)
    loads = ingest.open_loads(aws, partner)
    planner = StreamPlanner(Stream.of(aws, partner))
    while loads.run(planner, ingest.on_driver(aws, partner)) is not None:
        pass
    assert Counter(bronze(aws, "partner")["_payload"].to_pylist()) == Counter(
        bronze(aws, "flights")["_payload"].to_pylist()
    )


def test_what_a_table_needs_is_told_from_what_nothing_needs(aws: Aws, contracts: Contracts) -> None:
    table = load_table(aws, "bronze", "flights")
    assert table is not None
    stray = f"{table.location()}/data/_ingested_at_day=2026-01-01/stray.parquet"
    with table.io.new_output(stray).create() as out:
        out.write(b"left by a crash")
    before = bronze(aws, "flights").num_rows
    found = remove_orphans(
        ingest.open_ledger(aws, "flights"),
        TableFiles(aws.client("s3"), table),
        lambda: IcebergLoadTable(table).state().load,
        lambda: referenced(table),
        datetime.now(UTC) + timedelta(days=2),
        minimum_age=timedelta(days=1),
    )
    assert stray in found.paths
    assert not [path for path in found.paths if path.endswith(".parquet") and path != stray]
    assert bronze(aws, "flights").num_rows == before
    send(aws, [flight(1)])
    loads = ingest.open_loads(aws, contracts["flights"])
    planner = StreamPlanner(Stream.of(aws, contracts["flights"]))
    assert loads.run(planner, ingest.on_driver(aws, contracts["flights"])) is not None
    assert bronze(aws, "flights").num_rows == before + 1


def put(aws: Aws, key: str, body: bytes) -> None:
    aws.client("s3").put_object(Bucket=aws.bucket("landing"), Key=key, Body=body)


def test_each_version_of_an_object_lands_once(aws: Aws, contracts: Contracts) -> None:
    airlines = contracts["airlines"]
    execute = ingest.on_driver(aws, airlines)
    put(aws, "airlines/a.csv", b"carrier,name\nAA,American\nUA,United\n")
    assert [plan.load for plan in ingest.land(aws, airlines, execute)] == [0]
    assert ingest.land(aws, airlines, execute) == []
    put(aws, "airlines/a.csv", b"carrier,name\nAA,American Airlines\n")
    put(aws, "airlines/empty.csv", b"")
    put(aws, "airlines/other.csv", b"PK\x03\x04\xff\xfe")
    assert [plan.load for plan in ingest.land(aws, airlines, execute)] == [1]
    rows = bronze(aws, "airlines")
    assert codes(rows) == {None: 3, "empty": 1, "malformed": 1}
    assert rows.column_names[:2] == ["carrier", "name"]
    assert set(rows["_load"].to_pylist()) == {0, 1}


def test_pages_of_a_pull_land_as_their_records(aws: Aws, contracts: Contracts) -> None:
    weather = contracts["weather"]
    hours = [
        {"origin": "EWR", "time_hour": f"2013-01-01T{h:02d}:00:00Z", "temp": h} for h in range(5)
    ]
    put(aws, "weather/2013-01/page-1.json", json.dumps({"observations": hours[:3]}).encode())
    put(aws, "weather/2013-01/page-2.json", json.dumps({"observations": hours[3:]}).encode())
    assert len(ingest.land(aws, weather, ingest.on_driver(aws, weather))) == 1
    assert bronze(aws, "weather")["temp"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_spark_drains_the_stream_and_goes_on_where_the_ledger_stands(
    spark: SparkSession, aws: Aws, contracts: Contracts
) -> None:
    from lakehouse.ingestion.ingestquery import IngestQuery
    from lakehouse.ingestion.stream import LoadsSource, StreamOptions

    spark.dataSource.register(LoadsSource)
    done: list[LoadReport] = []
    ingest.open_loads(aws, contracts["flights"])
    before = bronze(aws, "flights").num_rows
    for sent, expected in ((700, 700), (300, 1000)):
        send(aws, [flight(n) for n in range(sent)])
        query = IngestQuery(spark, StreamOptions(aws, contracts["flights"]), done.append)
        query.start()
        assert query.drain() == {"loads": query.loads_done}
        assert bronze(aws, "flights").num_rows == before + expected
    assert sum(report.good for report in done) == 1000


def test_a_query_ends_between_two_loads(
    spark: SparkSession, aws: Aws, contracts: Contracts
) -> None:
    from lakehouse.ingestion.ingestquery import IngestQuery
    from lakehouse.ingestion.stream import LoadsSource, StreamOptions

    spark.dataSource.register(LoadsSource)
    published = threading.Event()
    query = IngestQuery(
        spark, StreamOptions(aws, contracts["flights"]), lambda _: published.set(), 0.0
    )
    send(aws, [flight(n) for n in range(10)])
    query.start()
    assert published.wait(60)
    assert query.alive
    query.end(seconds=30)
    assert not query.alive
    assert ingest.open_loads(aws, contracts["flights"]).progress().pending is None


def test_a_query_that_cannot_run_says_why(spark: SparkSession, aws: Aws) -> None:
    from lakehouse.ingestion.ingestquery import IngestQuery
    from lakehouse.ingestion.stream import LoadsSource, StreamOptions

    contract = load_contracts(ROOT / "quality" / "contracts")["flights"]
    elsewhere = msgspec.structs.replace(
        contract,
        stream=StreamSource(arn="arn:aws:kinesis:us-east-1:000000000000:stream/nowhere"),
    )
    spark.dataSource.register(LoadsSource)
    query = IngestQuery(spark, StreamOptions(aws, elsewhere), lambda _: None)
    query.start()
    with pytest.raises(LakehouseError, match=r"^no stream nowhere; deploy the estate"):
        query.drain()


def test_a_query_that_cannot_start_says_why_too(
    spark: SparkSession, aws: Aws, contracts: Contracts
) -> None:
    from lakehouse.ingestion.ingestquery import IngestQuery
    from lakehouse.ingestion.stream import LoadsSource, StreamOptions

    flights = contracts["flights"]
    ingest.open_loads(aws, flights)
    first = msgspec.structs.replace(flights.fields[0], type="integer", pattern=None)
    changed = msgspec.structs.replace(flights, fields=(first, *flights.fields[1:]))
    spark.dataSource.register(LoadsSource)
    query = IngestQuery(spark, StreamOptions(aws, changed), lambda _: None)
    query.start()
    assert not query.alive
    with pytest.raises(LakehouseError, match="a column keeps its type"):
        query.drain()


def test_spark_lands_files(spark: SparkSession, aws: Aws, contracts: Contracts) -> None:
    planes = contracts["planes"]
    put(aws, "planes/bad.csv", b"a,b\n1,2\n")
    assert len(ingest.land(aws, planes, ingest.on_spark(spark, aws, planes))) == 1
    assert codes(bronze(aws, "planes")) == {"header": 1}
