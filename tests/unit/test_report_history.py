"""What became of each candidate, told from verdicts and approvals."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lakehouse.contracts.model import Contract, Contracts, Gate
from lakehouse.errors import InputError
from lakehouse.promotion.gate import Finding, judge
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import Verdict
from lakehouse.reporting.history import History, Run, Status, identity, judged, trends
from tests.support.verdicts import drift_check, gold, range_check, rows_check, silver


@pytest.fixture
def holds(contracts: Contracts) -> Contract:
    return msgspec.structs.replace(contracts["flights"], gate=Gate(on_fail="hold"))


@pytest.fixture
def sets_aside(contracts: Contracts) -> Contract:
    return msgspec.structs.replace(contracts["flights"], gate=Gate(on_fail="set-aside"))


def bad(number: int, **changed: Any) -> Verdict:
    return silver(number, range_check(3), **changed)


def statuses(runs: tuple[Run, ...]) -> list[Status]:
    return [run.status for run in runs]


def test_verdicts_stand_in_the_order_of_their_checks_not_of_their_ids() -> None:
    runs = judged([silver(3), silver(1), silver(2)], {}, None)
    assert [run.verdict.loads for run in runs] == [(1,), (2,), (3,)]
    assert statuses(runs) == ["passed"] * 3


def test_a_bad_load_is_held_or_set_aside_as_the_contract_says(
    holds: Contract, sets_aside: Contract
) -> None:
    assert statuses(judged([silver(1), bad(2)], {}, holds)) == ["passed", "held"]
    assert statuses(judged([silver(1), bad(2)], {}, sets_aside)) == ["passed", "set aside"]


def test_several_loads_are_never_blamed_together(holds: Contract) -> None:
    runs = judged([bad(1, loads=(1, 2)), silver(3, loads=(1,)), bad(4, loads=(2,))], {}, holds)
    assert statuses(runs) == ["failed", "passed", "held"]
    assert runs[0].let_in_by is None


@pytest.mark.parametrize(
    "finding",
    [
        judge(expected=1, statuses=["FAILED"], errors=["no column x"], checks=[range_check(1)]),
        judge(expected=6, statuses=["PASSED"], errors=[], checks=[range_check(0)]),
        judge(expected=1, statuses=["ERROR"], errors=[], checks=[range_check(0)]),
    ],
)
def test_checks_that_could_not_be_carried_out_blame_no_load(
    holds: Contract, finding: Finding
) -> None:
    assert not finding.evaluated
    (run,) = judged(
        [silver(1, *finding.checks, passed=finding.passed, reason=finding.reason)], {}, holds
    )
    assert run.status == "failed"
    assert not run.evaluated


def test_a_check_that_failed_blames_its_load(holds: Contract) -> None:
    finding = judge(expected=1, statuses=["FAILED"], errors=[], checks=[range_check(1)])
    (run,) = judged(
        [silver(1, *finding.checks, passed=finding.passed, reason=finding.reason)], {}, holds
    )
    assert finding.evaluated
    assert run.evaluated
    assert run.status == "held"


def test_a_hold_has_ended_once_a_later_load_is_tried(holds: Contract) -> None:
    assert statuses(judged([bad(2), silver(3)], {}, holds)) == ["set aside", "passed"]


def test_a_held_load_that_is_tried_again_is_held_once(holds: Contract) -> None:
    again = bad(5, loads=(2,))
    runs = judged([bad(2), again], {}, holds)
    assert statuses(runs) == ["failed", "held"]
    mended = judged([bad(2), silver(5, loads=(2, 3))], {}, holds)
    assert statuses(mended) == ["failed", "passed"]
    assert mended[0].let_in_by == silver(5).snapshot_id


def test_an_approval_is_shown_with_its_candidate(holds: Contract) -> None:
    word = Approval("flights", bad(2).snapshot_id, "ada", "known", "2026-01-03T00:00:00+00:00")
    runs = judged([bad(2), silver(3)], {bad(2).snapshot_id: word}, holds)
    assert (runs[0].status, runs[0].approval) == ("approved", word)


def test_a_mart_is_held_until_another_candidate_is_made(contracts: Contracts) -> None:
    mart = contracts["carrier_on_time"]
    assert statuses(judged([gold(1), gold(2, range_check(1))], {}, mart)) == ["passed", "held"]
    runs = judged([gold(2, range_check(1)), gold(3)], {}, mart)
    assert statuses(runs) == ["failed", "passed"]
    assert runs[0].let_in_by == gold(3).snapshot_id


def test_without_a_contract_nobody_can_say_that_something_is_held() -> None:
    assert statuses(judged([bad(1)], {}, None)) == ["failed"]


def test_a_check_is_the_same_one_whatever_its_threshold() -> None:
    runs = judged(
        [
            silver(1, rows_check(5), drift_check(10, 9, 11, "pass")),
            silver(2, rows_check(6)),
            silver(3, rows_check(7), drift_check(12, 10.5, 11.5, "fail")),
        ],
        {},
        None,
    )
    found = trends(runs)
    assert set(found) == {identity(rows_check(1)), identity(drift_check(1, 1, 1, "pass"))}
    drift = found[identity(drift_check(0, 0, 0, "pass"))]
    assert [(p.check.value, p.check.threshold) for p in drift] == [
        (10, ">= 9 and <= 11"),
        (12, ">= 10.5 and <= 11.5"),
    ]


def test_a_history_can_be_looked_at_as_it_was() -> None:
    history = History(
        dataset="flights", runs=judged([silver(1), silver(2), silver(3)], {}, None), total=9
    )
    assert [r.verdict.loads for r in history.until(silver(2).snapshot_id).runs] == [(1,), (2,)]
    with pytest.raises(InputError, match="snapshot 4 has no verdict"):
        history.until(4)
