"""The gate: Soda run on one candidate, judged by a stricter rule than Soda's own.

Row-wise checks look at the region that the candidate changed, where the rest of the table passed
the same checks before; all others at the whole candidate. Soda calls a verification fine when a
check could not be evaluated, and finds errors only in log records that the application may have
silenced. Here a candidate passes only when Soda says so, no error was logged, there are as many
results as checks and every one of them passed or warned.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError
from lakehouse.promotion import samples, soda
from lakehouse.promotion.history import live_predicate
from lakehouse.promotion.publish import Candidate
from lakehouse.promotion.verdict import (
    GOOD,
    Check,
    LoadCounts,
    Origin,
    Outcome,
    Verdict,
    put_verdict,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OUTCOMES: Final[dict[str, Outcome]] = {
    "PASSED": "pass",
    "WARN": "warn",
    "FAILED": "fail",
}
_ONE_AT_A_TIME: Final = threading.Lock()
"""Soda freezes the process's clock while it verifies, which two threads cannot do at once."""
_log = structlog.get_logger()


class Finding(msgspec.Struct, frozen=True):
    """What a verification came to, before it is bound to a snapshot."""

    passed: bool
    reason: str
    checks: tuple[Check, ...]
    evaluated: bool = True
    """False when Soda could not do its work, which says nothing of the data."""


def fingerprint(contract: Contract) -> str:
    """Stands for a contract's checks: what passed under it need not be looked at again."""
    text = "".join(soda.documents(contract, "", live=live_predicate(contract)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def verify(
    spark: SparkSession,
    contract: Contract,
    branch: str,
    *,
    now: datetime,
    scope: str = "",
    loads: Sequence[int] = (),
    published: soda.Published | None = None,
) -> Finding:
    """Run the contract's checks on a branch of its table; ``now`` is what freshness is told by.

    Rows that the ``loads`` brought lie within ``scope``. Raises GateError when Soda itself breaks.
    """
    path = soda.dataset_path(contract, branch)
    live = live_predicate(contract)
    brought = f"_load IN ({', '.join(map(str, loads))})" if loads else ""
    rendered = soda.checks(contract, published)
    try:
        results = _execute(
            spark,
            soda.documents(
                contract, path, published=published, live=live, scope=scope, brought=brought
            ),
            now,
        )
    except Exception as error:  # Soda raises whatever its drivers raise
        raise GateError(
            f"{contract.dataset}: Soda could not verify {path}: {_line(str(error))}; "
            "nothing was published"
        ) from error
    finding = judge(
        expected=len(rendered),
        statuses=[result.status.name for result in results],
        errors=[error for result in results for error in result.get_errors()],
        checks=[as_check(item) for result in results for item in result.check_results],
    )
    if not finding.evaluated or all(check.outcome == "pass" for check in finding.checks):
        return finding
    table = samples.branch_table(contract, branch)
    by_name = {(r.kind, r.column, r.settings["name"]): r for r in rendered}

    def with_samples(check: Check) -> Check:
        known = by_name.get((check.type, check.column, check.name))
        if check.outcome == "pass" or known is None:
            return check
        if scope and known.row_wise:
            looked_at = soda.narrowed(known, brought)
            predicate = " AND ".join(f"({part})" for part in (scope, live) if part)
        else:
            looked_at, predicate = known, live
        found = samples.offending(spark, contract, table, predicate, looked_at)
        return msgspec.structs.replace(check, samples=found)

    return msgspec.structs.replace(finding, checks=tuple(map(with_samples, finding.checks)))


def published_now(
    spark: SparkSession, contract: Contract, base: int | None
) -> soda.Published | None:
    """What drift is measured against: rows and means of main's snapshot; None without drift."""
    drift = contract.gate.drift
    if base is None or (drift.rows is None and not drift.means):
        return None
    table = naming.table(contract.checked_layer, contract.dataset)
    main = f"{naming.CATALOG}.{table} VERSION AS OF {base}"
    live = live_predicate(contract)
    figures = [f"avg(`{name}`) AS `{name}`" for name in drift.means]
    rows = spark.sql(f"SELECT * FROM {main}")  # noqa: S608 - names of the contract's own
    (row,) = (
        (rows.where(live) if live else rows).selectExpr("count(*) AS _rows", *figures).collect()
    )
    means = {name: float(row[name]) for name in drift.means if row[name] is not None}
    return soda.Published(rows=row["_rows"], means=means)


def audit(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    candidate: Candidate,
    origin: Origin,
    *,
    clock: Callable[[], datetime],
) -> tuple[Verdict, str]:
    """Verify a candidate and write the verdict on it; the verdict and its key.

    Raises GateError, with a failed verdict written, when the checks could not be carried out.
    """
    now = clock()
    finding = verify(
        spark,
        contract,
        candidate.branch,
        now=now,
        scope=origin.scope,
        loads=origin.loads,
        published=published_now(spark, contract, candidate.base),
    )
    if finding.evaluated:
        finding = with_reject_share(finding, contract, origin.counts)
    verdict = Verdict(
        dataset=candidate.dataset,
        layer=candidate.layer,
        snapshot_id=candidate.snapshot_id,
        base_snapshot_id=candidate.base,
        run_id=origin.run_id,
        loads=origin.loads,
        inputs=origin.inputs,
        contract_version=contract.version,
        checked_at=now.isoformat(),
        passed=finding.passed,
        reason=finding.reason,
        checks=finding.checks,
        code=origin.code,
        rows=candidate.rows,
        rows_added=candidate.rows_added,
        counts=origin.counts,
        touched=origin.touched,
        scope=origin.scope,
    )
    key = put_verdict(aws, verdict)
    _log.info(
        "candidate audited",
        dataset=candidate.dataset,
        loads=list(origin.loads),
        rows_added=candidate.rows_added,
        passed=verdict.passed,
        reason=verdict.reason,
    )
    if not finding.evaluated:
        raise GateError(
            f"{contract.dataset}: the gate could not be evaluated: {finding.reason}; nothing was "
            f"published, mend the checks in {contract.path or 'the contract'} (verdict {key})"
        )
    return verdict, key


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
    """Whether any of the loads has more rejects than the contract allows."""
    limit = contract.gate.reject_share
    return limit is not None and any(share_of_rejects(item) > limit for item in counts)


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
        return Finding(False, f"error: {_line(errors[0])}", found, evaluated=False)
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


def _execute(spark: SparkSession, texts: Sequence[str], now: datetime) -> list[Any]:
    # Telemetry is decided when Soda is first imported.
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    with _ONE_AT_A_TIME, _errors_captured(), warnings.catch_warnings():
        # Soda warns of its own unfinished parts, when imported and when it reads a table's columns.
        warnings.simplefilter("ignore")
        from soda_core.common.yaml import ContractYamlSource
        from soda_core.contracts.contract_verification import ContractVerificationSession
        from soda_sparkdf.common.data_sources.sparkdf_data_source import SparkDataFrameDataSource

        source = SparkDataFrameDataSource.from_existing_session(session=spark, name=naming.CATALOG)
        session = ContractVerificationSession.execute(
            contract_yaml_sources=[ContractYamlSource.from_str(text) for text in texts],
            data_timestamp=now.isoformat(),
            data_source_impls=[source],
        )
    results = list(session.contract_verification_results)
    if len(results) != len(texts):
        raise GateError(f"no result: {_line(session.get_errors_str())}")
    return results


@contextlib.contextmanager
def _errors_captured() -> Iterator[None]:
    """Soda's logger at a level at which its own errors reach it, whatever the application set."""
    logger = logging.getLogger("soda")
    level, disabled = logger.level, logging.root.manager.disable
    logger.setLevel(logging.WARNING)
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        logger.setLevel(level)
        logging.disable(disabled)


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


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
