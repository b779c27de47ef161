"""What a promotion reports, run by Airflow against a stub of AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import local
from stub_aws import StubAws

JOB = "lakehouse-local-promote"


@pytest.fixture(autouse=True)
def few(contracts: Path) -> None:
    """One dataset that sets aside and one that holds will do, for a report takes its seconds."""
    for path in contracts.glob("*.yaml"):
        if path.stem not in {"weather", "planes"}:
            path.unlink()


@pytest.fixture
def aws() -> Iterator[StubAws]:
    with StubAws({JOB: "SUCCEEDED"}) as stub:
        yield stub


def write(
    aws: StubAws, dataset: str, number: int, *, passed: bool = True, loads: tuple[int, ...] = (0,)
) -> str:
    """Put a verdict; its key."""
    key = f"dataset={dataset}/{number}.json"
    aws.objects[key] = json.dumps(
        {
            "dataset": dataset,
            "snapshot_id": number,
            "passed": passed,
            "loads": loads,
            "checked_at": f"2026-01-01T00:00:{number:02d}",
            "reason": "" if passed else "dew point above temperature",
            "checks": [{"outcome": "pass" if passed else "fail"}],
        }
    ).encode()
    return key


def promote(home: Path, aws: StubAws, **env: str) -> tuple[int, dict[str, str], str]:
    """Run the DAG; its code, what each task said, and the last line."""
    ran = local(home, aws.env | env, "run", "promote")
    lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert {"promote", "attention"} <= set(lines), ran.stdout + ran.stderr
    return ran.returncode, lines, ran.stdout.splitlines()[-1]


def test_each_dataset_is_reported_as_what_became_of_it(
    airflow_home: Path, contracts: Path, aws: StubAws
) -> None:
    for name in ("flights", "airlines", "airports"):
        text = (contracts / "planes.yaml").read_text().replace("name: planes", f"name: {name}")
        (contracts / f"{name}.yaml").write_text(text)
    aws.states[JOB] = "FAILED"
    aws.errors[JOB] = (
        "error: planes: load 2 is held since 2026-01-01; approve it; airports: no such column"
    )
    write(aws, "flights", 1)
    write(aws, "airlines", 2, passed=False)
    write(aws, "weather", 3, passed=False, loads=(0, 1))
    write(aws, "weather", 4, loads=(0,))
    write(aws, "weather", 5, passed=False, loads=(1,))
    code, said, last = promote(airflow_home, aws)
    assert code == 1
    assert set(aws.calls) == {"GetJob", "GetJobRuns", "StartJobRun", "GetJobRun"}
    assert said["report_flights"].startswith("success")
    assert said["report_flights"].endswith("load 0 passed (1 of 1 checks pass)")
    # On hold by its contract: nothing was published, and nothing will be.
    assert said["report_airlines"].startswith("failed")
    assert "load 0 HELD: dew point above temperature" in said["report_airlines"]
    assert "approve snapshot 2 by the DAG approve" in said["report_airlines"]
    # Published in part, so the marts are woken; what was set aside is in ``attention``.
    assert said["report_weather"].startswith("success")
    assert "loads 0, 1 FAILED as one, so that halves are tried" in said["report_weather"]
    assert "load 1 SET ASIDE: dew point above temperature" in said["report_weather"]
    assert said["report_planes"].startswith("failed")
    assert said["report_planes"].endswith(
        "the promotion FAILED: load 2 is held since 2026-01-01; approve it"
    )
    assert said["report_airports"].endswith("the promotion FAILED: no such column")
    assert said["attention"].startswith("failed")
    for words in ("airlines: load 0 HELD", "weather: ", "planes: the promotion", "promote: lake"):
        assert words in said["attention"]
    assert "flights" not in said["attention"]
    assert last.startswith("DAG promote failed in attention: ")


def test_nothing_new_is_skipped_and_the_run_is_green(airflow_home: Path, aws: StubAws) -> None:
    key = write(aws, "planes", 1)
    aws.written[key] = "2026-01-01T00:00:00.000Z"
    code, said, _ = promote(airflow_home, aws)
    assert code == 0
    assert said["report_planes"].startswith("skipped")
    assert said["report_planes"].endswith("no new loads")
    assert said["attention"].startswith("skipped")
    assert key not in aws.read


def test_a_load_that_was_set_aside_is_told_once_and_stops_nothing(
    airflow_home: Path, aws: StubAws
) -> None:
    write(aws, "weather", 1, passed=False)
    topic = {"LAKEHOUSE_ALERT_TOPIC": "arn:aws:sns:us-east-1:1:alerts"}
    code, said, _ = promote(airflow_home, aws, **topic)
    assert code == 0
    assert said["report_weather"].startswith("skipped")
    assert said["attention"].startswith("success")
    assert "weather: load 0 SET ASIDE: dew point above temperature" in said["attention"]
    (told,) = aws.told
    assert told["Subject"] == "promote.attention asks for attention"
    assert "load 0 SET ASIDE" in told["Message"]
    code, said, _ = promote(airflow_home, aws, **topic)
    assert said["report_weather"].endswith("no new loads")
    assert said["attention"].startswith("skipped")
    assert len(aws.told) == 1


def test_what_a_report_could_not_tell_the_next_one_tells(airflow_home: Path, aws: StubAws) -> None:
    first = write(aws, "weather", 1)
    write(aws, "planes", 2)
    aws.broken = {first}
    code, said, last = promote(airflow_home, aws)
    assert code == 1
    assert said["report_weather"].startswith("failed")
    assert said["report_planes"].startswith("success")
    assert "report_weather: failed, its log says why" in said["attention"]
    assert "planes" not in said["attention"]
    # Both are older now than the run that is to tell of them.
    aws.written = dict.fromkeys(aws.objects, "2026-01-01T00:00:00.000Z")
    aws.broken = set()
    aws.written[first] = now()
    code, said, _ = promote(airflow_home, aws)
    assert code == 0, last
    assert said["report_weather"].startswith("success")
    assert said["report_planes"].startswith("skipped")


def test_an_approved_candidate_counts_as_published(airflow_home: Path, aws: StubAws) -> None:
    write(aws, "planes", 7, passed=False)
    _, said, _ = promote(airflow_home, aws)
    assert said["report_planes"].startswith("failed")
    approval: dict[str, Any] = {"dataset": "planes", "snapshot_id": 7, "by": "ada", "at": "2026"}
    aws.objects["approvals/planes/7.json"] = json.dumps(approval | {"reason": "known"}).encode()
    code, said, _ = promote(airflow_home, aws)
    assert code == 0
    assert said["report_planes"].startswith("success")
    assert said["report_planes"].endswith("snapshot 7 approved by ada: known")


def now() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
