"""The command line against a local estate as 'lakehouse local up' builds it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import boto3
import msgspec
import pytest

from lakehouse.aws import Aws
from lakehouse.cli import app as cli
from lakehouse.contracts.model import Contracts
from lakehouse.ingestion.ingest import land, on_driver
from localaws.local import LocalEstate

PREFIX = "lakehouse-local"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Lakehouse = Callable[..., Said]


@pytest.fixture
def lakehouse(
    local_estate: LocalEstate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Lakehouse:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(local_estate.home))
    monkeypatch.delenv("LAKEHOUSE_PREFIX")

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["lakehouse", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


def read_stream(stream: str) -> list[bytes]:
    kinesis = boto3.client("kinesis")
    records = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records += kinesis.get_records(ShardIterator=iterator)["Records"]
    return [record["Data"] for record in records]


def test_the_estate_is_found_without_being_told_where_it_is(
    local_estate: LocalEstate, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in local_estate.env:
        monkeypatch.delenv(name, raising=False)
    said = lakehouse("status")
    assert said.code == 0
    assert f"{PREFIX}  local estate at {local_estate.emulator_url}" in said.out
    assert lakehouse("local", "status").out.startswith(f"up  {PREFIX} in ")


def test_lines_reach_the_stream_untouched_the_malformed_too(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    lines = [b'{"event_id": "a",  "n": 1}', b"{oops", b"\xff\xfe", b'{"event_id": "a"}']
    path = tmp_path / "flights.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    said = lakehouse("produce", "flights", path)
    assert said.code == 0
    assert said.out.startswith(f"4 acknowledged by {PREFIX}-flights, 0 sent again, ")
    arrived = read_stream(f"{PREFIX}-flights")
    assert sorted(arrived) == sorted(lines)
    assert arrived.index(lines[0]) < arrived.index(lines[3])


def test_nothing_of_a_file_is_sent_when_a_line_of_it_cannot_be(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    before = len(read_stream(f"{PREFIX}-flights"))
    path = tmp_path / "flights.ndjson"
    path.write_bytes(b"{}\n" + b"x" * (1 << 20))
    said = lakehouse("produce", "flights", path)
    assert (said.code, said.out) == (1, "")
    assert f"error: {path}:2: the record has 1,048,576 bytes" in said.err
    assert len(read_stream(f"{PREFIX}-flights")) == before


def test_a_dropped_file_shows_in_the_status_once_it_has_landed(
    lakehouse: Lakehouse,
    tmp_path: Path,
    contracts: Contracts,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "airlines.csv"
    path.write_bytes(b"carrier,name\nAA,American\nUA,United\nnope,\n")
    said = lakehouse("drop", "airlines", path)
    assert said.code == 0
    assert said.out.splitlines() == [
        f"s3://{PREFIX}-landing/airlines/airlines.csv",
        "next: lakehouse run land airlines",
    ]
    aws = Aws.from_env(PREFIX)
    land(aws, contracts["airlines"], on_driver(aws, contracts["airlines"]))
    capsys.readouterr()

    (airlines,) = [
        line
        for line in msgspec.json.decode(lakehouse("status", "--json").out)
        if line["dataset"] == "airlines"
    ]
    assert (airlines["bronze"], airlines["rejected"], airlines["silver"]) == (3, 1, None)
    assert (airlines["load"], airlines["promoted"], airlines["verdict"]) == (0, None, None)
    assert "airlines: 1 load new: lakehouse run promote airlines" in lakehouse("status").out


def test_sql_is_answered_by_athena(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    said = lakehouse("sql", "SELECT 1 AS one, 'x' AS two", "--format", "json")
    assert (said.code, said.out) == (0, '{"one":1,"two":"x"}\n')
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT nothing FROM nowhere.at_all"))
    said = lakehouse("sql", "-")
    assert said.code == 1
    assert said.err.startswith("error: Athena failed the query: ")


def test_a_run_says_what_it_did_to_each_dataset(lakehouse: Lakehouse) -> None:
    # Without new loads the job ends before it starts Spark.
    said = lakehouse("run", "promote", "planes", "weather")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith(f"succeeded  {PREFIX}-promote in ")
    assert lines[1:] == ["  planes   nothing new", "  weather  nothing new"]


def test_a_run_that_fails_names_reason_and_log(
    lakehouse: Lakehouse, local_estate: LocalEstate
) -> None:
    glue = boto3.client("glue")
    script = glue.get_job(JobName=f"{PREFIX}-marts")["Job"]["Command"]["ScriptLocation"]
    bucket, _, key = script.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"raise SystemExit('error: broken')")
    said = lakehouse("run", "marts")
    assert said.code == 1
    assert "failed" in said.out.splitlines()[0]
    assert f"{PREFIX}-marts ended as FAILED: broken; its log: {local_estate.home}" in said.err
    log = Path(said.err.strip().rpartition("its log: ")[2])
    assert "error: broken" in log.read_text()


def test_the_doctor_tells_what_the_emulator_cannot_be_asked(lakehouse: Lakehouse) -> None:
    said = lakehouse("doctor", "--stack", "local", "--json")
    found = msgspec.json.decode(said.out)["findings"]
    assert (said.code, {f["level"] for f in found}) == (0, {"ok", "warn", "not asked"})
    unasked = {f["check"] for f in found if f["level"] == "not asked"}
    assert {"lake formation", "catalog", "schema registry", "quotas"} <= unasked
    databases = next(f["said"] for f in found if f["check"] == "databases")
    assert databases == "already this deployment's: bronze, gold, governance, silver"
    assert [f for f in found if f["level"] != "ok" and not f["mend"]] == []
    said = lakehouse("doctor", "--stack", "local")
    assert said.out.splitlines()[0] == "local  lakehouse-local in us-east-1"


def test_a_job_that_is_not_there_is_one_line(lakehouse: Lakehouse, tmp_path: Path) -> None:
    said = lakehouse("--prefix", "elsewhere", "run", "land")
    assert (said.code, said.err) == (
        1,
        "error: no Glue job elsewhere-land; deploy the estate first\n",
    )
    path = tmp_path / "flights.ndjson"
    path.write_bytes(b"{}\n")
    said = lakehouse("--prefix", "elsewhere", "produce", "flights", path)
    assert said.err == "error: there is no stream elsewhere-flights; deploy the estate first\n"
    said = lakehouse("--prefix", "elsewhere", "drop", "weather", _weather(tmp_path))
    assert said.code == 1
    assert "elsewhere-landing" in said.err
    assert said.err.count("\n") == 1


def _weather(folder: Path) -> Path:
    path = folder / "w.json"
    path.write_bytes(b'{"observations": [{"origin": "JFK"}]}')
    return path
