from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import InputError, LakehouseError
from lakehouse.runner import each_dataset, run_job

CONTRACTS = load_contracts(Path(__file__).parents[2] / "quality" / "contracts").select([], "files")


def test_a_dataset_that_fails_stops_only_itself() -> None:
    seen: list[str] = []

    def step(contract: Contract) -> dict[str, object]:
        seen.append(contract.dataset)
        if contract.dataset == "airlines":
            raise InputError("no good")
        if contract.dataset == "airports":
            raise ValueError("of a library\nwith details")
        return {}

    with pytest.raises(LakehouseError, match="airlines: no good; airports: ValueError: of a libr"):
        each_dataset("land", CONTRACTS, step)
    assert seen == ["airlines", "airports", "planes"]


def test_a_step_may_name_its_dataset_and_go_on() -> None:
    with capture_logs() as lines:
        each_dataset("operate", CONTRACTS, lambda c: {"dataset": c.dataset, "job": "x", "good": 1})

    done = [line for line in lines if line["event"] == "dataset_done"]
    assert [line["dataset"] for line in done] == ["airlines", "airports", "planes"]
    assert {(line["job"], line["good"]) for line in done} == {("operate", 1)}


def test_a_jobs_last_line_says_why_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise LakehouseError("what was received, what was expected, what to do")

    with pytest.raises(SystemExit) as ended:
        run_job(main)
    assert ended.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: what was received, what was expected, what to do"
