"""The strict rule, trap by trap: what Soda lets through and the gate does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lakehouse.contracts.model import Contract, Contracts, Gate
from lakehouse.promotion.judge import as_check, judge, too_many_rejects, with_reject_share
from lakehouse.promotion.verdict import Check, LoadCounts, Outcome


def check(outcome: Outcome = "pass", **changes: Any) -> Check:
    fields: dict[str, Any] = {
        "name": "has rows",
        "type": "row_count",
        "column": None,
        "outcome": outcome,
        "value": 3.0,
        "threshold": "> 0",
    }
    return Check(**fields | changes)


def test_all_checks_passed_or_warned_is_a_pass() -> None:
    found = judge(expected=2, statuses=["WARNED"], errors=[], checks=[check(), check("warn")])
    assert found.passed
    assert found.evaluated


def test_a_failed_check_says_its_value_and_threshold() -> None:
    bad = check("fail", name="is there", type="missing", column="temp", threshold="must be 0")
    found = judge(expected=1, statuses=["FAILED"], errors=[], checks=[bad])
    assert not found.passed
    assert found.evaluated
    assert found.reason == "temp: is there (missing) is 3, expected must be 0"


def test_a_check_that_was_not_evaluated_fails_though_soda_calls_it_fine() -> None:
    found = judge(expected=1, statuses=["PASSED"], errors=[], checks=[check("not_evaluated")])
    assert not found.passed
    assert "could not be evaluated" in found.reason


def test_no_checks_at_all_is_no_pass_though_soda_calls_it_one() -> None:
    found = judge(expected=0, statuses=["PASSED"], errors=[], checks=[])
    assert not found.passed
    assert not found.evaluated


def test_a_missing_result_is_no_pass() -> None:
    found = judge(expected=2, statuses=["PASSED"], errors=[], checks=[check()])
    assert not found.passed
    assert not found.evaluated
    assert found.reason == "1 of 2 checks gave a result"


def test_a_logged_error_is_no_pass_whatever_the_results() -> None:
    found = judge(expected=1, statuses=["PASSED"], errors=["no such\ncolumn"], checks=[check()])
    assert not found.passed
    assert not found.evaluated
    assert found.reason == "error: no such column"


@pytest.mark.parametrize("status", ["ERROR", "UNKNOWN", "FAILED"])
def test_sodas_own_status_must_be_a_pass_too(status: str) -> None:
    assert not judge(expected=1, statuses=[status], errors=[], checks=[check()]).passed


@pytest.mark.parametrize(
    ("outcome", "mapped"),
    [
        ("PASSED", "pass"),
        ("WARN", "warn"),
        ("FAILED", "fail"),
        ("NOT_EVALUATED", "not_evaluated"),
        ("EXCLUDED", "not_evaluated"),
    ],
)
def test_soda_outcomes_are_mapped_and_an_unknown_one_never_passes(
    outcome: str, mapped: str
) -> None:
    assert as_check(result(outcome, 1)).outcome == mapped


def test_a_value_that_json_cannot_hold_is_left_out() -> None:
    assert as_check(result("PASSED", float("nan"))).value is None
    assert as_check(result("PASSED", None)).value is None
    assert as_check(result("PASSED", 2)).value == 2.0


def test_the_threshold_is_said_in_words() -> None:
    assert as_check(result("PASSED", 1)).threshold == "> 0 and <= 9 and warn: must be 1"


def result(outcome: str, value: float | None) -> Any:
    none = dict.fromkeys(
        [
            "must_be",
            "must_not_be",
            "must_be_greater_than",
            "must_be_greater_than_or_equal",
            "must_be_less_than",
            "must_be_less_than_or_equal",
        ]
    )
    bounds = {"must_be_greater_than": 0, "must_be_less_than_or_equal": 9}
    return SimpleNamespace(
        outcome=SimpleNamespace(name=outcome),
        threshold_value=value,
        check=SimpleNamespace(
            name="n",
            type="row_count",
            column_name=None,
            threshold=SimpleNamespace(level="fail", **none | bounds),
            warn_threshold=SimpleNamespace(level="warn", **none | {"must_be": 1}),
        ),
    )


def counts(load: int, good: int, bad: int) -> LoadCounts:
    return LoadCounts(load, good, {"range": bad} if bad else {})


def limited(contracts: Contracts, share: float | None, **levels: Any) -> Contract:
    gate = Gate(reject_share=share, levels=levels)
    return msgspec.structs.replace(contracts["weather"], gate=gate)


PASSED = judge(expected=1, statuses=["PASSED"], errors=[], checks=[check()])


def test_one_load_with_too_many_rejects_fails_them_all(contracts: Contracts) -> None:
    loads = [counts(1, 90, 10), counts(2, 9, 1), counts(3, 8, 2)]
    found = with_reject_share(PASSED, limited(contracts, 0.1), loads)
    assert not found.passed
    assert found.evaluated
    assert found.reason == "rejects of every load (reject_share) is 0.2, expected <= 0.1"
    assert with_reject_share(PASSED, limited(contracts, 0.1), loads[:2]).passed
    assert with_reject_share(PASSED, limited(contracts, 0.1, reject_share="warn"), loads).passed


def test_a_load_of_nothing_but_rejects_is_over_every_limit_below_one(contracts: Contracts) -> None:
    assert too_many_rejects(limited(contracts, 0.99), [counts(1, 0, 3)])
    assert not too_many_rejects(limited(contracts, 1.0), [counts(1, 0, 3)])
    assert not too_many_rejects(limited(contracts, None), [counts(1, 0, 3)])
    assert not too_many_rejects(limited(contracts, 0.5, reject_share="warn"), [counts(1, 0, 3)])
    assert not too_many_rejects(limited(contracts, 0.0), [counts(1, 0, 0)])


def test_rejects_within_the_limit_do_not_mend_a_failed_finding(contracts: Contracts) -> None:
    failed = judge(expected=1, statuses=["FAILED"], errors=[], checks=[check("fail")])
    found = with_reject_share(failed, limited(contracts, 0.5), [counts(1, 1, 0)])
    assert not found.passed
    assert [c.outcome for c in found.checks] == ["fail", "pass"]
