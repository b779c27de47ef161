"""Promotes a dataset: new loads of bronze are refined, audited and published to silver.

All new loads are tried at once. Where the gate fails them, halves are tried in order, down to the
single load that is bad: every load before it is promoted; what becomes of it, and of those behind
it, is the contract's to say (``hold`` or ``set-aside``). A load that was set aside is tried again
with the new ones once a person takes it in.
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
from lakehouse.promotion.gate import audit, fingerprint
from lakehouse.promotion.judge import too_many_rejects
from lakehouse.promotion.progress import (
    GATED,
    HELD,
    PROMOTED,
    SET_ASIDE,
    TAKEN_IN,
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
from lakehouse.promotion.runclaim import run_claim
from lakehouse.promotion.verdict import LoadCounts, Origin, Verdict
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
    """Whether there are loads that silver has not dealt with; reads metadata only.

    Raises GateError when the dataset is held.
    """
    silver = load_table(aws, "silver", contract.dataset)
    state = read_state(silver) if silver else None
    newest = newest_load(load_table(aws, "bronze", contract.dataset))
    if state is None:
        return newest >= 0
    _refuse_held(contract, state)
    return newest > state.promoted or bool(state.taken_in)


def idle_because(aws: Aws, contract: Contract) -> str:
    """Why there is nothing to promote now, empty when there is; reads metadata only.

    Raises GateError when the dataset is held.
    """
    if not pending(aws, contract):
        return "no new loads"
    waiting = waits_for(aws, contract)
    return f"waits for {', '.join(waiting)}" if waiting else ""


def waits_for(aws: Aws, contract: Contract) -> tuple[str, ...]:
    """The tables that the contract refers to and that have no row yet, such as ``silver.planes``.

    Without them nothing can be said of its rows.
    """
    wanted = {f.reference.dataset for f in contract.fields if f.reference is not None}
    tables = {name: load_table(aws, "silver", name) for name in sorted(wanted)}
    return tuple(f"silver.{n}" for n, t in tables.items() if t is None or not t.current_snapshot())


def promote(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    *,
    clock: Clock,
    run_id: str,
    code: str = "",
) -> Promotion:
    """Bring every new load of a dataset to silver, as far as the gate lets it.

    ``code`` is the release that runs. Raises GateError when a load is held, after the loads before
    it are published, PublishConflictError when the table keeps moving, and RunningElsewhereError
    while another run works on the dataset.
    """
    if idle := idle_because(aws, contract):
        return Promotion(dataset=contract.dataset, reason=idle)
    run = _Run(aws, spark, contract, clock=clock, run_id=run_id, code=code)
    with run_claim(aws, "silver", contract.dataset, run_id):
        for attempt in conflict_retries():
            with attempt:
                run.all_new_loads()
    return run.promotion()


class _Run:
    """One promotion of one dataset; what it has done so far outlives a conflict."""

    def __init__(
        self,
        aws: Aws,
        spark: SparkSession,
        contract: Contract,
        *,
        clock: Clock,
        run_id: str,
        code: str,
    ) -> None:
        self._aws = aws
        self._spark = spark
        self._contract = contract
        self._clock = clock
        self._run_id = run_id
        self._code = code
        self._attempts = count(1)
        self._promoted: list[int] = []
        self._set_aside: list[int] = []
        self._rows_added = 0
        self._verdict: str | None = None
        self._reason = "no new loads"
        self._replayed = False
        self._counts: dict[int, LoadCounts] = {}

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
        last = newest_load(load_table(self._aws, "bronze", self._contract.dataset))
        if last < 0:
            return
        ensure_table(self._aws, self._contract, "silver")
        drop_dead_branches(self._aws, "silver", self._contract.dataset, self._clock())
        state = self._state()
        _refuse_held(self._contract, state)
        if last <= state.promoted and not state.taken_in:
            return
        found = survey(
            self._spark,
            self._contract,
            state.promoted,
            last,
            [item.load for item in state.set_aside],
            [item.load for item in state.taken_in],
        )
        self._replayed = found.replayed
        self._counts = {item.load: item for item in found.counts}
        if found.loads:
            self._promote(found.loads, last)
        else:
            self._record(state, self._progress(state, [t.load for t in state.taken_in], last))
            self._reason = "the new loads brought no good row"

    def _promote(self, loads: Sequence[int], upto: int) -> None:
        """Promote the loads in order; ``upto`` is how far silver has come when they are done."""
        state = self._state()
        branch = branch_name(self._run_id, next(self._attempts), self._clock())
        refined = refine(
            self._aws,
            self._spark,
            self._contract,
            base=state.base,
            loads=loads,
            replayed=self._replayed,
            branch=branch,
            summary={
                "lakehouse.run": self._run_id,
                "lakehouse.code": self._code,
                "lakehouse.loads": as_property(loads),
                "lakehouse.contract-version": self._contract.version,
            },
        )
        candidate = refined.candidate
        progress = self._progress(state, loads, upto)
        counts = tuple(self._counts[load] for load in loads if load in self._counts)
        if not candidate.changed and not too_many_rejects(self._contract, counts):
            self._record(state, progress, drop=[branch])
            self._done(loads, 0, "silver had every row already")
            return
        checks = fingerprint(self._contract)
        origin = Origin(
            run_id=self._run_id,
            code=self._code,
            loads=tuple(loads),
            counts=counts,
            touched=refined.touched,
            scope=refined.scope if state.gated == checks else "",
        )
        try:
            verdict, self._verdict = audit(
                self._aws, self._spark, self._contract, candidate, origin, clock=self._clock
            )
        except GateError:
            self._record(state, {}, drop=[branch])
            raise
        progress |= {GATED: checks}
        if verdict.passed:
            publish(self._aws, candidate, state, {**progress, HELD: None})
            self._done(loads, candidate.rows_added, verdict.reason)
        elif len(loads) > 1:
            self._record(state, {}, drop=[branch])
            half = len(loads) // 2
            self._promote(loads[:half], loads[half - 1])
            self._promote(loads[half:], upto)
        elif self._contract.gate.on_fail == "set-aside":
            self._leave_out(state, loads[0], upto, verdict, branch)
        else:
            self._hold(state, loads[0], progress, verdict, candidate)

    def _progress(self, state: State, loads: Sequence[int], upto: int) -> dict[str, str]:
        """The properties that say that the loads are dealt with, and all others up to ``upto``."""
        done = set(loads)
        rest = [item for item in state.taken_in if item.load not in done]
        return {
            PROMOTED: str(max(state.promoted, upto)),
            **({TAKEN_IN: as_property(rest)} if state.taken_in else {}),
        }

    def _leave_out(self, state: State, load: int, upto: int, verdict: Verdict, branch: str) -> None:
        entry = SetAside(load, verdict.reason, self._verdict or "", self._clock().isoformat())
        progress = self._progress(state, [load], upto)
        progress[SET_ASIDE] = as_property([*state.set_aside, entry])
        self._record(state, progress, drop=[branch])
        self._set_aside.append(load)
        self._reason = f"load {load} set aside: {verdict.reason}"
        _log.warning("load set aside", dataset=self._contract.dataset, load=load)

    def _hold(
        self,
        state: State,
        load: int,
        progress: dict[str, str],
        verdict: Verdict,
        candidate: Candidate,
    ) -> None:
        held = Held(
            made_from=f"load {load}",
            contract_version=self._contract.version,
            reason=verdict.reason,
            verdict=self._verdict or "",
            branch=candidate.branch,
            snapshot_id=candidate.snapshot_id,
            at=self._clock().isoformat(),
            base=candidate.base,
            load=load,
            progress=progress,
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


def newest_load(bronze: Table | None) -> int:
    """The last load in bronze, -1 for none."""
    return int(bronze.properties.get(LOAD, "-1")) if bronze else -1


def _refuse_held(contract: Contract, state: State) -> None:
    """A held load is tried again only under another contract version, or from another main."""
    held = state.held
    if held is None or held.contract_version != contract.version or held.base != state.base:
        return
    refuse_held(contract.dataset, held)
