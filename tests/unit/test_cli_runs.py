"""Glue runs as ``lakehouse run`` follows them, and how it tells their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
import pytest
from botocore.stub import Stubber

from lakehouse.cli import follow
from lakehouse.cli.follow import jobs_of, run_step
from lakehouse.cli.runs import JobRun, failure, wait
from lakehouse.cli.status import DatasetStatus
from lakehouse.contracts.model import Contracts
from lakehouse.errors import EstateError


class FakeAws:
    """A deployment with nothing but Glue."""

    def __init__(self, glue: Any) -> None:
        self._glue = glue

    def client(self, service: str) -> Any:
        assert service == "glue"
        return self._glue

    def job(self, name: str) -> str:
        return f"p-{name}"


@pytest.fixture
def glue() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "glue", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        yield FakeAws(client), stub
        stub.assert_no_pending_responses()


def answered(state: str, run_id: str = "jr_1", **more: Any) -> dict[str, Any]:
    run = {"Id": run_id, "JobName": "p-land", "JobRunState": state, "StartedOn": datetime.now(UTC)}
    return {"JobRun": run | more}


def test_a_run_is_started_with_its_arguments_and_followed_to_its_end(
    glue: tuple[Any, Stubber],
) -> None:
    aws, stub = glue
    stub.add_response(
        "start_job_run",
        {"JobRunId": "jr_1"},
        {"JobName": "p-land", "Arguments": {"--datasets": "planes"}},
    )
    asked = {"JobName": "p-land", "RunId": "jr_1"}
    for state in ("STARTING", "RUNNING", "SUCCEEDED"):
        stub.add_response("get_job_run", answered(state), asked)
    seen: list[str] = []
    run = JobRun.start(aws, "land", {"--datasets": "planes"})
    (ended,) = wait([run], 0, lambda answers: seen.extend(a["JobRunState"] for a in answers))
    assert seen == ["STARTING", "RUNNING", "SUCCEEDED"]
    assert failure(ended, "log") is None


def test_all_runs_are_waited_for(glue: tuple[Any, Stubber]) -> None:
    aws, stub = glue
    for run_id, state in [
        ("a", "SUCCEEDED"),
        ("b", "RUNNING"),
        ("a", "SUCCEEDED"),
        ("b", "FAILED"),
    ]:
        stub.add_response("get_job_run", answered(state, run_id))
    ended = wait([JobRun(aws, "land", "a"), JobRun(aws, "land", "b")], 0, lambda _: None)
    assert [answer["JobRunState"] for answer in ended] == ["SUCCEEDED", "FAILED"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("EntityNotFoundException", "no Glue job p-land; deploy the estate first"),
        ("ConcurrentRunsExceededException", "p-land is running already"),
    ],
)
def test_a_run_that_cannot_start_says_why(glue: tuple[Any, Stubber], code: str, says: str) -> None:
    aws, stub = glue
    stub.add_client_error("start_job_run", code)
    with pytest.raises(EstateError, match=says):
        JobRun.start(aws, "land", {})


@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"])
def test_a_run_that_did_not_succeed_names_reason_and_log(state: str) -> None:
    answer = answered(state, ErrorMessage="error: planes: no column x")["JobRun"]
    assert failure(answer, "runs/jr_1.log") == (
        f"p-land ended as {state}: planes: no column x; its log: runs/jr_1.log"
    )
    assert "no reason given" in str(failure(answered(state)["JobRun"], ""))


def test_a_step_is_one_job_and_names_datasets_only_when_asked(contracts: Contracts) -> None:
    chosen = contracts.select(["planes", "weather"], "files", "pull")
    assert jobs_of("land", chosen, named=True, follow=False) == {
        "land": {"--datasets": "planes,weather"}
    }
    assert jobs_of("land", chosen, named=False, follow=False) == {"land": {}}


def test_each_group_of_streams_ingests_its_own_datasets(contracts: Contracts) -> None:
    flights = contracts["flights"]
    others = [
        msgspec.structs.replace(flights, dataset=name, group=group)
        for name, group in [("b", "main"), ("c", "fast")]
    ]
    assert jobs_of("ingest", [flights, *others], named=True, follow=False) == {
        "ingest-main": {"--once": "true", "--datasets": "flights,b"},
        "ingest-fast": {"--once": "true", "--datasets": "c"},
    }
    assert jobs_of("ingest", [flights], named=False, follow=True) == {
        "ingest-main": {"--once": "false"}
    }


class FakeContext:
    """The context of a command, whose deployment is known."""

    local = None

    def __init__(self, aws: Any) -> None:
        self._aws = aws

    def aws(self) -> Any:
        return self._aws

    def log_of(self, run_id: str, group: str) -> str:
        return f"{group}/{run_id}"


@pytest.fixture
def bronze(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter([10, 15])

    def status(_aws: Any, chosen: Any, _now: datetime) -> list[DatasetStatus]:
        count = next(rows)
        return [DatasetStatus(dataset=c.dataset, source=c.source, bronze=count) for c in chosen]

    monkeypatch.setattr(follow, "all_status", status)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


@pytest.mark.usefixtures("bronze")
def test_a_run_reports_what_it_did_also_when_it_failed(
    glue: tuple[Any, Stubber], contracts: Contracts, capsys: pytest.CaptureFixture[str]
) -> None:
    aws, stub = glue
    stub.add_response("start_job_run", {"JobRunId": "jr_1"})
    stub.add_response(
        "get_job_run",
        answered("FAILED", ErrorMessage="error: broken", ExecutionTime=7, LogGroupName="/g"),
    )
    context: Any = FakeContext(aws)
    with pytest.raises(EstateError, match="p-land ended as FAILED: broken; its log: /g/jr_1"):
        run_step(context, "land", [contracts["planes"]], named=True, follow=False)
    assert capsys.readouterr().out.splitlines() == [
        "failed  p-land in 7 s  jr_1",
        "  planes  bronze +5 to 15 rows",
    ]


@pytest.mark.usefixtures("bronze")
def test_ctrl_c_stops_the_run_and_waits_for_its_end(
    glue: tuple[Any, Stubber],
    contracts: Contracts,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aws, stub = glue
    stub.add_response("start_job_run", {"JobRunId": "jr_1"})
    stub.add_response("get_job_run", answered("RUNNING"))
    stub.add_response(
        "batch_stop_job_run",
        {"SuccessfulSubmissions": [{"JobName": "p-land", "JobRunId": "jr_1"}]},
        {"JobName": "p-land", "JobRunIds": ["jr_1"]},
    )
    stub.add_response("get_job_run", answered("STOPPING"))
    stub.add_response("get_job_run", answered("STOPPED"))
    naps = iter([KeyboardInterrupt])
    others_sleep = time.sleep

    def sleep(seconds: float) -> None:
        # The name is the whole process's, and a thread of another test may be asleep.
        if threading.current_thread() is not threading.main_thread():
            others_sleep(seconds)
        elif (raised := next(naps, None)) is not None:
            raise raised

    monkeypatch.setattr("tenacity.nap.time.sleep", sleep)
    context: Any = FakeContext(aws)
    with pytest.raises(KeyboardInterrupt):
        run_step(context, "land", [contracts["planes"]], named=True, follow=False)
    assert capsys.readouterr().out.splitlines()[0].startswith("stopped  p-land")


@pytest.mark.usefixtures("bronze")
def test_when_one_group_cannot_start_the_others_are_stopped(
    glue: tuple[Any, Stubber], contracts: Contracts
) -> None:
    aws, stub = glue
    flights = contracts["flights"]
    fast = msgspec.structs.replace(flights, dataset="b", group="fast")
    stub.add_response("start_job_run", {"JobRunId": "jr_1"})
    stub.add_client_error("start_job_run", "ConcurrentRunsExceededException")
    stub.add_response("batch_stop_job_run", {}, {"JobName": "p-ingest-main", "JobRunIds": ["jr_1"]})
    context: Any = FakeContext(aws)
    with pytest.raises(EstateError, match="p-ingest-fast is running already"):
        run_step(context, "ingest", [flights, fast], named=False, follow=True)


def test_marts_are_made_anew_as_a_whole_when_asked(contracts: Contracts) -> None:
    marts = contracts.select([], "mart")
    assert follow.jobs_of("marts", marts, named=False, full=True) == {"marts": {"--full": "true"}}
    assert follow.jobs_of("marts", marts[:1], named=True) == {
        "marts": {"--datasets": "carrier_on_time"}
    }
