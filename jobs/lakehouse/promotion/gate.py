"""The gate: Soda run on one candidate, judged by a stricter rule than Soda's own.

Soda calls a verification fine when a check could not be evaluated, and finds errors only in log
records that the application may have silenced. Here a candidate passes only when Soda says so, no
error was logged, there are as many results as checks and every one of them passed or warned.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError
from lakehouse.promotion import soda
from lakehouse.promotion.publish import Candidate
from lakehouse.promotion.verdict import GOOD, Check, Outcome, Verdict, put_verdict

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


def verify(spark: SparkSession, contract: Contract, branch: str) -> Finding:
    """Run the contract's checks on a branch of its table.

    Raises GateError when Soda itself breaks.
    """
    path = soda.dataset_path(contract, branch)
    try:
        result = _execute(spark, soda.render(contract, path))
    except Exception as error:  # Soda raises whatever its drivers raise
        raise GateError(
            f"{contract.dataset}: Soda could not verify {path}: {_line(str(error))}; "
            "nothing was published"
        ) from error
    return judge(
        expected=soda.count(contract),
        status=result.status.name,
        errors=result.get_errors(),
        checks=[as_check(item) for item in result.check_results],
    )


def audit(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    candidate: Candidate,
    *,
    run_id: str,
    clock: Callable[[], datetime],
    loads: Sequence[int] = (),
    inputs: Mapping[str, int] | None = None,
) -> tuple[Verdict, str]:
    """Verify a candidate and write the verdict on it; the verdict and its key.

    Raises GateError, with a failed verdict written, when the checks could not be carried out.
    """
    finding = verify(spark, contract, candidate.branch)
    verdict = Verdict(
        dataset=candidate.dataset,
        layer=candidate.layer,
        snapshot_id=candidate.snapshot_id,
        base_snapshot_id=candidate.base,
        run_id=run_id,
        loads=tuple(loads),
        inputs=dict(inputs or {}),
        contract_version=contract.version,
        checked_at=clock().isoformat(),
        passed=finding.passed,
        reason=finding.reason,
        checks=finding.checks,
    )
    key = put_verdict(aws, verdict)
    _log.info(
        "candidate audited",
        dataset=candidate.dataset,
        loads=list(loads),
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


def judge(*, expected: int, status: str, errors: Sequence[str], checks: Sequence[Check]) -> Finding:
    """The strict rule: ``expected`` checks, Soda's ``status``, what it logged, what came out."""
    found = tuple(checks)
    if errors:
        return Finding(False, f"error: {_line(errors[0])}", found, evaluated=False)
    if len(found) != expected or not found:
        reason = f"{len(found)} of {expected} checks gave a result"
        return Finding(False, reason, found, evaluated=False)
    if bad := [check for check in found if check.outcome not in GOOD]:
        return Finding(False, "; ".join(map(_describe, bad)), found)
    if status not in {"PASSED", "WARNED"}:
        return Finding(False, f"Soda ended with status {status}", found, evaluated=False)
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


def _execute(spark: SparkSession, text: str) -> Any:
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
            contract_yaml_sources=[ContractYamlSource.from_str(text)],
            data_source_impls=[source],
        )
    if len(session.contract_verification_results) != 1:
        raise GateError(f"no result: {_line(session.get_errors_str())}")
    return session.contract_verification_results[0]


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
