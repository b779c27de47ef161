"""Builds marts: one SELECT over tables at fixed snapshots, audited and published like silver.

In part, just those partitions are overwritten that the changed days of the inputs count in; the
files of all others are carried over as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import ContractError, GateError, PublishConflictError
from lakehouse.marts.parts import Parts, parts_of
from lakehouse.marts.plan import Plan, partitioned, plan, wanted_partitions
from lakehouse.marts.sql import check_columns, pinned
from lakehouse.promotion.gate import audit, fingerprint
from lakehouse.promotion.progress import (
    GATED,
    HELD,
    Held,
    as_property,
    read_state,
    refuse_held,
)
from lakehouse.promotion.publish import (
    branch_name,
    conflict_retries,
    drop_dead_branches,
    publish,
    record,
)
from lakehouse.promotion.refine import (
    conflicts_told,
    create_branch,
    read_candidate,
    snapshot_summary,
)
from lakehouse.promotion.runclaim import run_claim
from lakehouse.promotion.verdict import Origin
from lakehouse.tables import ensure_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Clock = Callable[[], datetime]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What a build did: whether it published, the rows of the mart, the key of its verdict."""

    dataset: str
    published: bool = False
    rows: int = 0
    inputs: dict[str, int] = {}
    days: tuple[tuple[str, str], ...] = ()
    """Half-open ranges of days of the partition field that were built anew; empty: all or none."""
    whole: str = ""
    """Why it was made anew as a whole."""
    verdict: str | None = None
    reason: str = ""


def build(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    sql: str,
    *,
    contracts: Contracts,
    clock: Clock,
    run_id: str,
    code: str = "",
    full: bool = False,
) -> Build:
    """Bring a mart up to date with its inputs; ``full``: as a whole, even if nothing changed.

    ``code`` is the release that runs. Raises ContractError when the SELECT's columns are not the
    contract's, GateError when the gate fails it, PublishConflictError when the table keeps moving,
    RunningElsewhereError while another run works on the mart.
    """
    run = _Run(aws, spark, contract, sql, contracts, clock=clock, run_id=run_id, code=code)
    with run_claim(aws, "gold", contract.dataset, run_id):
        for attempt in conflict_retries():
            with attempt:
                return run.once(full, attempt.retry_state.attempt_number)
    raise AssertionError("unreachable: the last attempt returns or raises")


class _Run:
    """One build of one mart."""

    def __init__(
        self,
        aws: Aws,
        spark: SparkSession,
        contract: Contract,
        sql: str,
        contracts: Contracts,
        *,
        clock: Clock,
        run_id: str,
        code: str,
    ) -> None:
        self._aws = aws
        self._spark = spark
        self._contract = contract
        self._sql = sql
        self._contracts = contracts
        self._clock = clock
        self._run_id = run_id
        self._code = code

    def once(self, full: bool, attempt: int) -> Build:
        contract = self._contract
        made = plan(self._aws, contract, self._sql, self._contracts, full=full)
        if made.idle:
            return Build(dataset=contract.dataset, inputs=made.inputs, reason=made.idle)
        self._check_columns(pinned(contract.dataset, self._sql, made.inputs, made.live))
        parts = None
        if not made.whole:
            parts = parts_of(self._spark, contract, self._contracts, made)
            if parts is None:
                why = "a row that changed has no day, or the calendar's first or last"
                made = msgspec.structs.replace(made, whole=why)
        table = ensure_table(self._aws, contract, "gold")
        if parts is None:
            self._repartition(table)
        made = msgspec.structs.replace(made, state=made.state or read_state(table))
        if parts is not None and not parts.touched.ranges:
            return self._nothing(made)
        now = self._clock()
        drop_dead_branches(self._aws, "gold", contract.dataset, now)
        branch = branch_name(self._run_id, attempt, now)
        self._write(made, parts, branch)
        return self._publish(made, parts, branch)

    def _nothing(self, made: Plan) -> Build:
        record(self._aws, "gold", made.dataset, made.known, {**made.progress, HELD: None})
        return Build(
            dataset=made.dataset, inputs=made.inputs, reason="what changed counts in no day"
        )

    def _write(self, made: Plan, parts: Parts | None, branch: str) -> None:
        from pyspark.sql.functions import expr

        contract = self._contract
        create_branch(self._spark, "gold", contract, branch, made.known.base)
        summary = {
            "lakehouse.run": self._run_id,
            "lakehouse.code": self._code,
            "lakehouse.inputs": as_property(made.inputs),
            "lakehouse.contract-version": contract.version,
        }
        where = "true" if parts is None else parts.where
        text = pinned(contract.dataset, self._sql, made.inputs, _both(parts, made.live))
        rows = self._spark.sql(text).where(where)
        target = f"{naming.CATALOG}.{naming.table('gold', contract.dataset)}.`branch_{branch}`"
        with conflicts_told(), snapshot_summary(self._spark, summary):
            rows.writeTo(target).overwrite(expr(where))

    def _publish(self, made: Plan, parts: Parts | None, branch: str) -> Build:
        contract, state = self._contract, made.known
        candidate = read_candidate(self._aws, "gold", contract, branch, state.base)
        checks = fingerprint(contract)
        # Twins of a key lie in one partition only where its field is part of the key.
        keyed = parts is not None and parts.touched.field in contract.deduplicate.key
        origin = Origin(
            run_id=self._run_id,
            code=self._code,
            inputs=made.inputs,
            touched=parts.touched if parts is not None else None,
            scope=parts.where if parts is not None and keyed and state.gated == checks else "",
        )
        try:
            verdict, key = audit(
                self._aws, self._spark, contract, candidate, origin, clock=self._clock
            )
        except GateError:
            record(self._aws, "gold", contract.dataset, state, {}, drop=[branch])
            raise
        progress = {**made.progress, GATED: checks}
        if not verdict.passed:
            held = Held(
                made_from=made.made_from,
                contract_version=contract.version,
                reason=verdict.reason,
                verdict=key,
                branch=candidate.branch,
                snapshot_id=candidate.snapshot_id,
                at=verdict.checked_at,
                base=candidate.base,
                progress=progress,
            )
            record(self._aws, "gold", contract.dataset, state, {HELD: as_property(held)})
            refuse_held(contract.dataset, held)
        publish(self._aws, candidate, state, {**progress, HELD: None}, rebuilt=parts is None)
        return Build(
            dataset=contract.dataset,
            published=True,
            rows=candidate.rows,
            inputs=made.inputs,
            days=parts.touched.ranges if parts is not None else (),
            whole=made.whole,
            verdict=key,
            reason=verdict.reason,
        )

    def _check_columns(self, select: str) -> None:
        """By analysis alone, without a row being read."""
        from pyspark.errors import AnalysisException

        try:
            schema = self._spark.sql(select).schema
        except AnalysisException as error:
            raise ContractError(
                f"marts/{self._contract.dataset}.sql: {str(error).strip().splitlines()[0]}"
            ) from error
        check_columns(self._contract, schema)

    def _repartition(self, table: Table) -> None:
        """Partition new files as the contract says; a build as a whole leaves no other."""
        wanted = wanted_partitions(self._contract)
        if partitioned(table) == wanted:
            return
        try:
            with table.update_spec() as update:
                for field in table.spec().fields:
                    update.remove_field(field.name)
                for name, transform in wanted:
                    own = name if transform == "identity" else f"{name}_{transform}"
                    update.add_field(name, transform, own)
        except CommitFailedException as error:
            raise PublishConflictError(
                f"gold.{self._contract.dataset}: the table moved while its partitions were "
                "changed; start over"
            ) from error


def _both(parts: Parts | None, live: dict[str, str]) -> dict[str, str]:
    """By table, the predicate of the rows that are to be read."""
    regions = dict(live)
    for table, region in (parts.regions if parts is not None else {}).items():
        regions[table] = f"({region}) AND ({live[table]})" if table in live else region
    return regions
