"""Promotes a dataset: new loads of bronze are refined, audited and published to silver.

All new loads are tried at once. Where the gate fails them, halves are tried in order, down to the
single load that is bad: every load before it is promoted; what becomes of it, and of those behind
it, is the contract's to say (``hold`` or ``set-aside``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import structlog
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError, PublishConflictError
from lakehouse.ingestion.icetable import LOAD
from lakehouse.promotion.gate import audit
from lakehouse.promotion.progress import (
    HELD,
    PROMOTED,
    SET_ASIDE,
    Held,
    SetAside,
    State,
    as_property,
    read_state,
    refuse_held,
)
from lakehouse.promotion.publish import (
    Candidate,
    branch_name,
    conflict_retries,
    drop_dead_branches,
    publish,
    record,
)
from lakehouse.promotion.refine import refine, survey
from lakehouse.promotion.verdict import Verdict
from lakehouse.tables import ensure_table, load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Clock = Callable[[], datetime]
_log = structlog.get_logger()


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion did: loads by number, rows added to silver, the key of the last verdict."""

    dataset: str
    promoted: tuple[int, ...] = ()
    set_aside: tuple[int, ...] = ()
    rows_added: int = 0
    verdict: str | None = None
    reason: str = ""


def pending(aws: Aws, contract: Contract) -> bool:
    """Whether bronze has loads that silver has not seen; reads metadata only.

    Raises GateError when the dataset is held.
    """
    silver = load_table(aws, "silver", contract.dataset)
    state = read_state(silver) if silver else None
    if state is not None:
        _refuse_held(contract, state)
    return _newest_load(load_table(aws, "bronze", contract.dataset)) > (
        state.promoted if state else -1
    )


def promote(
    aws: Aws, spark: SparkSession, contract: Contract, clock: Clock, run_id: str
) -> Promotion:
    """Bring every new load of a dataset to silver, as far as the gate lets it.

    Raises GateError when a load is held, after the loads before it are published, and
    PublishConflictError when the table keeps moving.
    """
    run = _Run(aws, spark, contract, clock, run_id)
    for attempt in conflict_retries():
        with attempt:
            run.all_new_loads()
    return run.promotion()


class _Run:
    """One promotion of one dataset; what it has done so far outlives a conflict."""

    def __init__(
        self, aws: Aws, spark: SparkSession, contract: Contract, clock: Clock, run_id: str
    ) -> None:
        self._aws = aws
        self._spark = spark
        self._contract = contract
        self._clock = clock
        self._run_id = run_id
        self._attempts = count(1)
        self._promoted: list[int] = []
        self._set_aside: list[int] = []
        self._rows_added = 0
        self._verdict: str | None = None
        self._reason = "no new loads"
        self._replayed = False

    def promotion(self) -> Promotion:
        return Promotion(
            dataset=self._contract.dataset,
            promoted=tuple(self._promoted),
            set_aside=tuple(self._set_aside),
            rows_added=self._rows_added,
            verdict=self._verdict,
            reason=self._reason,
        )

    def all_new_loads(self) -> None:
        last = _newest_load(load_table(self._aws, "bronze", self._contract.dataset))
        if last < 0:
            return
        ensure_table(self._aws, self._contract, "silver")
        drop_dead_branches(self._aws, "silver", self._contract.dataset, self._clock())
        state = self._state()
        _refuse_held(self._contract, state)
        if last <= state.promoted:
            return
        left_out = [item.load for item in state.set_aside]
        found = survey(self._spark, self._contract, state.promoted, last, left_out)
        self._replayed = found.replayed
        if found.loads:
            self._promote(found.loads, last)
        else:
            self._record(state, {PROMOTED: str(last)})
            self._reason = "the new loads brought no good row"

    def _promote(self, loads: Sequence[int], upto: int) -> None:
        """Promote the loads in order; ``upto`` is how far silver has come when they are done."""
        state = self._state()
        branch = branch_name(self._run_id, next(self._attempts), self._clock())
        candidate = refine(
            self._aws,
            self._spark,
            self._contract,
            base=state.base,
            loads=loads,
            replayed=self._replayed,
            branch=branch,
            summary={
                "lakehouse.run": self._run_id,
                "lakehouse.loads": as_property(loads),
                "lakehouse.contract-version": self._contract.version,
            },
        )
        if not candidate.changed:
            self._record(state, {PROMOTED: str(upto)}, drop=[branch])
            self._done(loads, 0, "silver had every row already")
            return
        try:
            verdict, self._verdict = audit(
                self._aws,
                self._spark,
                self._contract,
                candidate,
                run_id=self._run_id,
                clock=self._clock,
                loads=loads,
            )
        except GateError:
            self._record(state, {}, drop=[branch])
            raise
        if verdict.passed:
            publish(self._aws, candidate, state, {PROMOTED: str(upto), HELD: None})
            self._done(loads, candidate.rows_added, verdict.reason)
        elif len(loads) > 1:
            self._record(state, {}, drop=[branch])
            half = len(loads) // 2
            self._promote(loads[:half], loads[half - 1])
            self._promote(loads[half:], upto)
        elif self._contract.gate.on_fail == "set-aside":
            self._leave_out(state, loads[0], upto, verdict, branch)
        else:
            self._hold(state, loads[0], verdict, candidate)

    def _leave_out(self, state: State, load: int, upto: int, verdict: Verdict, branch: str) -> None:
        entry = SetAside(load, verdict.reason, self._verdict or "", self._clock().isoformat())
        progress = {
            PROMOTED: str(upto),
            SET_ASIDE: as_property([*state.set_aside, entry]),
        }
        self._record(state, progress, drop=[branch])
        self._set_aside.append(load)
        self._reason = f"load {load} set aside: {verdict.reason}"
        _log.warning("load set aside", dataset=self._contract.dataset, load=load)

    def _hold(self, state: State, load: int, verdict: Verdict, candidate: Candidate) -> None:
        held = Held(
            made_from=f"load {load}",
            contract_version=self._contract.version,
            reason=verdict.reason,
            verdict=self._verdict or "",
            branch=candidate.branch,
            snapshot_id=candidate.snapshot_id,
            at=self._clock().isoformat(),
            load=load,
        )
        self._record(state, {HELD: as_property(held)})
        refuse_held(self._contract.dataset, held)

    def _done(self, loads: Sequence[int], rows: int, reason: str) -> None:
        self._promoted.extend(loads)
        self._rows_added += rows
        self._reason = reason

    def _record(self, state: State, progress: dict[str, str], drop: Sequence[str] = ()) -> None:
        record(self._aws, "silver", self._contract.dataset, state, progress, drop=drop)

    def _state(self) -> State:
        """Base and progress by one reading of the metadata."""
        table = load_table(self._aws, "silver", self._contract.dataset)
        if table is None:
            raise PublishConflictError(
                f"silver.{self._contract.dataset} was dropped during its promotion; start over"
            )
        return read_state(table)


def _newest_load(bronze: Table | None) -> int:
    return int(bronze.properties.get(LOAD, "-1")) if bronze else -1


def _refuse_held(contract: Contract, state: State) -> None:
    """A held load is tried again only under another version of the contract."""
    if state.held is not None and state.held.contract_version == contract.version:
        refuse_held(contract.dataset, state.held)
