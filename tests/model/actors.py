"""The processes of a deployment: drivers with their tasks, and who else touches the table."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from model.choices import weighted
from model.deployment import CONTRACT, Deployment
from model.lake import COMMIT_FAULTS, Row
from model.scheduler import Actor

from lakehouse.errors import DataLossError, TransientError
from lakehouse.ingestion.ledger import Claim, Plan
from lakehouse.ingestion.loads import Loads
from lakehouse.ingestion.replay import run_replay

_TASK_FAILURES: Final = 4
"""After which a load's driver gives up, as Spark does."""


class Drivers:
    """Spawns drivers and keeps what they share with the scheduler: their running tasks."""

    def __init__(self, deployment: Deployment) -> None:
        self.world = deployment.world
        self.accept_loss = deployment.world.options.accept_loss
        self.losses_told = 0
        self.happenings = 0
        """Counts what could give an idle driver something to do."""
        self._deployment = deployment
        self._scheduler = deployment.world.scheduler
        self._tasks: dict[Actor, tuple[Plan, int, list[Actor]]] = {}

    def start(self, *, checkpoint: int | None = None) -> Actor:
        """A driver; with a checkpoint it carries out that load once more before it goes on."""
        return self._scheduler.spawn("driver", lambda: self._drive(checkpoint))

    def replay(self) -> Actor:
        """Somebody who replays what was rejected, and then is gone."""
        return self._scheduler.spawn("replayer", self._replay)

    def _replay(self) -> None:
        def execute(plan: Plan) -> list[Claim]:
            return [
                self._deployment.work(plan, part, accept_loss=self.accept_loss)
                for part in range(len(plan.parts))
            ]

        loads, planner = self._deployment.loads(), self._deployment.replay_planner()
        done = run_replay(loads, planner, CONTRACT, execute, patience=0)
        self._scheduler.counts["rejects replayed"] += done.appended

    def twin(self, task: Actor) -> None:
        """A speculative second attempt at a running task's part."""
        plan, part, attempts = self._tasks[task]
        self._task(plan, part, attempts)

    def _drive(self, checkpoint: int | None) -> None:
        loads = self._deployment.loads()
        planner = self._deployment.planner(accept_loss=self.accept_loss)
        old = None if checkpoint is None else loads.ledger.plan(checkpoint)
        if old is not None:
            self._carry_out(loads, old)
        while True:
            happened = self.happenings
            try:
                plan = loads.plan(planner)
            except DataLossError:
                self.told_of_loss()
                raise
            if plan is None:
                self._scheduler.wait(lambda happened=happened: self.happenings != happened)  # type: ignore[misc]  # bound per round
                continue
            self._carry_out(loads, plan)

    def told_of_loss(self) -> None:
        """Somebody reads of the loss, and lets the next driver go on without the records."""
        self.losses_told += 1
        self.accept_loss = True

    def _carry_out(self, loads: Loads, plan: Plan) -> None:
        attempts: dict[int, list[Actor]] = defaultdict(list)
        failures = 0
        for part in range(len(plan.parts)):
            self._task(plan, part, attempts[part])
        while True:
            self._scheduler.wait(lambda: any(_settled(tried) for tried in attempts.values()))
            for part, tried in list(attempts.items()):
                if any(actor.result is not None for actor in tried):
                    del attempts[part]
                elif _settled(tried):
                    failures += 1
                    self._raise(tried, failures)
                    tried.clear()
                    self._task(plan, part, tried)
            if not attempts:
                break
        loads.publish(plan.load)

    def _task(self, plan: Plan, part: int, attempts: list[Actor]) -> None:
        accept = self.accept_loss

        def body() -> Claim:
            return self._deployment.work(plan, part, accept_loss=accept)

        actor = self._scheduler.spawn("task", body)
        attempts.append(actor)
        self._tasks[actor] = (plan, part, attempts)

    def _raise(self, tried: list[Actor], failures: int) -> None:
        for error in (actor.error for actor in tried):
            if isinstance(error, DataLossError):
                self.told_of_loss()
            if error is not None and not isinstance(error, TransientError):
                raise error
        if failures >= _TASK_FAILURES:
            raise TransientError("a task failed too often")


def _settled(tried: list[Actor]) -> bool:
    return any(a.result is not None for a in tried) or all(a.done for a in tried)


def compact(deployment: Deployment) -> None:
    """Replace some files by one with the same rows."""
    world = deployment.world
    scheduler, table = world.scheduler, world.table
    scheduler.call("plan a compaction")
    base = table.now
    chosen = sorted(base.files)[: 2 + scheduler.choices.below(3)]
    if len(chosen) < 2:
        return
    rows: list[Row] = [row for path in chosen for row in world.disk.rows[path]]
    merged = world.disk.write("compacted", rows)
    fault = scheduler.call(f"commit the compaction on {base.number}", COMMIT_FAULTS)

    def commit() -> bool:
        return table.swap(base, base.state, base.files - set(chosen) | {merged})

    if fault == "late":
        world.in_flight.add("commit of the compaction", commit)
    elif fault != "lost" and not commit():
        world.disk.remove(merged)


def expire(deployment: Deployment) -> None:
    """Forget all versions but the newest few, and remove the files that only they had."""
    world = deployment.world
    world.scheduler.call("expire old versions")
    table = world.table
    before = table.referenced()
    table.kept = table.kept[-1 - world.scheduler.choices.below(2) :]
    for path in sorted(before - table.referenced()):
        world.disk.remove(path)


def commit_outside(deployment: Deployment) -> None:
    """Somebody else's commit, such as a change of the table's columns."""
    table = deployment.world.table
    deployment.world.scheduler.call("commit from outside")
    table.swap(table.now, table.now.state, table.now.files)


def remove_orphans(deployment: Deployment) -> None:
    """What the platform does, counted."""
    found = deployment.remove_orphans()
    deployment.world.scheduler.counts["orphans removed"] += len(found.paths)


MAINTENANCE: Final = {
    "compaction": compact,
    "expiry": expire,
    "outsider": commit_outside,
    "orphan removal": remove_orphans,
}


def some(deployment: Deployment) -> str:
    """One kind of maintenance."""
    names = sorted(MAINTENANCE)
    return names[weighted(deployment.world.scheduler.choices, [1] * len(names))]
