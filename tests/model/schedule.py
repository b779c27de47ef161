"""One schedule: disorder, then quiet, then what must hold, twice over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from model import actors
from model.actors import Drivers
from model.choices import Choices, weighted
from model.deployment import LONGEST_TASK, Deployment, Options, World
from model.invariants import check
from model.scheduler import Actor, Scheduler, Violation

from lakehouse.errors import DataLossError, LakehouseError, TransientError
from lakehouse.ingestion.loads import Loads
from lakehouse.ingestion.streamplan import StreamPlanner

FAULTS: Final = (
    "refused", "lost", "unanswered", "late", "sent twice",
    "throttled", "expired", "blank", "lagging",
)  # fmt: skip
_JUMPS: Final = (
    timedelta(seconds=2), timedelta(seconds=70), timedelta(minutes=6), timedelta(hours=5),
    timedelta(hours=13), timedelta(hours=25),
)  # fmt: skip
_PHASES: Final = 2
_STEPS: Final = (15, 60, 120)
_SPARE_ROUNDS: Final = 10
"""What a driver alone may take beyond a load for each record and two for each shard."""


@dataclass(frozen=True)
class Emphasis:
    """What a schedule is to have more of, where it looks for something rare."""

    weights: Mapping[str, int] = field(default_factory=dict)
    """Of actions by name."""
    faults: tuple[str, ...] = ()
    start: str = ""


@dataclass(frozen=True)
class Action:
    """Something that may happen next, how often, and whether it can happen now."""

    name: str
    weight: int
    act: Callable[[], None]
    possible: Callable[[], bool]


class Schedule:
    """Builds a world from its first choices, and lets the others decide what happens in it."""

    def __init__(
        self,
        choices: Choices,
        deployment: Callable[[World], Deployment] = Deployment,
        emphasis: Emphasis | None = None,
    ) -> None:
        self._choices = choices
        self._emphasis = emphasis or Emphasis()
        self.scheduler = Scheduler(choices)
        self.world = World(self.scheduler, _options(choices, self._emphasis.start))
        self._deployment = deployment(self.world)
        self._drivers = Drivers(self._deployment)
        self._last: Actor | None = None
        self._actions = self._all_actions()

    def run(self) -> None:
        """Raises Violation, with all that was done, when a promise is broken."""
        try:
            for _ in range(_PHASES):
                self._pick_faults()
                self._disorder(_STEPS[weighted(self._choices, (1, 1, 8))])
                self._quiet()
                check(self.world)
        except Violation as violation:
            trace = "\n".join(self.scheduler.trace)
            raise Violation(
                f"{violation}\n{self.world.options}\n{trace}\n{violation}"
            ) from violation
        finally:
            self.scheduler.kill_all()

    def _disorder(self, steps: int) -> None:
        self.scheduler.faults_on = True
        if not self._live("driver"):
            self._drivers.start()
        until = self.scheduler.steps + steps
        turns = 0
        while self.scheduler.steps < until and turns < 4 * steps:
            turns += 1
            ready = [a for a in self.scheduler.actors if a.ready]
            possible = [a for a in self._actions if a.weight and a.possible()]
            weights = (60 if ready else 0, 25 if ready else 0, *(a.weight for a in possible))
            at = weighted(self._choices, weights)
            if at >= 2:
                possible[at - 2].act()
                continue
            if at == 1 or self._last not in ready:
                self._last = ready[self._choices.below(len(ready))]
            assert self._last is not None
            self._go_on(self._last)

    def _go_on(self, actor: Actor) -> None:
        self.scheduler.go_on(actor)
        if actor.error is not None and actor.kind != "task":
            self.scheduler.counts[f"{actor.kind} failed: {type(actor.error).__name__}"] += 1
            _judge(actor.name, actor.error)

    def _quiet(self) -> None:
        """One driver alone, without faults, until there is nothing to do."""
        self.scheduler.faults_on = False
        self.scheduler.note("quiet: one driver alone, no faults")
        loads = self._deployment.loads()
        planner = self._deployment.planner(accept_loss=self._drivers.accept_loss)
        idle, most = False, self.world.stream.size + _SPARE_ROUNDS
        for _ in range(most):
            try:
                busy = self._round(loads, planner)
            except DataLossError as error:
                if self._drivers.accept_loss:
                    raise Violation(f"an accepted loss is refused: {error}") from error
                self.scheduler.note(f"quiet driver: {error}")
                self._drivers.told_of_loss()
                planner = self._deployment.planner(accept_loss=True)
                continue
            except (LakehouseError, LookupError) as error:
                raise Violation(f"a driver alone cannot go on: {error!r}") from error
            if not busy and idle:
                return
            if not busy:
                self._pass(timedelta(minutes=2))
            idle = not busy
        raise Violation(f"a driver alone has not come to an end in {most} rounds")

    def _round(self, loads: Loads, planner: StreamPlanner) -> bool:
        """A load from plan to publish; False when there is nothing to do."""
        plan = loads.plan(planner)
        if plan is None:
            return False
        self.scheduler.note(f"quiet driver: load {plan.load}")
        for part in range(len(plan.parts)):
            self._deployment.work(plan, part, accept_loss=self._drivers.accept_loss)
        loads.publish(plan.load)
        return True

    def _pick_faults(self) -> None:
        """Each schedule has some kinds of faults only, or none would get far."""
        some = (fault for fault in FAULTS if self._choices.below(2))
        self.scheduler.fault_kinds = frozenset(self._emphasis.faults or some)

    def _all_actions(self) -> list[Action]:
        def action(
            name: str, weight: int, act: Callable[[], None], possible: Callable[[], bool]
        ) -> Action:
            return Action(name, self._emphasis.weights.get(name, weight), act, possible)

        def sometimes(weight: int) -> int:
            return weight * (1, 1, 0, 3)[self._choices.below(4)]

        return [
            action("produce", 8, self._produce, lambda: True),
            action("reshard", sometimes(2), self._reshard, self.world.stream.can_reshard),
            action("time", sometimes(3), self._time, lambda: True),
            action("crash", sometimes(4), self._crash, lambda: bool(self.scheduler.actors)),
            action("twin", sometimes(2), self._twin, lambda: bool(self._live("task"))),
            action("driver", 3, self._driver, lambda: len(self._live("driver")) < 2),
            action("replay", sometimes(2), self._replay, lambda: len(self._live("replayer")) < 2),
            action(
                "maintenance", sometimes(3), self._maintain,
                lambda: len(self._live(*actors.MAINTENANCE)) < 2,
            ),
            action("arrive", 4, self._arrive, lambda: bool(self.world.in_flight.calls)),
        ]  # fmt: skip

    def _live(self, *kinds: str) -> list[Actor]:
        return [a for a in self.scheduler.actors if a.kind in kinds and not a.done]

    def _produce(self) -> None:
        key = self._choices.below(self.world.stream.keys)
        self.world.stream.put(key)
        self.scheduler.note(f"a record of key {key} arrives")
        self._drivers.happenings += 1

    def _reshard(self) -> None:
        stream = self.world.stream
        shards = stream.open()
        one = shards[self._choices.below(len(shards))]
        if self._choices.below(2) and len(shards) > 1:
            other = next(s for s in shards if s is not one)
            stream.merge(one, other)
            self.scheduler.note(f"{one.name} and {other.name} merge")
        elif stream.split(one):
            self.scheduler.note(f"{one.name} splits")
        self.scheduler.counts["reshards"] += 1
        self._drivers.happenings += 1

    def _time(self) -> None:
        self._pass(_JUMPS[weighted(self._choices, (6, 6, 4, 2, 2, 2))])

    def _pass(self, jump: timedelta) -> None:
        self.scheduler.now += jump
        self.scheduler.note(f"{jump} passes")
        self._drivers.happenings += 1
        for actor in list(self.scheduler.actors):
            # No task or compaction lives longer, or orphan removal could not tell by age.
            if actor.kind != "driver" and self.scheduler.now - actor.born > LONGEST_TASK:
                self.scheduler.crash(actor)

    def _crash(self) -> None:
        live = self.scheduler.actors
        self.scheduler.crash(live[self._choices.below(len(live))])

    def _twin(self) -> None:
        tasks = self._live("task")
        self._drivers.twin(tasks[self._choices.below(len(tasks))])
        self.scheduler.counts["twins"] += 1

    def _driver(self) -> None:
        plans = sum("/plans/" in key for key in self.world.store.objects)
        if plans and self._choices.below(3) == 1:
            checkpoint = self._choices.below(plans)
            actor = self._drivers.start(checkpoint=checkpoint)
            self.scheduler.note(f"{actor.name} starts from load {checkpoint}")
        else:
            self.scheduler.note(f"{self._drivers.start().name} starts")

    def _replay(self) -> None:
        self.scheduler.note(f"{self._drivers.replay().name} starts")
        self.scheduler.counts["replayers"] += 1

    def _maintain(self) -> None:
        kind = actors.some(self._deployment)
        act = actors.MAINTENANCE[kind]
        self.scheduler.spawn(kind, lambda: act(self._deployment))
        self.scheduler.counts[kind] += 1

    def _arrive(self) -> None:
        calls = self.world.in_flight.calls
        what, call = calls.pop(self._choices.below(len(calls)))
        self.scheduler.note(f"what was given up takes effect: {what}")
        self.scheduler.counts["late effects"] += 1
        call()


def _options(choices: Choices, start: str) -> Options:
    return Options(
        start=start or ("trim_horizon", "latest")[choices.below(2)],
        keys=2 + choices.below(3),
        roots=1 + choices.below(2),
        parts=1 + choices.below(2),
        records=(4, 2, 1)[choices.below(3)],
        accept_loss=choices.below(4) == 1,
    )


def _judge(name: str, error: Exception) -> None:
    if not isinstance(error, (TransientError, DataLossError)):
        raise Violation(f"{name} failed with {error!r}") from error
