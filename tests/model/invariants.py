"""What holds whenever the faults are off and one driver has run to the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from model.deployment import World
from model.scheduler import Violation
from model.shards import Delivery

from lakehouse.ingestion.ledger import Claim, Ledger, Plan


class History:
    """The whole ledger of a world, read outside of the schedule."""

    def __init__(self, world: World) -> None:
        self.world = world
        ledger = Ledger(world.store, "d", sleep=lambda _: None)
        plans = (ledger.plan(load) for load in ledger.plans_after(-1))
        self.plans: list[Plan] = [plan for plan in plans if plan is not None]
        self.claims: dict[int, list[Claim]] = {
            plan.load: ledger.claims(plan) or [] for plan in self.plans
        }

    @property
    def start(self) -> datetime | None:
        """The instant at which the loads begin, None for whatever the stream has."""
        first = self.plans[0].stream if self.plans else None
        return first.initial.timestamp if first else None

    def brought(self, load: int) -> set[int]:
        """The sequence numbers of a load."""
        rows = self.world.disk.rows
        return {r.sequence for c in self.claims[load] for f in c.files for r in rows[f.path]}

    def expected(self, delivery: Delivery) -> bool:
        """Whether the loads have to bring a record, or account for its loss."""
        if not self.plans:
            return False
        first = self.plans[0]
        if self.start is not None or delivery.arrived >= first.made_at:
            return delivery.arrived >= (self.start or first.made_at)
        # Of what was there before the first plan, the loads bring what is not trimmed before they
        # know how far they are.
        known = (p.made_at for p in self.plans if p.stream and p.stream.through is not None)
        return not self.world.stream.trimmed(delivery, next(known, self.world.scheduler.now))

    def accepted(self, delivery: Delivery) -> bool:
        """Whether some load says that a record is lost, and somebody has let it go."""
        return any(self._let_go(plan, delivery) for plan in self.plans)

    def _let_go(self, plan: Plan, delivery: Delivery) -> bool:
        assert plan.stream is not None
        safe, by = plan.stream.through or self.plans[0].made_at, []
        if plan.accepted_loss:
            by.append(plan.made_at)
        made_at = self.world.store.made_at
        by += [
            made_at[f"d/claims/{claim.load:012d}/{claim.part:05d}.json"]
            for claim in self.claims[plan.load]
            if claim.accepted_loss
        ]
        return any(
            safe <= delivery.arrived and self.world.stream.trimmed(delivery, at) for at in by
        )


def check(world: World) -> None:
    """Raises Violation with the invariant that does not hold."""
    world.store.check()
    world.table.check()
    history = History(world)
    _nothing_missing(history)
    _nothing_from_before_the_start(history)
    _in_order(history)
    _through_is_read(history)
    _finished_is_bounded(history)
    _replayed_once(history)


def _nothing_missing(history: History) -> None:
    world = history.world
    there = {sequence for sequence, _ in world.table.rows(world.table.now.files)}
    for delivery in world.stream.deliveries:
        if delivery.sequence in there or not history.expected(delivery):
            continue
        if not world.stream.trimmed(delivery):
            raise Violation(f"{_name(delivery)} is not in the table")
        if not history.accepted(delivery):
            raise Violation(f"{_name(delivery)} was trimmed unread, and nobody was told")


def _nothing_from_before_the_start(history: History) -> None:
    start = history.start
    table = history.world.table
    there = {sequence for sequence, _ in table.rows(table.now.files)}
    for delivery in history.world.stream.deliveries:
        if start is not None and delivery.arrived < start and delivery.sequence in there:
            raise Violation(f"{_name(delivery)} had arrived before the start that was asked for")


def _in_order(history: History) -> None:
    world = history.world
    of = {delivery.sequence: delivery for delivery in world.stream.deliveries}
    rows = [r for path in world.table.now.files for r in world.disk.rows[path] if not r.attempt]
    by_key: dict[int, list[Delivery]] = {}
    for row in sorted(rows, key=lambda row: (row.load, row.sequence)):
        by_key.setdefault(of[row.sequence].key, []).append(of[row.sequence])
    for deliveries in by_key.values():
        for one, other in pairwise(deliveries):
            if one.number > other.number:
                raise Violation(f"{_name(one)} comes before {_name(other)}")


def _through_is_read(history: History) -> None:
    brought: set[int] = set()
    for plan in history.plans:
        through = plan.stream.through if plan.stream else None
        if through is not None:
            _read_up_to(history, plan, through, brought)
        brought |= history.brought(plan.load)


def _read_up_to(history: History, plan: Plan, through: datetime, brought: set[int]) -> None:
    for delivery in history.world.stream.deliveries:
        if delivery.arrived >= through or delivery.sequence in brought:
            continue
        if history.expected(delivery) and not history.accepted(delivery):
            raise Violation(
                f"load {plan.load} says that all was read that arrived by {through:%H:%M:%S.%f}; "
                f"{_name(delivery)} was not"
            )


def _finished_is_bounded(history: History) -> None:
    if not history.plans:
        return
    plans = [plan for plan in history.plans if plan.replay is None]
    stream, last = history.world.stream, plans[-1]
    if last.stream is None or last.made_at < history.world.scheduler.now - timedelta(minutes=5):
        return
    listed = stream.listed()
    needed = listed.union(*(stream.parents_of(shard) for shard in listed))
    strange = set(last.stream.finished) - needed
    if strange:
        raise Violation(f"load {last.load} still remembers {sorted(strange)}, long forgotten")


def _replayed_once(history: History) -> None:
    """What a replay covers is replayed; that it is not twice is what the table checks."""
    rows = [r for path in history.world.table.now.files for r in history.world.disk.rows[path]]
    first = {row.sequence: row for row in rows if not row.attempt}
    again = {row.sequence: row for row in rows if row.attempt}
    for sequence, row in again.items():
        if row.attempt > 1 or sequence not in first or first[sequence].load >= row.load:
            raise Violation(f"{row} is a replay of {first.get(sequence)}")
    for plan in history.plans:
        upto = plan.replay.upto if plan.replay else -1
        for row in first.values():
            if row.rejected and row.load <= upto and row.sequence not in again:
                raise Violation(f"{row} was to be replayed by load {plan.load} and was not")


def _name(delivery: Delivery) -> str:
    return f"record {delivery.sequence} ({delivery.shard}, {delivery.number} of key {delivery.key})"
