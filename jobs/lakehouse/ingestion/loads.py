"""The load engine: plan, work and claim, publish. Exactly once, whatever crashes or runs twice.

A load is planned once, each of its parts is claimed once, and the table says itself which load it
holds; so every step can be repeated by anybody and ends the same. The module knows neither Spark
nor Kinesis nor Iceberg: a planner says what there is to read, a worker reads a part, and a table
takes files under compare-and-swap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from lakehouse.errors import LedgerError, PublishConflictError
from lakehouse.ingestion.ledger import Claim, ClaimedFile, Ledger, Plan

log = structlog.get_logger(__name__)


class TableState(msgspec.Struct, frozen=True):
    """What the table says of itself: its last load (-1: none) and the ledger it belongs to."""

    load: int
    ledger: str | None


class LoadTable(Protocol):
    """The table that a dataset's loads are published to."""

    def state(self) -> TableState:
        """The table as it is now."""

    def append(self, seen: TableState, files: Sequence[ClaimedFile], becomes: TableState) -> None:
        """Add the files and set the state in one commit, if the table is still as ``seen``.

        Raises PublishConflictError otherwise.
        """


class Planner(Protocol):
    """What the next load of a dataset is to read."""

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """A plan that goes on after the previous load, None when there is nothing to read."""


class Progress(msgspec.Struct, frozen=True):
    """Where a dataset stands: its unfinished load, or the number the next one takes."""

    pending: Plan | None
    previous: Plan | None
    claims: tuple[Claim, ...]
    """Of ``previous``, which is published or known to be empty."""
    next_load: int


class LoadReport(msgspec.Struct, frozen=True):
    """A load that is done: what it held, how far the stream is read, what it cost in seconds."""

    dataset: str
    load: int
    parts: int
    good: int
    rejected: Mapping[str, int]
    """Rejects by reason code."""
    payload_bytes: int
    behind_ms: Mapping[str, int]
    """MillisBehindLatest by open shard."""
    through: datetime | None
    stage_seconds: float
    """Of the slowest part."""
    publish_seconds: float
    seconds: float
    """From plan to published."""
    accepted_loss: str = ""
    replay: bool = False
    """Whether it decoded rejects again, so that nothing new was delivered."""


def accepted_loss(plan: Plan, claims: Sequence[Claim]) -> str:
    """What somebody let go in a load, empty when nothing."""
    return "; ".join(s for s in (plan.accepted_loss, *(c.accepted_loss for c in claims)) if s)


def log_load(report: LoadReport) -> None:
    """One structured line a load."""
    log.info("load", **msgspec.structs.asdict(report))


Executor = Callable[[Plan], Iterable[Claim]]
"""Works on the parts of a plan, somewhere, and gives their claims."""


class Loads:
    """The loads of one dataset; ``observe`` is told of each that is done."""

    def __init__(
        self,
        ledger: Ledger,
        table: LoadTable,
        clock: Callable[[], datetime],
        observe: Callable[[LoadReport], None] = log_load,
        attempts: int = 10,
    ) -> None:
        self.ledger = ledger
        self._table = table
        self._clock = clock
        self._observe = observe
        self._attempts = attempts
        self._settled: tuple[list[int], Progress] | None = None

    def progress(self) -> Progress:
        """Where the dataset stands now, by the ledger and the table alone."""
        published = self._state().load
        planned = self.ledger.plans_after(published)
        # Entries never change, so where nothing was unfinished and nothing came, nothing is read.
        if self._settled is not None and self._settled[0] == [published, *planned]:
            return self._settled[1]
        previous = self.ledger.plan(published) if published >= 0 else None
        if published >= 0 and previous is None:
            raise LedgerError(
                f"the table of {self.ledger.dataset} holds load {published}, which its ledger "
                "does not know; was the ledger bucket emptied? Restore it before going on"
            )
        claims = tuple(self.ledger.claims(previous) or ()) if previous else ()
        for load in planned:
            plan = self.ledger.plan(load)
            made = self.ledger.claims(plan) if plan else None
            if plan is not None and (made is None or any(c.records for c in made)):
                return Progress(plan, previous, claims, load)
            previous, claims = plan, tuple(made or ())
        progress = Progress(None, previous, claims, previous.load + 1 if previous else 0)
        self._settled = ([published, *planned], progress)
        return progress

    def plan(self, planner: Planner, progress: Progress | None = None) -> Plan | None:
        """The load to carry out: an unfinished one, whoever planned it, else a new one."""
        progress = progress or self.progress()
        if progress.pending is not None:
            return progress.pending
        if progress.previous is not None:
            # Whoever plans the next load, of whatever kind, these objects are covered.
            self.ledger.mark_landed(
                tuple(ref for part in progress.previous.parts for ref in part.objects)
            )
        plan = planner.next_plan(
            progress.next_load, progress.previous, progress.claims, self._clock()
        )
        return None if plan is None else self.ledger.record_plan(plan)

    def publish(self, load: int) -> bool:
        """Make a load visible once; False when it already is, or holds nothing.

        Raises LedgerError when a part is unclaimed, an earlier load is unpublished, or the table
        belongs to another ledger.
        """
        plan = self.ledger.plan(load)
        claims = self.ledger.claims(plan) if plan else None
        if plan is None or claims is None:
            raise LedgerError(
                f"load {load} of {self.ledger.dataset} cannot be published: "
                f"{'it was never planned' if plan is None else 'a part of it is not claimed yet'}"
            )
        files = [file for claim in claims for file in claim.files]
        began = self._clock()
        if files and not self._append(load, files):
            return False
        self._observe(self._report(plan, claims, began))
        return bool(files)

    def _append(self, load: int, files: Sequence[ClaimedFile]) -> bool:
        tried = False
        for _ in range(self._attempts):
            seen = self._state()
            if seen.load >= load:
                # After a commit without an answer, it was most likely that one.
                return tried
            self._check_between(seen.load, load)
            becomes = TableState(load, self.ledger.identity())
            try:
                self._table.append(seen, files, becomes)
            except PublishConflictError as error:
                log.info("publish_conflict", dataset=self.ledger.dataset, load=load, why=str(error))
                tried = True
                continue
            return True
        raise PublishConflictError(
            f"load {load} of {self.ledger.dataset}: the table moved {self._attempts} times between "
            "reading and committing; see who else writes to it and run again"
        )

    def run(self, planner: Planner, execute: Executor) -> Plan | None:
        """One load from plan to publish; None when there was nothing to do."""
        plan = self.plan(planner)
        if plan is None:
            return None
        list(execute(plan))
        self.publish(plan.load)
        return plan

    def _report(self, plan: Plan, claims: Sequence[Claim], began: datetime) -> LoadReport:
        rejected: Counter[str] = Counter()
        for claim in claims:
            rejected.update(claim.rejected)
        through = [claim.through for claim in claims if claim.through is not None]
        now = self._clock()
        return LoadReport(
            dataset=self.ledger.dataset,
            load=plan.load,
            parts=len(plan.parts),
            good=sum(claim.good for claim in claims),
            rejected=dict(rejected),
            payload_bytes=sum(claim.payload_bytes for claim in claims),
            behind_ms={e.shard: e.behind_ms for c in claims for e in c.shards if not e.closed},
            through=min(through, default=None),
            stage_seconds=max((claim.seconds for claim in claims), default=0.0),
            publish_seconds=round((now - began).total_seconds(), 3),
            seconds=round((now - plan.made_at).total_seconds(), 3),
            accepted_loss=accepted_loss(plan, claims),
            replay=plan.replay is not None,
        )

    def _state(self) -> TableState:
        state = self._table.state()
        identity = self.ledger.identity()
        if state.ledger not in {None, identity}:
            raise LedgerError(
                f"the table of {self.ledger.dataset} belongs to ledger {state.ledger}, this is "
                f"{identity}; two ledgers would repeat records: point the job at the table's own"
            )
        return state

    def _check_between(self, published: int, load: int) -> None:
        for number in range(published + 1, load):
            plan = self.ledger.plan(number)
            claims = self.ledger.claims(plan) if plan else None
            if claims is None or any(claim.records for claim in claims):
                raise LedgerError(
                    f"load {load} of {self.ledger.dataset} cannot be published before load "
                    f"{number}, which holds records; publish that one first"
                )


class Attempt(Protocol):
    """One try at a part: files under names of its own, and what they hold."""

    def read(self) -> Claim:
        """Read, decode and write the part."""

    def abort(self) -> None:
        """Remove the files this attempt has written."""


def work(ledger: Ledger, load: int, part: int, attempt: Callable[[], Attempt]) -> Claim:
    """The claim of a part: the one that is there, else the one made here or by a faster twin.

    What was written here for nothing is removed.
    """
    found = ledger.claim(load, part)
    if found is not None:
        return found
    mine = attempt()
    try:
        claim = mine.read()
    except BaseException:
        mine.abort()
        raise
    winner = ledger.record_claim(claim)
    if [file.path for file in winner.files] != [file.path for file in claim.files]:
        mine.abort()
    return winner
