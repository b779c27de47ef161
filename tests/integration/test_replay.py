"""Rejects are replayed once, whatever fails, and loads of every kind go on behind a replay."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.aggregates import aggregate
from support.waiting import wait_for

from lakehouse.aws import Aws
from lakehouse.cli import app as cli
from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.decoding.kpl import UserRecord
from lakehouse.ingestion import ingest, replay
from lakehouse.ingestion.icetable import IcebergLoadTable
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.rejectlist import LoadRejects, list_rejects
from lakehouse.ingestion.rejects import deliveries, reject_counts
from lakehouse.ingestion.replay import ReplayReport
from lakehouse.ingestion.streamplan import StreamPlanner
from lakehouse.naming import landing_prefix
from lakehouse.store import S3Store
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_numbers = itertools.count(1)
ALL = RejectFilter()
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

STATIONS = Contract(
    dataset="stations",
    version="1.0.0",
    description="",
    owner="tests",
    fields=(
        Field(name="station", type="string", required=True, pattern="^[A-Z]{3}$"),
        Field(name="elevation", type="number", minimum=-500, maximum=9000),
    ),
    source="files",
    format=FileFormat(type="csv"),
    deduplicate=Deduplicate(key=("station",)),
)


def widened(contract: Contract) -> Contract:
    """Stations of four letters too; elevations as before."""
    station, *rest = contract.fields
    fields = (msgspec.structs.replace(station, pattern="^[A-Z]{3,4}$"), *rest)
    return msgspec.structs.replace(contract, version="1.1.0", fields=fields)


def drop(aws: Aws, contract: Contract, name: str, body: bytes) -> None:
    key = landing_prefix(contract.dataset) + name
    aws.client("s3").put_object(Bucket=aws.bucket("landing"), Key=key, Body=body)


def land(aws: Aws, contract: Contract) -> list[int]:
    return [p.load for p in ingest.land(aws, contract, ingest.on_driver(aws, contract))]


def replayed(aws: Aws, contract: Contract, which: RejectFilter = ALL) -> ReplayReport:
    return ingest.replay(aws, contract, which, ingest.on_driver(aws, contract))


def rows(aws: Aws, contract: Contract) -> list[dict[str, Any]]:
    table = load_table(aws, "bronze", contract.dataset)
    assert table is not None
    return table.scan().to_arrow().to_pylist()


def position(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["_source"], row["_sequence"], row["_index"]


def counting(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that count: of each position the newest attempt."""
    newest = {position(row): row for row in sorted(found, key=lambda row: row["_attempt"])}
    return list(newest.values())


def said(found: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows without what differs between two runs: loads and times."""
    return sorted(
        (row["_source"].rpartition("/")[2], row["_index"], row["_attempt"], row["station"] or "",
         (row["_reject"] or {}).get("code", "good"), bytes(row["_payload"]))
        for row in found
    )  # fmt: skip


@pytest.fixture
def stations(aws: Aws) -> Contract:
    return landed(aws)


def landed(aws: Aws) -> Contract:
    """Two loads: 3 good, 4 rejects for their pattern, 1 out of range, 1 no row."""
    contract = msgspec.structs.replace(STATIONS, dataset=f"stations{next(_numbers)}")
    drop(aws, contract, "a.csv", b"station,elevation\nEWR,5.5\nKEWR,5.5\nKJFK,4\nEWR,9999\n")
    land(aws, contract)
    drop(aws, contract, "b.csv", b"station,elevation\nJFK,4\nKLGA,6.4\nLGA,6.4\nK,1\nX,1,2\n")
    land(aws, contract)
    return contract


def test_what_today_s_contract_takes_becomes_good_once(aws: Aws, stations: Contract) -> None:
    wider = widened(stations)
    before = ingest.forecast(aws, wider, ALL)
    assert before.outcomes == {
        "malformed": {"malformed": 1},
        "pattern": {"good": 3, "pattern": 1},
        "range": {"range": 1},
    }
    assert (before.good, before.rejects, before.load) == (3, 6, None)
    assert len(rows(aws, stations)) == 9

    done = replayed(aws, wider)
    assert (done.load, done.outcomes, done.appended) == (2, before.outcomes, 3)
    brought = [row for row in rows(aws, stations) if row["_load"] == 2]
    columns = ("station", "_index", "_attempt", "_contract_version")
    assert {tuple(row[name] for name in columns) for row in brought} == {
        ("KEWR", 1, 1, "1.1.0"), ("KJFK", 2, 1, "1.1.0"), ("KLGA", 1, 1, "1.1.0"),
    }  # fmt: skip
    first = {position(row): row for row in rows(aws, stations) if not row["_attempt"]}
    for row in brought:
        for kept in ("_payload", "_arrived_at", "_partition_key"):
            assert row[kept] == first[position(row)][kept]

    again = replayed(aws, wider)
    assert (again.load, again.appended, again.good) == (3, 0, 0)
    table = load_table(aws, "bronze", stations.dataset)
    assert table is not None
    assert table.properties["lakehouse.load"] == "2"
    assert len(rows(aws, stations)) == 12


def test_a_filter_bounds_what_is_replayed(aws: Aws, stations: Contract) -> None:
    wider = widened(stations)
    arrived = max(row["_arrived_at"] for row in rows(aws, stations))
    assert replayed(aws, wider, RejectFilter(codes=("range", "type"))).outcomes == {
        "range": {"range": 1}
    }
    assert ingest.forecast(aws, wider, RejectFilter(since=arrived)).good == 1
    assert ingest.forecast(aws, wider, RejectFilter(until=arrived)).good == 2
    assert replayed(aws, wider, RejectFilter(first=1, last=1)).good == 1
    assert replayed(aws, wider, RejectFilter(last=0, codes=("pattern",))).good == 2
    assert ingest.forecast(aws, wider, ALL).good == 0


def test_a_load_of_several_parts_is_one_replay(
    aws: Aws, stations: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_PART_REJECTS", 1)
    done = replayed(aws, widened(stations))
    assert done.load is not None
    plan = ingest.open_ledger(aws, stations.dataset).plan(done.load)
    assert plan is not None
    assert len(plan.parts) == 2
    assert (done.good, done.appended) == (3, 3)


def test_another_reason_is_a_new_attempt_that_counts_from_then_on(
    aws: Aws, stations: Contract
) -> None:
    station, elevation = widened(stations).fields
    lower = msgspec.structs.replace(elevation, maximum=5)
    other = msgspec.structs.replace(stations, version="1.2.0", fields=(station, lower))
    done = replayed(aws, other)
    assert done.outcomes["pattern"] == {"good": 1, "pattern": 1, "range": 2}
    assert done.appended == 3
    assert reject_counts(aws, stations, [0, 1, 2], upto=1) == {
        0: {"pattern": 2, "range": 1}, 1: {"pattern": 2, "malformed": 1},
    }  # fmt: skip
    now = {0: {"range": 1}, 1: {"pattern": 1, "malformed": 1}, 2: {"range": 2}}
    assert reject_counts(aws, stations, [0, 1, 2]) == now
    rejected = [row for row in counting(rows(aws, stations)) if row["_reject"]]
    assert len(rejected) == sum(sum(codes.values()) for codes in now.values())
    assert replayed(aws, other).appended == 0
    last = replayed(aws, widened(stations))
    assert last.outcomes["range"] == {"good": 2, "range": 1}
    assert {row["_attempt"] for row in rows(aws, stations) if row["_load"] == last.load} == {2}
    assert reject_counts(aws, stations, [2]) == {}


def test_counts_are_the_same_before_and_after_a_compaction(aws: Aws, stations: Contract) -> None:
    replayed(aws, widened(stations))
    before = list_rejects(aws, stations, ALL)
    assert before.deliveries == 9
    assert before.loads == (
        LoadRejects(0, 4, {"range": 1}), LoadRejects(1, 5, {"pattern": 1, "malformed": 1}),
    )  # fmt: skip
    table = load_table(aws, "bronze", stations.dataset)
    assert table is not None
    table.overwrite(table.scan().to_arrow())
    assert list_rejects(aws, stations, ALL) == before
    assert deliveries(table, RejectFilter(first=1)) == {1: 5}
    assert replayed(aws, widened(stations)).appended == 0


RECORDS = (
    {"station": "EWR", "elevation": 5.5, "opened": NOON},
    {"station": "KEWR", "elevation": 5.5, "opened": NOON},
    {"station": "KJFK", "elevation": 9999.0, "opened": None},
    {"station": "k", "elevation": None, "opened": NOON},
)


def as_parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(RECORDS)), out)
    return out.getvalue()


def as_avro() -> bytes:
    time = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [
        {"name": "station", "type": "string"},
        {"name": "elevation", "type": ["null", "double"]},
        {"name": "opened", "type": ["null", time]},
    ]
    out = io.BytesIO()
    schema = {"type": "record", "name": "station", "fields": fields}
    fastavro.writer(out, fastavro.parse_schema(schema), RECORDS)
    return out.getvalue()


def as_json() -> list[bytes]:
    return [msgspec.json.encode(record) for record in RECORDS]


def as_csv() -> bytes:
    lines = ["station,elevation,opened", *(",".join(map(cell, r.values())) for r in RECORDS)]
    return "\n".join(lines).encode("utf-16")


def cell(value: object) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


@pytest.mark.parametrize(
    ("fmt", "body"),
    [
        (FileFormat(type="parquet"), as_parquet()),
        (FileFormat(type="avro"), as_avro()),
        (FileFormat(type="ndjson"), b"\n".join(as_json())),
        (FileFormat(type="ndjson", compression="gzip"), gzip.compress(b"\n".join(as_json()))),
        (FileFormat(type="json", records="a.b"), b'{"a": {"b": [%s]}}' % b",".join(as_json())),
        (FileFormat(type="csv", encoding="utf-16"), as_csv()),
        (FileFormat(type="csv", encoding="utf-16", compression="gzip"), gzip.compress(as_csv())),
    ],
    ids=lambda value: value.type if isinstance(value, FileFormat) else "",
)
def test_a_file_of_any_format_is_replayed_as_if_it_landed_today(
    aws: Aws, fmt: FileFormat, body: bytes
) -> None:
    fields = (*STATIONS.fields, Field(name="opened", type="timestamp"))
    narrow, fresh = (
        msgspec.structs.replace(
            STATIONS, dataset=f"stations{next(_numbers)}", fields=fields, format=fmt
        )
        for _ in range(2)
    )
    for contract in (narrow, widened(fresh)):
        drop(aws, contract, "a", body)
        land(aws, contract)
    assert reject_counts(aws, narrow, [0]) == {0: {"pattern": 3}}
    done = replayed(aws, widened(narrow))
    assert done.outcomes == {"pattern": {"good": 1, "pattern": 1, "range": 1}}
    assert values(counting(rows(aws, narrow))) == values(rows(aws, fresh))


def values(found: Iterable[dict[str, Any]]) -> list[str]:
    """Rows by what was decoded; a reason that stayed the same keeps its first words."""
    columns = ("station", "elevation", "opened", "_index", "_payload")
    return sorted(
        str([*(row[name] for name in columns), (row["_reject"] or {}).get("code")]) for row in found
    )


class StoppedError(Exception):
    """The process ends here."""


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends the process before the n-th of the steps that others can see, or right after it."""
    left = [0]

    def wrapped(kind: type, name: str) -> None:
        was = getattr(kind, name)

        def step(*args: Any, **also: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise StoppedError
            answer = was(*args, **also)
            left[0] -= 1
            if left[0] == 0:
                raise StoppedError
            return answer

        monkeypatch.setattr(kind, name, step)

    wrapped(S3Store, "put_if_absent")
    wrapped(IcebergLoadTable, "append")

    def arm(steps: int) -> None:
        left[0] = steps

    return arm


def test_a_replay_that_is_stopped_anywhere_ends_as_a_clean_one_does(
    aws: Aws, stop_at: Callable[[int], None]
) -> None:
    clean = landed(aws)
    replayed(aws, widened(clean))
    expected = said(rows(aws, clean))
    stops = 0
    for steps in itertools.count(1):
        contract = landed(aws)
        stop_at(steps)
        try:
            replayed(aws, widened(contract))
        except StoppedError:
            stops += 1
        else:
            stop_at(0)
            break
        stop_at(0)
        replayed(aws, widened(contract))
        assert said(rows(aws, contract)) == expected, f"stopped at step {steps}"
        assert replayed(aws, widened(contract)).appended == 0
        # What was landed before is not landed again, whichever process went on.
        assert land(aws, contract) == []
        drop(aws, contract, "c.csv", b"station,elevation\nBOS,6\n")
        assert len(land(aws, contract)) == 1
    # The marks of what was landed, the plan, the claim and the commit, each before and after.
    assert stops >= 8


def test_whoever_lands_next_carries_out_a_replay_that_was_left(
    aws: Aws, stations: Contract, stop_at: Callable[[int], None]
) -> None:
    stop_at(2 * 2 + 2)
    with pytest.raises(StoppedError):
        replayed(aws, widened(stations))
    stop_at(0)
    assert ingest.open_loads(aws, stations).progress().pending is not None
    # By the contract of the plan, not by its own.
    assert land(aws, stations) == [2]
    assert len([row for row in rows(aws, stations) if row["_attempt"]]) == 3


def test_parts_of_a_replay_are_worked_on_in_spark_tasks(
    aws: Aws, stations: Contract, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_PART_REJECTS", 1)
    wider = widened(stations)
    done = ingest.replay(aws, wider, ALL, ingest.on_spark(spark, aws, wider))
    assert done.outcomes == {
        "malformed": {"malformed": 1}, "pattern": {"good": 3, "pattern": 1}, "range": {"range": 1},
    }  # fmt: skip
    assert len([row for row in rows(aws, stations) if row["_load"] == done.load]) == 3


@pytest.fixture
def trades(aws: Aws) -> Contract:
    contract = Contract(
        dataset=f"trades{next(_numbers)}",
        version="1.0.0",
        description="",
        owner="tests",
        fields=(
            Field(name="id", type="integer", required=True),
            Field(name="price", type="number", required=True),
        ),
        source="stream",
        format=FileFormat(type="json"),
        deduplicate=Deduplicate(key=("id",)),
    )
    kinesis, name = aws.client("kinesis"), aws.stream(contract.dataset)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    wait_for(
        lambda: (
            kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"][
                "StreamStatus"
            ]
            == "ACTIVE"
        )
    )
    return contract


def send(aws: Aws, contract: Contract, *records: bytes) -> None:
    name = aws.stream(contract.dataset)
    for record in records:
        aws.client("kinesis").put_record(StreamName=name, Data=record, PartitionKey="k")


def read_stream(aws: Aws, contract: Contract) -> list[int]:
    loads = ingest.open_loads(aws, contract)
    planner = StreamPlanner(Stream.of(aws, contract))
    execute = ingest.on_driver(aws, contract)
    done = []
    while (plan := loads.run(planner, execute)) is not None:
        done.append(plan.load)
    return done


def trade(number: int, **values: Any) -> bytes:
    return json.dumps({"id": number, "price": 1.5, **values}).encode()


def test_a_stream_goes_on_behind_a_replay_without_loss_or_repeats(
    aws: Aws, trades: Contract
) -> None:
    first = UserRecord("a", None, trade(3)), UserRecord("b", None, b'{"id": 4}')
    send(aws, trades, trade(0), b'{"id": 1}', b"{", trade(2, price="x"), aggregate(first))
    read_stream(aws, trades)
    price = msgspec.structs.replace(trades.fields[1], required=False)
    wider = msgspec.structs.replace(trades, version="1.1.0", fields=(trades.fields[0], price))
    send(aws, trades, trade(5))
    done = replayed(aws, wider)
    assert done.outcomes == {
        "malformed": {"malformed": 1}, "missing": {"good": 2}, "type": {"type": 1},
    }  # fmt: skip
    assert read_stream(aws, trades) != []
    send(aws, trades, b'{"id": 6}', trade(7))
    read_stream(aws, trades)
    assert replayed(aws, wider).good == 1
    assert replayed(aws, wider).appended == 0
    send(aws, trades, trade(8))
    read_stream(aws, trades)
    found = rows(aws, trades)
    assert len(found) == 10 + 3
    assert len({(*position(row), row["_attempt"]) for row in found}) == len(found)
    good = {row["id"]: row for row in counting(found) if not row["_reject"]}
    assert sorted(good) == [0, 1, 3, 4, 5, 6, 7, 8]
    assert (good[4]["_partition_key"], good[4]["_index"], good[4]["_attempt"]) == ("b", 1, 1)
    assert sorted(row["_reject"]["code"] for row in counting(found) if row["_reject"]) == [
        "malformed", "type",
    ]  # fmt: skip


CONTRACT_FILE = """
apiVersion: v3.1.0
kind: DataContract
id: DATASET
version: VERSION
status: active
team: {name: meteorology}
customProperties:
  - {property: source, value: files}
schema:
  - name: DATASET
    properties:
      - {name: station, logicalType: string, primaryKey: true, classification: CLASS,
         logicalTypeOptions: {pattern: 'PATTERN'}}
      - {name: elevation, logicalType: number, logicalTypeOptions: {minimum: -500, maximum: 9000}}
"""


@pytest.fixture
def command(
    aws: Aws, stations: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:  # fmt: skip
    def run(*arguments: str, classified: str = "public", version: str = "1.1.0") -> str:
        wide = version != "1.0.0"
        values = {
            "DATASET": stations.dataset, "VERSION": version, "CLASS": classified,
            "PATTERN": "^[A-Z]{3,4}$" if wide else "^[A-Z]{3}$",
        }  # fmt: skip
        text = CONTRACT_FILE
        for name, value in values.items():
            text = text.replace(name, value)
        (tmp_path / "stations.yaml").write_text(text)
        options = ("--prefix", aws.prefix, "--contracts", str(tmp_path))
        monkeypatch.setattr(sys, "argv", ["lakehouse", *options, "rejects", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        assert not ended.value.code, told.err
        return told.out

    return run


def test_the_commands_list_show_and_replay(
    aws: Aws, stations: Contract, command: Callable[..., str]
) -> None:
    name = stations.dataset
    listed = command("list")
    assert [line.split() for line in listed.splitlines()] == [
        ["dataset", "reason", "loads", "rejects", "share"],
        [name, "pattern", "0-1", "4", "44.44%"],
        [name, "range", "0", "1", "11.11%"],
        [name, "malformed", "1", "1", "11.11%"],
        ["6", "rejects", "of", "9", "deliveries,", "66.67%"],
    ]
    of_one = json.loads(command("list", name, "--load", "1", "--json"))
    assert of_one == [
        {"dataset": name, "deliveries": 5,
         "loads": [{"load": 1, "deliveries": 5, "rejected": {"pattern": 2, "malformed": 1}}]}
    ]  # fmt: skip
    assert "next: lakehouse rejects replay" in command("list", name)

    (row,) = json.loads(command("show", name, "--reason", "range", "--json"))
    assert (row["load"], row["index"], row["code"]) == (0, 3, "range")
    assert row["payload"] == r"station,elevation\nEWR,9999\n"
    hidden = command("show", name, classified="confidential")
    assert "KLGA" not in hidden
    assert "withheld" in hidden
    assert '"elevation":"6.4"' in hidden
    assert command("show", name, "--limit", "2").splitlines()[-1] == (
        f"2 rejects of {name} of 6, newest load first: --limit shows more"
    )

    dry = command("replay", name, "--dry-run")
    assert f"3 of 6 rejects of {name} would be good by contract 1.1.0; nothing was written" in dry
    assert len(rows(aws, stations)) == 9
    done = command("replay", name, "--here")
    assert f"3 of 6 rejects of {name} good by contract 1.1.0: load 2 added 3 rows" in done
    again = json.loads(command("replay", name, "--here", "--json"))
    assert (again["load"], again.get("appended", 0)) == (3, 0)
    assert "is empty: nothing turned out differently" in command("replay", name, "--here")
    assert f"no reject of {name} to replay" in command("replay", name, "--reason", "enum", "--here")
