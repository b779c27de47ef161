"""Replay: the rejects of bronze decoded again by today's contract, as a load like any other.

What a replay makes of a reject is appended at the same position with a higher attempt, and only
where it differs from what counts now, so that a second replay appends nothing. Nothing is deleted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from lakehouse.contracts.model import Contract
from lakehouse.ingestion.ledger import (
    Claim,
    Ledger,
    LoadRange,
    Part,
    Plan,
    RejectFilter,
    Replay,
)
from lakehouse.ingestion.loads import Executor, Loads
from lakehouse.ingestion.replayread import GOOD
from lakehouse.ingestion.streamplan import carried

_PART_REJECTS: Final = 200_000
"""Rejects after which a part ends; the loads of one part are read one data file after the other."""
_PATIENCE: Final = 90.0
"""Seconds for which somebody else's load is waited for; a stream's takes 60 at most."""
_POLL: Final = 0.1
"""Seconds between two looks: a busy stream plans its next load soon after it published one."""

Outcomes = Mapping[str, Mapping[str, int]]
"""Number of rejects by reason, then by what became of them: another reason, GOOD or CUT."""


class ReplayReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a replay did, or would do where ``dry_run``.

    ``load`` is None where there was nothing to replay; ``appended`` says how many rows it brought
    to bronze, none where nothing turned out differently. ``others`` are unfinished loads that were
    found and carried out before.
    """

    dataset: str
    contract_version: str
    dry_run: bool
    load: int | None
    outcomes: Outcomes
    appended: int = 0
    others: tuple[int, ...] = ()

    @property
    def good(self) -> int:
        """Rejects that are good now."""
        return sum(after.get(GOOD, 0) for after in self.outcomes.values())

    @property
    def rejects(self) -> int:
        """Rejects that were looked at, with the records that were found in aggregates and files."""
        return sum(sum(after.values()) for after in self.outcomes.values())


class ReplayPlanner:
    """Plans one replay of the rejects that count when it first looks.

    ``count`` reads bronze as it is now: the rejects that meet a filter as of a load, by load. The
    state of a stream is carried on, so that its next load begins where the last one ended.
    """

    def __init__(
        self,
        ledger: Ledger,
        count: Callable[[RejectFilter, int], Mapping[int, int]],
        contract: Contract,
        which: RejectFilter,
    ) -> None:
        self._ledger = ledger
        self._count = count
        self._contract = msgspec.structs.replace(contract, path="")
        self._which = which
        self._found: tuple[int, tuple[Part, ...]] | None = None
        self._seen = -1

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """See Planner."""
        if previous is None:
            return None
        upto, parts = self._rejects(load)
        if not parts:
            return None
        return Plan(
            load=load,
            made_at=now,
            parts=parts,
            stream=carried(previous.stream, claims) if previous.stream else None,
            replay=Replay(self._which, upto, self._contract),
        )

    def is_mine(self, plan: Plan) -> bool:
        """Whether a plan replays the same by the same contract, whoever made it."""
        made = plan.replay
        version = self._contract.version
        return made is not None and (made.which, made.contract.version) == (self._which, version)

    def _rejects(self, load: int) -> tuple[int, tuple[Part, ...]]:
        """As of which load the rejects are taken, and the parts they make.

        Looking takes a while, in which a busy stream makes another load; what was found still holds
        then. A replay in between has taken some of it away.
        """
        if self._found is None or any(map(self._is_replay, range(self._seen + 1, load))):
            found = self._count(self._which, load - 1)
            self._found = load - 1, tuple(into_parts(found))
        self._seen = load - 1
        return self._found

    def _is_replay(self, load: int) -> bool:
        plan = self._ledger.plan(load)
        return plan is not None and plan.replay is not None


def into_parts(rejects: Mapping[int, int]) -> Iterator[Part]:
    """Loads with their numbers of rejects as parts of about equal size, in order."""
    first, size = None, 0
    for load in sorted(rejects):
        first = load if first is None else first
        size += rejects[load]
        if size >= _PART_REJECTS:
            yield Part(rejects=LoadRange(first, load))
            first, size = None, 0
    if first is not None:
        yield Part(rejects=LoadRange(first, max(rejects)))


def run_replay(
    loads: Loads,
    planner: ReplayPlanner,
    contract: Contract,
    execute: Executor,
    told: Callable[[str], None] = lambda _: None,
    *,
    patience: float = _PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> ReplayReport:
    """One replay from plan to publish, after the loads that are unfinished before it.

    Somebody else's load is waited for, and carried out here once nobody has in ``patience``
    seconds. ``told`` hears of that in words.
    """
    others: list[int] = []
    outcomes: dict[str, dict[str, int]] = {}
    load, appended = None, 0
    while (plan := loads.plan(planner)) is not None:
        if plan.replay is None and _ends_elsewhere(loads, plan, patience, sleep, told):
            continue
        claims = list(execute(plan))
        loads.publish(plan.load)
        if planner.is_mine(plan):
            outcomes, load = merged([claim.outcomes for claim in claims]), plan.load
            appended = sum(claim.records for claim in claims)
            break
        others.append(plan.load)
    return ReplayReport(
        dataset=contract.dataset,
        contract_version=contract.version,
        dry_run=False,
        load=load,
        outcomes=outcomes,
        appended=appended,
        others=tuple(others),
    )


def _ends_elsewhere(
    loads: Loads,
    plan: Plan,
    patience: float,
    sleep: Callable[[float], None],
    told: Callable[[str], None],
) -> bool:
    """Whether somebody else finishes a load while it is waited for."""

    def unfinished() -> bool:
        pending = loads.progress().pending
        return pending is not None and pending.load == plan.load

    told(f"load {plan.load} of {loads.ledger.dataset} is under way; waiting for it to be published")
    waiting = Retrying(
        retry=retry_if_result(bool),
        wait=wait_fixed(_POLL),
        stop=stop_after_delay(patience),
        sleep=sleep,
        retry_error_callback=lambda _: True,
    )
    if not waiting(unfinished):
        return True
    told(f"nobody has published load {plan.load} in {patience:g} s; carrying it out here")
    return False


def merged(outcomes: Sequence[Outcomes]) -> dict[str, dict[str, int]]:
    """The outcomes of several parts together."""
    total: dict[str, Counter[str]] = {}
    for part in outcomes:
        for before, after in part.items():
            total.setdefault(before, Counter()).update(after)
    return {before: dict(sorted(after.items())) for before, after in sorted(total.items())}
