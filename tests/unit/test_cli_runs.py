"""Glue runs as ``lakehouse run`` follows them, and how it tells their end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
import pytest
from botocore.stub import Stubber

from lakehouse.contract import Contracts
from lakehouse.errors import EstateError
from lakehouse.follow import jobs_of
from lakehouse.runs import JobRun, failure, wait


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
