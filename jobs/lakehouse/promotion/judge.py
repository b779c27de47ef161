"""Judges what a verification came to, by a stricter rule than Soda's own.

Soda calls a verification fine when a check could not be evaluated, and finds errors only in log
records that the application may have silenced. Here a candidate passes only when Soda says so, no
error was logged, there are as many results as checks and every one of them passed or warned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.promotion.verdict import GOOD, Check, LoadCounts, Outcome

_OUTCOMES: Final[dict[str, Outcome]] = {
    "PASSED": "pass",
    "WARN": "warn",
    "FAILED": "fail",
}


class Finding(msgspec.Struct, frozen=True):
    """What a verification came to, before it is bound to a snapshot."""

    passed: bool
    reason: str
    checks: tuple[Check, ...]
    evaluated: bool = True
    """False when Soda could not do its work, which says nothing of the data."""


def with_reject_share(
    finding: Finding, contract: Contract, counts: Sequence[LoadCounts]
) -> Finding:
    """The finding with a check more where the contract limits the rejects of a load."""
    limit = contract.gate.reject_share
    if limit is None or not counts:
        return finding
    shares = {item.load: share_of_rejects(item) for item in counts}
    worst = max(shares, key=lambda load: shares[load])
    broken = shares[worst] > limit
    check = Check(
        name="rejects of every load",
        type="reject_share",
        column=None,
        outcome=contract.gate.level("reject_share") if broken else "pass",
        value=shares[worst],
        threshold=f"<= {limit:g}",
    )
    return judge(
        expected=len(finding.checks) + 1,
        statuses=["PASSED" if finding.passed else "FAILED"],
        errors=[],
        checks=[*finding.checks, check],
    )


def too_many_rejects(contract: Contract, counts: Sequence[LoadCounts]) -> bool:
    """Whether any of the loads fails the gate for its rejects."""
    limit = contract.gate.reject_share
    if limit is None or contract.gate.level("reject_share") == "warn":
        return False
    return any(share_of_rejects(item) > limit for item in counts)


def share_of_rejects(counts: LoadCounts) -> float:
    """Rejects of a load as a share of its deliveries; 0 for a load without any."""
    rejected = sum(counts.rejected.values())
    return rejected / (counts.good + rejected) if rejected else 0.0


def judge(
    *,
    expected: int,
    statuses: Sequence[str],
    errors: Sequence[str],
    checks: Sequence[Check],
) -> Finding:
    """The strict rule: checks to expect, Soda's word on each document, its errors, its results."""
    found = tuple(checks)
    if errors:
        return Finding(False, f"error: {one_line(errors[0])}", found, evaluated=False)
    if len(found) != expected or not found:
        reason = f"{len(found)} of {expected} checks gave a result"
        return Finding(False, reason, found, evaluated=False)
    if bad := [check for check in found if check.outcome not in GOOD]:
        return Finding(False, "; ".join(map(_describe, bad)), found)
    if strange := [status for status in statuses if status not in {"PASSED", "WARNED"}]:
        return Finding(False, f"Soda ended with status {strange[0]}", found, evaluated=False)
    return Finding(True, "all checks passed", found)


def as_check(result: Any) -> Check:
    """A Soda check result in our own words."""
    check = result.check
    value = result.threshold_value
    return Check(
        name=check.name or check.type,
        type=check.type,
        column=check.column_name,
        outcome=_OUTCOMES.get(result.outcome.name, "not_evaluated"),
        value=float(value) if isinstance(value, int | float) and math.isfinite(value) else None,
        threshold=" and ".join(
            _threshold(t) for t in (check.threshold, check.warn_threshold) if t is not None
        ),
    )


def _threshold(threshold: Any) -> str:
    words = {
        "must be": threshold.must_be,
        "must not be": threshold.must_not_be,
        ">": threshold.must_be_greater_than,
        ">=": threshold.must_be_greater_than_or_equal,
        "<": threshold.must_be_less_than,
        "<=": threshold.must_be_less_than_or_equal,
    }
    said = " and ".join(f"{word} {value}" for word, value in words.items() if value is not None)
    return said if threshold.level == "fail" else f"{threshold.level}: {said}"


def _describe(check: Check) -> str:
    where = f"{check.column}: " if check.column else ""
    if check.outcome == "not_evaluated":
        return f"{where}{check.name} ({check.type}) could not be evaluated"
    value = "nothing" if check.value is None else f"{check.value:g}"
    return f"{where}{check.name} ({check.type}) is {value}, expected {check.threshold}"


def one_line(text: str) -> str:
    """A text of many lines as one, which ends where it gets long."""
    return " ".join(text.split())[:500]
