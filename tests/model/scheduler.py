"""Runs actors one call at a time: each stops before every call that another could see.

An actor is a greenlet. At ``call`` it hands over to the scheduler, which later lets it go on, with
or without a fault, or never again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]  # has none
from model.choices import Choices, weighted

_FAULTLESS: Final = 15
"""For one call with a fault, so many are without."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Violation(AssertionError):  # noqa: N818 - what the model looks for, not a failure of it
    """The protocol broke a promise."""


class Actor:
    """One process or task: what it does next, and how it ended."""

    def __init__(self, name: str, kind: str, body: Callable[[], object], born: datetime) -> None:
        self.name = name
        self.kind = kind
        self.born = born
        self.dead = False
        self.error: Exception | None = None
        self.result: object = None
        self.waits_for: Callable[[], bool] | None = None
        self._body = body
        self.greenlet = greenlet(self._run)

    @property
    def done(self) -> bool:
        return self.dead or self.greenlet.dead

    @property
    def ready(self) -> bool:
        return not self.done and (self.waits_for is None or self.waits_for())

    def _run(self) -> None:
        try:
            self.result = self._body()
        except Violation:
            raise
        except Exception as error:  # noqa: BLE001 - an actor's end is for its parent to judge
            self.error = error


class Scheduler:
    """The actors, the clock they share, and the record of what was done."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.now = START
        self.faults_on = True
        self.fault_kinds: frozenset[str] = frozenset()
        self.actors: list[Actor] = []
        self.trace: list[str] = []
        self.steps = 0
        self.counts: Counter[str] = Counter()
        self._hub = getcurrent()
        self._born: Counter[str] = Counter()

    def clock(self) -> datetime:
        return self.now

    def spawn(self, kind: str, body: Callable[[], object]) -> Actor:
        number = self._born[kind]
        self._born[kind] += 1
        actor = Actor(f"{kind}{number}", kind, body, self.now)
        actor.greenlet.parent = self._hub
        self.actors.append(actor)
        return actor

    def current(self) -> Actor | None:
        running = getcurrent()
        return next((a for a in self.actors if a.greenlet is running), None)

    def call(self, what: str, faults: Sequence[str] = ()) -> str:
        """Stop before a call. The fault it is to answer with, empty for none."""
        actor = self.current()
        if actor is None:
            return ""
        if actor.dead:
            raise GreenletExit
        self._hub.switch()
        fault = self._fault(faults)
        self.note(f"{actor.name}: {what}{f' !{fault}' if fault else ''}")
        return fault

    def wait(self, until: Callable[[], bool]) -> None:
        """Stop until something holds."""
        actor = self.current()
        assert actor is not None, "only an actor can wait"
        while not until():
            actor.waits_for = until
            self._hub.switch()
        actor.waits_for = None

    def go_on(self, actor: Actor) -> None:
        """Let an actor run to its next call."""
        self.steps += 1
        self.now += timedelta(milliseconds=50)
        actor.greenlet.switch()
        if actor.greenlet.dead:
            self.note(f"{actor.name} ended{f': {actor.error!r}' if actor.error else ''}")
            self.actors.remove(actor)

    def crash(self, actor: Actor) -> None:
        """End an actor where it is: nothing it would have done next happens, no cleaning up."""
        if actor.done:
            return
        self.note(f"{actor.name} CRASHES")
        self.counts[f"crash of {actor.kind}"] += 1
        self._kill(actor)

    def kill_all(self) -> None:
        for actor in list(self.actors):
            self._kill(actor)

    def note(self, what: str) -> None:
        self.trace.append(f"{(self.now - START).total_seconds():>9.2f}s  {what}")

    def _kill(self, actor: Actor) -> None:
        actor.dead = True
        # Handlers still run, and end at their first call.
        actor.greenlet.throw(GreenletExit)
        assert actor.greenlet.dead, f"{actor.name} goes on after its crash"
        self.actors.remove(actor)

    def _fault(self, faults: Sequence[str]) -> str:
        possible = [fault for fault in faults if fault in self.fault_kinds]
        if not (self.faults_on and possible):
            return ""
        at = weighted(self.choices, (_FAULTLESS * len(possible), *(1 for _ in possible)))
        if at == 0:
            return ""
        self.counts[f"fault: {possible[at - 1]}"] += 1
        return possible[at - 1]
