"""Builds marts: one SELECT over silver, read at fixed snapshots, audited and published like silver.

A mart is built anew when a snapshot it reads, its SELECT or its contract has changed since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError
from lakehouse.marts.sql import check_columns, inputs_of, pinned
from lakehouse.promotion.gate import audit
from lakehouse.promotion.progress import (
    HELD,
    INPUTS,
    SELECT,
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
from lakehouse.tables import ensure_table, load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Clock = Callable[[], datetime]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a mart would be made from now; ``waits_for`` names inputs that have no rows yet."""

    inputs: dict[str, int]
    waits_for: tuple[str, ...]
    select: str
    """Fingerprint of the SELECT and of the contract's version."""
    current: bool
    """Whether the published mart was made from just this."""

    @property
    def idle(self) -> str:
        """Why there is nothing to build; empty when there is."""
        if self.waits_for:
            return f"waits for {', '.join(self.waits_for)}"
        return "nothing has changed" if self.current else ""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What a build did: whether it published, the rows of the mart, the key of its verdict."""

    dataset: str
    published: bool = False
    rows: int = 0
    inputs: dict[str, int] = {}
    verdict: str | None = None
    reason: str = ""


def plan(aws: Aws, contract: Contract, sql: str) -> Plan:
    """What the mart would be made from now; reads metadata only.

    Raises GateError when just this was held before.
    """
    heads: dict[str, int] = {}
    waits = []
    for name in inputs_of(contract.dataset, sql):
        layer, _, dataset = name.partition(".")
        head = _head(load_table(aws, "gold" if layer == "gold" else "silver", dataset))
        if head is None:
            waits.append(name)
        else:
            heads[name] = head
    fingerprint = hashlib.sha256(f"{contract.version}\n{sql}".encode()).hexdigest()[:16]
    mart = load_table(aws, "gold", contract.dataset)
    state = read_state(mart) if mart else None
    found = Plan(
        inputs=heads,
        waits_for=tuple(waits),
        select=fingerprint,
        current=state is not None
        and state.base is not None
        and (state.inputs, state.select) == (heads, fingerprint),
    )
    held = state.held if state else None
    if held is not None and (held.made_from, held.contract_version) == (
        _made_from(found),
        contract.version,
    ):
        refuse_held(contract.dataset, held)
    return found


def build(
    aws: Aws, spark: SparkSession, contract: Contract, sql: str, *, clock: Clock, run_id: str
) -> Build:
    """Bring a mart up to date with its inputs.

    Raises ContractError when the SELECT's columns are not the contract's, GateError when the gate
    fails it, PublishConflictError when the table keeps moving.
    """
    for attempt in conflict_retries():
        with attempt:
            number = attempt.retry_state.attempt_number
            return _build(aws, spark, contract, sql, clock=clock, run_id=run_id, attempt=number)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _build(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    sql: str,
    *,
    clock: Clock,
    run_id: str,
    attempt: int,
) -> Build:
    from pyspark.sql.functions import lit

    made = plan(aws, contract, sql)
    if made.idle:
        return Build(dataset=contract.dataset, inputs=made.inputs, reason=made.idle)
    rows = spark.sql(pinned(contract.dataset, sql, made.inputs))
    check_columns(contract, rows.schema)
    state = read_state(ensure_table(aws, contract, "gold"))
    now = clock()
    drop_dead_branches(aws, "gold", contract.dataset, now)
    branch = branch_name(run_id, attempt, now)
    create_branch(spark, "gold", contract, branch, state.base)
    summary = {
        "lakehouse.run": run_id,
        "lakehouse.inputs": as_property(made.inputs),
        "lakehouse.contract-version": contract.version,
    }
    table = f"{naming.CATALOG}.{naming.table('gold', contract.dataset)}.`branch_{branch}`"
    with conflicts_told(), snapshot_summary(spark, summary):
        rows.writeTo(table).overwrite(lit(True))
    candidate = read_candidate(aws, "gold", contract, branch, state.base)
    try:
        verdict, key = audit(
            aws, spark, contract, candidate, run_id=run_id, clock=clock, inputs=made.inputs
        )
    except GateError:
        record(aws, "gold", contract.dataset, state, {}, drop=[branch])
        raise
    if not verdict.passed:
        held = Held(
            made_from=_made_from(made),
            contract_version=contract.version,
            reason=verdict.reason,
            verdict=key,
            branch=candidate.branch,
            snapshot_id=candidate.snapshot_id,
            at=verdict.checked_at,
        )
        record(aws, "gold", contract.dataset, state, {HELD: as_property(held)})
        refuse_held(contract.dataset, held)
    publish(
        aws,
        candidate,
        state,
        {INPUTS: as_property(made.inputs), SELECT: made.select, HELD: None},
    )
    return Build(
        dataset=contract.dataset,
        published=True,
        rows=candidate.rows,
        inputs=made.inputs,
        verdict=key,
        reason=verdict.reason,
    )


def _made_from(plan: Plan) -> str:
    inputs = ", ".join(f"{name} at {snapshot}" for name, snapshot in plan.inputs.items())
    return f"{inputs} by SELECT {plan.select}"


def _head(table: Table | None) -> int | None:
    """Main's snapshot, None when there is no table or none with rows."""
    main = table.metadata.refs.get("main") if table else None
    return main.snapshot_id if main else None
