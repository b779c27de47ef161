"""The gate: Soda run on one candidate, and the verdict on it.

Row-wise checks look at the region that the candidate changed, where the rest of the table passed
the same checks before; all others at the whole candidate.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
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
from lakehouse.promotion.judge import Finding, as_check, judge, one_line, with_reject_share
from lakehouse.promotion.publish import Candidate
from lakehouse.promotion.verdict import (
    Check,
    Origin,
    Verdict,
    put_verdict,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ONE_AT_A_TIME: Final = threading.Lock()
"""Soda freezes the process's clock while it verifies, which two threads cannot do at once."""
_log = structlog.get_logger()


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
            f"{contract.dataset}: Soda could not verify {path}: {one_line(str(error))}; "
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
        raise GateError(f"no result: {one_line(session.get_errors_str())}")
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
