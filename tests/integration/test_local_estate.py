"""The local estate's life: up, down, up again, and what happens when something is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from lakehouse.errors import EstateError
from localaws import emulator, local
from localaws.local import LocalEstate
from localaws.state import State, Store
from tests.support.waiting import wait_for


def nothing(_contracts: Path, _estate: LocalEstate) -> None:
    """Builds an empty estate."""


def client(estate: LocalEstate, service: str) -> Any:
    url = estate.env.get(f"AWS_ENDPOINT_URL_{service.upper()}", estate.emulator_url)
    return emulator.client(service, url)


def start(home: Path, said: list[str] | None = None, **options: Any) -> LocalEstate:
    report = (said if said is not None else []).append
    return local.up(home, Path("contracts"), report, build=options.pop("build", nothing), **options)


def state_of(home: Path) -> State:
    state = Store(home).read()
    assert state is not None
    return state


def processes_of(home: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if any(str(home) in part for part in process.info["cmdline"] or [])
        or str(home) in (process.info["environ"] or {}).get("TMPDIR", "")
    ]


@pytest.fixture
def home(tmp_path: Path) -> Any:
    yield tmp_path
    local.down(tmp_path)
    assert not processes_of(tmp_path)


def test_state_survives_down_and_up(home: Path) -> None:
    estate = start(home)
    s3, kinesis, glue = (client(estate, name) for name in ("s3", "kinesis", "glue"))
    s3.create_bucket(Bucket="kept-bucket")
    s3.put_object(Bucket="kept-bucket", Key="a/b ü.json", Body=b"body")
    kinesis.create_stream(StreamName="kept", ShardCount=1)
    sent = kinesis.put_record(StreamName="kept", Data=b"record", PartitionKey="k")
    glue.create_database(DatabaseInput={"Name": "silver"})
    glue.create_table(DatabaseName="silver", TableInput={"Name": "t", "Parameters": {"p": "1"}})

    assert local.down(home)
    assert local.find(home) is None
    assert not processes_of(home)
    estate = start(home)

    s3, kinesis, glue = (client(estate, name) for name in ("s3", "kinesis", "glue"))
    assert s3.get_object(Bucket="kept-bucket", Key="a/b ü.json")["Body"].read() == b"body"
    iterator = kinesis.get_shard_iterator(
        StreamName="kept", ShardId=sent["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [(r["Data"], r["SequenceNumber"]) for r in records] == [
        (b"record", sent["SequenceNumber"])
    ]
    assert glue.get_table(DatabaseName="silver", Name="t")["Table"]["Parameters"] == {"p": "1"}


def test_a_second_up_leaves_a_running_estate_as_it_is(home: Path) -> None:
    first = start(home)
    before = state_of(home)
    said: list[str] = []
    assert start(home, said) == first == local.find(home)
    assert state_of(home) == before
    assert said == [f"the local estate is already up at {first.gateway_url}"]


def test_a_port_in_use_is_one_clear_error(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EstateError, match=rf"port {port} cannot be used"):
            start(home, port=port)
    assert local.find(home) is None


def test_a_build_that_fails_stops_what_was_started(home: Path) -> None:
    def fails(_contracts: Path, estate: LocalEstate) -> None:
        client(estate, "s3").create_bucket(Bucket="half-built")
        raise EstateError("no such stack")

    with pytest.raises(EstateError, match="no such stack"):
        start(home, build=fails)
    assert local.find(home) is None
    assert not processes_of(home)


def test_a_killed_gateway_is_cleaned_up_without_losing_data(home: Path) -> None:
    client(start(home), "s3").create_bucket(Bucket="kept-bucket")
    state = state_of(home)
    os.kill(state.gateway.pid, signal.SIGKILL)
    wait_for(lambda: not state.gateway.alive())
    assert state.emulator.alive()
    assert local.find(home) is None

    estate = start(home)

    assert not state.emulator.alive()
    buckets = client(estate, "s3").list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["kept-bucket"]


def test_a_killed_emulator_ends_the_estate_and_its_unsaved_data_are_set_aside(home: Path) -> None:
    client(start(home), "s3").create_bucket(Bucket="lost-bucket")
    state = state_of(home)
    os.kill(state.emulator.pid, signal.SIGKILL)
    wait_for(lambda: not state.gateway.alive())
    said: list[str] = []

    estate = start(home, said)

    assert not client(estate, "s3").list_buckets()["Buckets"]
    assert any("killed before it could save" in line for line in said)
    assert (home / "data.unsaved").is_dir()


def test_the_estate_ends_with_its_owner(home: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start(home, owner_pid=owner.pid)
    owner.kill()
    owner.communicate()
    wait_for(lambda: not processes_of(home))
    assert local.find(home) is None
    assert not Store(home).unsaved


def test_a_recycled_process_id_is_left_alone(home: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start(home)
    store, state = Store(home), state_of(home)
    local.down(home)
    stale = type(state.gateway)(bystander.pid, started=1.0)
    store.write(State("p", 1, 2, gateway=stale, emulator=stale, ready=True))
    try:
        assert local.find(home) is None
        start(home)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()


def test_the_program_builds_what_the_jobs_need(local_estate: LocalEstate) -> None:
    prefix = local_estate.prefix
    buckets = {b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]}
    assert {f"{prefix}-bronze", f"{prefix}-ledger", f"{prefix}-results"} <= buckets
    jobs = {job["Name"] for job in boto3.client("glue").get_jobs()["Jobs"]}
    assert {f"{prefix}-land", f"{prefix}-promote", f"{prefix}-marts"} <= jobs
    for audience in ("engineer", "analyst", "auditor"):
        name = f"{prefix}-{audience}"
        group = boto3.client("athena").get_work_group(WorkGroup=name)["WorkGroup"]
        assert group["State"] == "ENABLED"
