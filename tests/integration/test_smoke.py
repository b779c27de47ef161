"""The acceptance of the stack ``local``, whole: on AWS it goes the same way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_for

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LAKEHOUSE_"))}
    places = ("--evidence", str(folder / "evidence"), "--home", str(folder / "home"))
    return subprocess.Popen(
        [sys.executable, "-m", "acceptance", "local", *arguments, *places],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": "jobs:platform:."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def evidence(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "evidence").glob("local-*/evidence.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_local_stack_is_accepted(tmp_path: Path) -> None:
    run = start(tmp_path)
    said, _ = run.communicate()
    told = evidence(tmp_path)
    outcomes = {line["name"]: line["outcome"] for line in told["steps"]}
    assert outcomes == dict.fromkeys(outcomes, "passed") | {"grants": "not asked"}, said
    assert (run.returncode, told["accepted"]) == (0, True)
    assert told["verdict"] == "accepted: 12 passed, 1 not asked"
    facts = {line["name"]: line["facts"] for line in told["steps"]}
    assert facts["send"]["deliveries"] == facts["send"]["positions"] == 232
    assert facts["land"]["good"]["arrival"] == "told by the queue"
    assert facts["promote"]["set aside"]["load"] == facts["land"]["bad"]["load"]
    assert len(set(facts["upgrade"]["releases"])) == 2
    assert facts["upgrade"]["deliveries"] > facts["send"]["deliveries"]
    assert facts["drain"]["run"]["JobRunState"] == "SUCCEEDED"
    assert facts["rollback"]["release"] == facts["deploy"]["release"]
    assert facts["rollback"]["deliveries"] == facts["upgrade"]["deliveries"] + 40


def test_an_interrupted_acceptance_leaves_its_evidence_and_no_estate(tmp_path: Path) -> None:
    run = start(tmp_path, "--only", "deploy")

    def under_way() -> bool:
        found = list((tmp_path / "evidence").glob("local-*/evidence.json"))
        return bool(found) and '"under way"' in found[0].read_text()

    wait_for(under_way, timeout=120)
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate()
    assert run.returncode == 130, said
    told = evidence(tmp_path)
    assert [line["outcome"] for line in told["steps"]] == ["interrupted"]
    assert (told["accepted"], told["verdict"]) == (False, "not accepted: 1 interrupted")
    assert not (tmp_path / "home" / "state.json").exists()
    assert time.monotonic() - began < 60
