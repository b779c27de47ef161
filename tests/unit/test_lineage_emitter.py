"""OpenLineage events: what they say, and that sending them never disturbs a job."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from support.refining import contract_of
from support.verdicts import range_check, silver

from lakehouse import aws as aws_module
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, StreamSource
from lakehouse.errors import InputError
from lakehouse.ingestion.ledger import ObjectRef
from lakehouse.ingestion.loads import LoadReport
from lakehouse.lineage import facts
from lakehouse.lineage.emitter import Emitter
from lakehouse.lineage.events import Done, Events, StepRun

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AWS = Aws("lake", "eu-west-1")
THINGS = contract_of()
REPORT = LoadReport(
    dataset="things",
    load=7,
    parts=2,
    good=90,
    rejected={"type": 10},
    payload_bytes=1000,
    behind_ms={},
    through=NOW,
    stage_seconds=1.0,
    publish_seconds=0.2,
    seconds=30.0,
)


class Sts:
    def get_caller_identity(self) -> Mapping[str, str]:
        return {"Account": "123456789012"}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "_client", lambda *_: Sts())
    monkeypatch.setattr(facts, "load_table", lambda *_: None)


class Endpoint:
    """An endpoint that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None, dict[str, Any]]] = []
        self.answer = 201
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.got.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(endpoint.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


def emitter(url: str) -> Emitter:
    return Emitter.from_url(url, AWS, run_id="jr_1", code="abc")


def done(_: Contract) -> Mapping[str, object]:
    return {"loads": [1]}


def broken(_: Contract) -> Mapping[str, object]:
    raise ValueError("no such thing")


def test_without_an_address_nothing_is_wrapped() -> None:
    silent = emitter("")
    assert silent.observed("promote", done) is done
    observe = print
    assert silent.loads(Contracts([THINGS], "test"), observe) is observe
    silent.close()


@pytest.mark.parametrize("url", ["ftp://x/y", "s3://bucket/key", "http://"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected http"):
        emitter(url)


@pytest.mark.parametrize("form", ["{path}", "file://{path}"])
def test_a_file_gets_one_event_a_line(tmp_path: Path, form: str) -> None:
    path = tmp_path / "events.ndjson"
    for _ in range(2):
        to_file = emitter(form.format(path=path))
        assert to_file.observed("promote", done)(THINGS) == {"loads": [1]}
        to_file.close()
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [e["eventType"] for e in events] == ["START", "COMPLETE"] * 2
    first, second = events[:2]
    assert first["run"]["runId"] == second["run"]["runId"] != events[2]["run"]["runId"]
    assert first["job"]["namespace"] == "lake"
    assert first["job"]["name"] == "promote.things"
    assert first["run"]["facets"]["parent"]["job"] == {
        "facets": {},
        "namespace": "lake",
        "name": "lake-promote",
    }


def test_an_endpoint_gets_events_in_order_with_the_key(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    to_http = emitter(endpoint.url)
    with pytest.raises(ValueError, match="no such thing"):
        to_http.observed("marts", broken)(THINGS)
    to_http.close()
    paths = {(path, key) for path, key, _ in endpoint.got}
    assert paths == {("/api/v1/lineage", "Bearer secret")}
    start, fail = (event for _, _, event in endpoint.got)
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert fail["run"]["facets"]["errorMessage"]["message"] == "ValueError: no such thing"


def test_an_address_with_a_path_is_taken_as_it_is(endpoint: Endpoint) -> None:
    to_http = emitter(f"{endpoint.url}/events/in")
    to_http.observed("promote", done)(THINGS)
    to_http.close()
    assert {path for path, _, _ in endpoint.got} == {"/events/in"}


def test_an_endpoint_that_fails_fails_no_job_and_is_told_once(endpoint: Endpoint) -> None:
    endpoint.answer = 400
    with structlog.testing.capture_logs() as logs:
        to_http = emitter(endpoint.url)
        step = to_http.observed("promote", done)
        assert [step(THINGS) for _ in range(3)] == [{"loads": [1]}] * 3
        to_http.close()
    said = [(line["event"], line.get("events")) for line in logs]
    assert said == [("openlineage_failed", None), ("openlineage_not_sent", 6)]
    assert "400" in logs[0]["why"]


def test_nobody_listening_fails_no_job() -> None:
    with structlog.testing.capture_logs() as logs:
        nowhere = emitter("http://127.0.0.1:9")
        nowhere.observed("promote", done)(THINGS)
        nowhere.close()
    assert [line["event"] for line in logs] == ["openlineage_failed", "openlineage_not_sent"]


def test_facts_that_cannot_be_read_fail_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("access denied")

    monkeypatch.setattr(facts, "load_table", refused)
    with structlog.testing.capture_logs() as logs:
        to_file = emitter(str(tmp_path / "events.ndjson"))
        assert to_file.observed("promote", done)(THINGS) == {"loads": [1]}
        to_file.close()
    assert logs[0]["why"] == "OSError: access denied"


def test_a_load_is_told_first_and_emitted_then(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    told: list[LoadReport] = []
    to_file = emitter(str(path))
    to_file.loads(Contracts([THINGS], "test"), told.append)(REPORT)
    assert told == [REPORT]
    to_file.close()
    start, complete = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert complete["job"]["facets"]["jobType"]["processingType"] == "STREAMING"
    (stream,), (table,) = complete["inputs"], complete["outputs"]
    assert (stream["namespace"], stream["name"]) == (
        "arn:aws:kinesis:eu-west-1:123456789012",
        "stream/lake-things",
    )
    assert (table["namespace"], table["name"]) == (
        "arn:aws:glue:eu-west-1:123456789012",
        "table/bronze/things",
    )
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 100
    assert [f["name"] for f in table["facets"]["schema"]["fields"]] == ["id", "at", "state", "op"]
    loads = complete["run"]["facets"]["lakehouse_loads"]
    assert (loads["loads"], loads["good"], loads["rejected"]) == ([7], 90, {"type": 10})
    assert loads["_schemaURL"] == "urn:lakehouse:openlineage:LoadsRunFacet:1"
    assert "nominalTime" in start["run"]["facets"]


def step_run() -> StepRun:
    return StepRun(step="promote", contract=THINGS, run_id="jr_1", code="abc", began=NOW)


def test_a_verdict_is_a_run_of_the_gate_with_its_checks() -> None:
    verdict = silver(3, range_check(2), dataset="things")
    events = Events(AWS, "123456789012")
    start, fail, complete = events.ended(step_run(), NOW, Done(verdicts=(verdict,)), "")
    assert [e.eventType.value for e in (start, fail, complete) if e.eventType] == [
        *("START", "FAIL", "COMPLETE")
    ]
    assert fail.job.name == "gate.things"
    (candidate,) = fail.inputs or ()
    (assertion,) = candidate.inputFacets["dataQualityAssertions"].assertions
    assert (assertion.success, assertion.actual, assertion.expected) == (False, "2", "must be 0")
    assert candidate.facets["version"].datasetVersion == str(verdict.snapshot_id)
    assert fail.run.facets["parent"].run.runId == complete.run.runId
    assert fail.run.facets["errorMessage"].message == verdict.reason
    (again, *_) = events.ended(step_run(), NOW, Done(verdicts=(verdict,)), "")
    assert again.run.runId == start.run.runId


def test_many_objects_are_their_prefix() -> None:
    events = Events(AWS, "123456789012")
    refs = [ObjectRef(f"things/{n}.csv", f"v{n}", 10, NOW) for n in range(101)]
    one, *_ = named = events.datasets.objects(THINGS, refs[:100])
    assert len(named) == 100
    assert (one.namespace, one.name) == ("s3://lake-landing", "things/0.csv")
    assert one.facets["version"].datasetVersion == "v0"
    (all_of_them,) = events.datasets.objects(THINGS, refs)
    assert all_of_them.name == "things/"


def test_another_accounts_stream_keeps_its_name() -> None:
    arn = "arn:aws:kinesis:us-east-1:999999999999:stream/theirs"
    theirs = msgspec.structs.replace(THINGS, stream=StreamSource(arn=arn))
    found = Events(AWS, "123456789012").datasets.stream(theirs)
    assert (found.namespace, found.name) == (
        "arn:aws:kinesis:us-east-1:999999999999",
        "stream/theirs",
    )
