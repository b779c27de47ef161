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


def test_a_promotion_that_failed_for_one_dataset_reports_what_it_published_of_others(
    airflow_home: Path,
) -> None:
    with StubAws({"lakehouse-local-promote": "FAILED"}) as aws:
        # The run of a first try published flights, and a retry's run knows nothing of it.
        aws.objects["dataset=flights/1.json"] = verdict("jr_0", passed=True, load=0)
        aws.objects["dataset=weather/1.json"] = verdict("jr_1", passed=False, load=0)
        aws.objects["dataset=planes/1.json"] = verdict("jr_of_yesterday", passed=True, load=0)
        aws.written["dataset=planes/1.json"] = "2026-01-01T00:00:00.000Z"
        ran = local(airflow_home, aws.env, "run", "promote")
    assert ran.returncode == 1
    assert [start["JobName"] for start in aws.started] == ["lakehouse-local-promote"]
    assert set(aws.calls) == {"GetJob", "GetJobRuns", "StartJobRun", "GetJobRun"}
    lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert lines["report_flights"].startswith("success")
    assert "loads 0: passed" in lines["report_flights"]
    assert lines["report_weather"].startswith("skipped")
    assert "dew point above temperature" in lines["report_weather"]
    assert lines["report_planes"].startswith("skipped")
    assert lines["report_planes"].endswith("no new loads")
    assert "dataset=planes/1.json" not in aws.read
    assert ran.stdout.splitlines()[-1] == (
        "DAG promote failed in promote: lakehouse-local-promote jr_1 FAILED: error: no"
    )


def test_a_run_as_on_mwaa_is_deferred_and_finds_the_deployment_by_its_variable(
    airflow_home: Path,
) -> None:
    as_on_mwaa = {
        "LAKEHOUSE_GLUE_DEFERRABLE": "true",
        "LAKEHOUSE_PREFIX": "",
        "AIRFLOW_VAR_LAKEHOUSE_PREFIX": "acme-prod",
    }
    with StubAws({"acme-prod-marts": "SUCCEEDED"}) as aws:
        ran = local(airflow_home, aws.env | as_on_mwaa, "run", "marts")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [start["JobName"] for start in aws.started] == ["acme-prod-marts"]
    assert "marts: success" in ran.stdout


def test_an_unknown_dag_is_answered_with_those_there_are(airflow_home: Path) -> None:
    ran = local(airflow_home, {}, "run", "mart")
    assert ran.returncode == 1
    assert "no DAG 'mart'; expected one of land, marts, promote, pull" in ran.stdout
