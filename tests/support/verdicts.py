"""Verdicts as a gate writes them, for tests that read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.promotion.progress import Touched
from lakehouse.promotion.verdict import Check, LoadCounts, Outcome, Sample, Verdict

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ATTACK = "<script>alert('x')</script>"


def rows_check(rows: float) -> Check:
    return Check(
        name="has rows",
        type="row_count",
        column=None,
        outcome="pass" if rows > 0 else "fail",
        value=rows,
        threshold="> 0",
    )


def range_check(bad: int, *samples: Sample) -> Check:
    return Check(
        name="failed_rows 1 of the contract",
        type="failed_rows",
        column="delay",
        outcome="fail" if bad else "pass",
        value=float(bad),
        threshold="must be 0",
        samples=samples,
    )


def drift_check(value: float | None, low: float, high: float, outcome: Outcome) -> Check:
    return Check(
        name="mean of delay against published",
        type="aggregate",
        column="delay",
        outcome=outcome,
        value=value,
        threshold=f">= {low:g} and <= {high:g}",
    )


def sample(number: int, **values: str | None) -> Sample:
    return Sample(
        values={"id": str(number), **values},
        load=number,
        source="shardId-000000000000",
        sequence=f"4960{number}",
        index=number % 2,
    )


def silver(number: int, *checks: Check, **changed: Any) -> Verdict:
    """The verdict on a candidate made of load ``number``, an hour after the last one."""
    found = checks or (rows_check(100.0 * number),)
    bad = [check for check in found if check.outcome not in {"pass", "warn"}]
    facts: dict[str, Any] = {
        "dataset": "flights",
        "layer": "silver",
        "snapshot_id": 9_000_000_000_000_000_000 - 7 * number,
        "base_snapshot_id": 9_000_000_000_000_000_000 - 7 * (number - 1) if number else None,
        "run_id": f"jr_{number}",
        "loads": (number,),
        "inputs": {},
        "contract_version": "1.2.0",
        "checked_at": (BEGAN + timedelta(hours=number)).isoformat(),
        "passed": not bad,
        "reason": f"{bad[0].name} ({bad[0].type}) is {bad[0].value}"
        if bad
        else "all checks passed",
        "checks": found,
        "code": "2f5c9ad01b7e4411",
        "rows": 100 * number,
        "rows_added": 100,
        "counts": (LoadCounts(number, 90, {"range": 6, "type": 4} if number % 2 else {}),),
        "touched": Touched("at", (("2013-01-01", "2013-01-03"),)) if number % 2 else None,
        "scope": "at >= TIMESTAMP '2013-01-01'" if number % 2 else "",
    }
    return Verdict(**facts | changed)


def gold(number: int, *checks: Check, **changed: Any) -> Verdict:
    """The verdict on a mart's candidate."""
    facts = {
        "dataset": "carrier_on_time",
        "layer": "gold",
        "loads": (),
        "inputs": {"silver.flights": 77 + number, "silver.airlines": 5},
        "counts": (),
    }
    return silver(number, *checks, **facts | changed)
