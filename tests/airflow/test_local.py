"""DAGs run to their end on this machine, against a stub of AWS and an API on this machine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import answered, local
from hostile_api import HostileApi, Reply
from stub_aws import StubAws


@pytest.fixture
def weather(contracts: Path, airflow_home: Path) -> Iterator[HostileApi]:
    """An API that the contract of the weather pulls from."""
    assert contracts.is_dir()
    assert airflow_home.is_dir()
    with HostileApi(lambda _: Reply({"observations": [{"t": 1}], "pages": 1})) as api:
        yield api


def connection(api: HostileApi) -> dict[str, str]:
    return {"AIRFLOW_CONN_WEATHER_API": f"http://:secret-1234@127.0.0.1:{api.port}"}


def test_a_run_as_on_mwaa_finds_the_deployment_by_its_variable(airflow_home: Path) -> None:
    as_on_mwaa = {"LAKEHOUSE_PREFIX": "", "AIRFLOW_VAR_LAKEHOUSE_PREFIX": "acme-prod"}
    with StubAws({"acme-prod-marts": "SUCCEEDED"}) as aws:
        ran = local(airflow_home, aws.env | as_on_mwaa, "run", "marts")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [start["JobName"] for start in aws.started] == ["acme-prod-marts"]
    assert "marts: success" in ran.stdout


def test_a_failed_glue_run_ends_with_what_glue_says(airflow_home: Path) -> None:
    with StubAws({"lakehouse-local-land": "FAILED"}) as aws:
        aws.errors["lakehouse-local-land"] = "error: planes: no such column {{ x }}"
        ran = local(airflow_home, aws.env, "run", "land")
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == (
        "DAG land failed in land: lakehouse-local-land jr_1 FAILED: error: planes: no such column "
        "{{ x }}"
    )


def test_months_that_are_asked_for_are_pulled(airflow_home: Path, weather: HostileApi) -> None:
    weather.answer = lambda asked: Reply(
        {"observations": [{"t": asked.query["month"]}], "pages": 1}
    )
    with StubAws({}) as aws:
        conf = json.dumps({"months": ["2013-02", "2013-01"]})
        env = aws.env | connection(weather)
        ran = local(airflow_home, env, "run", "pull", "--conf", conf)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "2013-01: 1 pages, 1 new or changed, 0 removed; 2013-02: 1 pages" in ran.stdout
        again = local(airflow_home, env, "run", "pull", "--conf", conf)
    assert sorted(aws.objects) == [f"weather/2013-0{n}/page-0001.json" for n in (1, 2)]
    assert "fetch_weather: skipped" in again.stdout
    assert len(aws.puts) == 2
    assert {asked.headers["Authorization"] for asked in weather.asked} == {"Bearer secret-1234"}
    # Neither what is printed and logged nor Airflow's database has the credential.
    assert "secret-1234" not in ran.stdout + ran.stderr
    for path in airflow_home.rglob("*"):
        assert path.is_dir() or b"secret-1234" not in path.read_bytes(), path


def test_a_run_for_a_day_long_gone_pulls_what_was_due_then(
    airflow_home: Path, weather: HostileApi
) -> None:
    with StubAws({}) as aws:
        env = aws.env | connection(weather)
        ran = local(airflow_home, env, "run", "pull", "--date", "2013-02-02")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [asked.query["month"] for asked in weather.asked] == ["2013-01", "2013-02"]


def test_a_pull_that_cannot_work_ends_with_the_reason(
    airflow_home: Path, weather: HostileApi
) -> None:
    weather.answer = lambda _: Reply({"error": "no month '2013-01'"}, 404)
    with StubAws({}) as aws:
        env = aws.env | connection(weather)
        ran = local(airflow_home, env, "run", "pull", "--conf", '{"months": ["2013-01"]}')
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1].startswith("DAG pull failed in fetch_weather: weather: ")
    assert "/v1/observations answers 404" in ran.stdout
    assert "no month" in ran.stdout
    assert aws.objects == {}


def test_an_unknown_dag_is_answered_with_those_there_are(airflow_home: Path) -> None:
    ran = local(airflow_home, {}, "run", "mart")
    assert ran.returncode == 1
    assert "no DAG 'mart'; expected one of approve, land, maintain, marts, operate" in ran.stdout


def test_an_operation_is_started_with_its_arguments_and_says_what_it_did(
    airflow_home: Path,
) -> None:
    with StubAws({"lakehouse-local-operate": "SUCCEEDED"}) as aws:
        aws.objects["operations/jr_1.json"] = b'{"flights": {"good": 7}}'
        conf = {
            "operation": "replay",
            "datasets": ["flights", "planes"],
            "arguments": {"reason": "it's <missing>", "loads": [1, 2]},
        }
        ran = local(airflow_home, aws.env, "run", "operate", "--conf", json.dumps(conf))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (given,) = started(aws)
    arguments = json.loads(given.pop("--arguments"))
    assert arguments == {"reason": "it's <missing>", "loads": [1, 2]}
    assert given == {
        "--operation": "replay", "--datasets": "flights,planes", "--dry-run": "true",
    }  # fmt: skip
    assert '"good": 7' in ran.stdout


def test_maintenance_that_failed_for_one_table_says_what_it_did_to_others(
    airflow_home: Path,
) -> None:
    with StubAws({"lakehouse-local-maintain": "FAILED"}) as aws:
        aws.objects["operations/jr_1.json"] = b'{"tables": [{"table": "silver.flights"}]}'
        ran = local(airflow_home, aws.env, "run", "maintain")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert started(aws) == [{"--dry-run": "false"}]
    assert "DAG maintain failed in result: lakehouse-local-maintain jr_1 FAILED: error: no" in (
        ran.stdout
    )
    assert '"table": "silver.flights"' in ran.stdout


def started(aws: StubAws) -> list[dict[str, str]]:
    """The arguments of the runs that were started, without the one that the operator adds."""
    given = [dict(start["Arguments"]) for start in aws.started]
    for arguments in given:
        assert arguments.pop("--airflow_task_uuid")
    return given


def approve(home: Path, answer: str, **verdict: Any) -> tuple[StubAws, str, str]:
    """What was started, asked and said."""
    found = {
        "snapshot_id": 8123456789012345678,
        "passed": False,
        "reason": "dew point above temperature fails",
        "checks": [{"name": "dew point", "outcome": "fail", "value": 3, "threshold": "0"}],
    }
    with StubAws({"lakehouse-local-promote": "SUCCEEDED"}) as aws:
        body = json.dumps(found | verdict).encode()
        aws.objects["dataset=weather/8123456789012345678.json"] = body
        conf = {
            "dataset": "weather",
            "snapshot": "8123456789012345678",
            "reason": "one station, {{ known }}",
        }
        ran = answered(home, aws.env, answer, "run", "approve", "--conf", json.dumps(conf))
    with sqlite3.connect(home / "airflow.db") as database:
        asked = database.execute("SELECT subject, body FROM hitl_detail").fetchall()
    return aws, "\n".join(text for row in asked for text in row), ran.stdout + ran.stderr


def test_what_a_person_approves_is_published_in_that_persons_name(airflow_home: Path) -> None:
    aws, asked, said = approve(airflow_home, "Approve")
    assert aws.started, said
    assert started(aws) == [
        {
            "--publish": "weather:8123456789012345678",
            "--by": "Ada",
            "--reason": "one station, {{ known }}",
        }
    ]
    assert asked.startswith("Publish snapshot 8123456789012345678 of weather, which failed")
    assert "dew point above temperature fails" in asked
    assert "- dew point: 3, expected 0" in asked
    assert "Asked for because: one station, {{ known }}" in asked
    assert "publish: success" in said


def test_what_a_person_refuses_is_not_published(airflow_home: Path) -> None:
    aws, asked, said = approve(airflow_home, "Reject")
    assert asked
    assert "decide: success" in said
    assert aws.started == [], said


def test_nobody_is_asked_for_what_has_passed(airflow_home: Path) -> None:
    aws, asked, said = approve(airflow_home, "Approve", passed=True)
    assert asked == ""
    assert aws.started == []
    assert "has passed its gate; there is nothing to approve" in said
