"""DAGs run to their end on this machine, against a stub of AWS."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import local
from stub_aws import StubAws


def verdict(run: str, *, passed: bool, load: int) -> bytes:
    return json.dumps(
        {
            "run_id": run,
            "passed": passed,
            "loads": [load],
            "checked_at": f"2026-01-01T00:00:0{load}",
            "reason": "" if passed else "dew point above temperature",
            "checks": [{"outcome": "pass"}],
        }
    ).encode()


def test_a_promotion_reports_what_was_published_and_what_was_set_aside(airflow_home: Path) -> None:
    with StubAws({"lakehouse-local-promote": "SUCCEEDED"}) as aws:
        aws.objects["dataset=flights/1.json"] = verdict("jr_1", passed=True, load=0)
        aws.objects["dataset=weather/1.json"] = verdict("jr_1", passed=False, load=0)
        aws.objects["dataset=planes/1.json"] = verdict("jr_of_yesterday", passed=True, load=0)
        ran = local(airflow_home, aws.env, "run", "promote")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [start["JobName"] for start in aws.started] == ["lakehouse-local-promote"]
    assert set(aws.calls) == {"GetJob", "GetJobRuns", "StartJobRun", "GetJobRun"}
    lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert lines["report_flights"].startswith("success")
    assert "loads 0: passed" in lines["report_flights"]
    assert lines["report_weather"].startswith("skipped")
    assert lines["report_planes"].startswith("skipped")
    assert "dew point above temperature" in ran.stdout + ran.stderr


def test_a_job_that_fails_is_named_in_the_last_line(airflow_home: Path) -> None:
    with StubAws({"lakehouse-local-marts": "FAILED"}) as aws:
        ran = local(airflow_home, aws.env, "run", "marts")
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == "DAG marts failed in marts"


def test_an_unknown_dag_is_answered_with_those_there_are(airflow_home: Path) -> None:
    ran = local(airflow_home, {}, "run", "mart")
    assert ran.returncode == 1
    assert "no DAG 'mart'; expected one of land, marts, promote, pull" in ran.stdout
