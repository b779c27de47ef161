"""What is told of a failure, and to whom."""

from __future__ import annotations

from typing import Any

import pytest
from lakehouse_dags.alerts import alert, last_words
from stub_aws import StubAws

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"


class Instance:
    dag_id, task_id, run_id, try_number = "land", "land", "scheduled__1", 3

    def __init__(self, glue_run: str | None = None) -> None:
        self._glue_run = glue_run

    def xcom_pull(self, task_ids: str, key: str) -> str | None:
        assert (task_ids, key) == ("land", "glue_job_run_id")
        return self._glue_run


class Task:
    job_name = "lakehouse-land"


def failed(error: BaseException | None, run: str | None = None, task: Any = None) -> dict[str, Any]:
    return {"ti": Instance(run), "task": task or object(), "exception": error}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    with StubAws({"lakehouse-land": "FAILED"}) as stub:
        for name, value in stub.env.items():
            monkeypatch.setenv(name, value)
        yield stub


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (failed(ValueError("no page 'x'")), "no page 'x'"),
        (failed(KeyError()), "KeyError"),
        (failed(None), "no reason given; the task was killed or its worker lost, see its log"),
        (failed(ValueError("not started"), None, Task()), "not started"),
    ],
)
def test_a_failure_outside_of_glue_is_told_by_its_error(
    context: dict[str, Any], words: str
) -> None:
    assert last_words(context).startswith(words)


def test_a_failed_glue_run_is_told_by_glue(aws: StubAws) -> None:
    aws.errors["lakehouse-land"] = "error: planes: no such column"
    assert last_words(failed(ValueError("state FAILED"), "jr_1", Task())) == (
        "lakehouse-land jr_1 FAILED: error: planes: no such column"
    )


def test_where_glue_cannot_be_asked_the_error_is_told(
    aws: StubAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.states.clear()
    assert last_words(failed(ValueError("state FAILED"), "jr_1", Task())) == "state FAILED"


def test_an_alert_goes_to_the_topic_as_it_is(aws: StubAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ALERT_TOPIC", TOPIC)
    alert(failed(ValueError("got {{ x }}, expected y")))
    (told,) = aws.told
    assert told["TargetArn"] == TOPIC
    assert told["Subject"] == "land.land failed"
    assert "in run scheduled__1, try 3" in told["Message"]
    assert "got {{ x }}, expected y" in told["Message"]


def test_without_a_topic_nobody_is_told(aws: StubAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LAKEHOUSE_ALERT_TOPIC", "")
    alert(failed(ValueError("no")))
    assert aws.told == []
