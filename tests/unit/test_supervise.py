"""Queries that fail are started again, and all end together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from lakehouse.ingestion.supervise import Supervisor, stop_on_sigterm


class FakeQuery:
    """A query that the test lets fail."""

    def __init__(self, *, starts: bool = True) -> None:
        self.loads_done = 0
        self.alive = False
        self.failure = "broken"
        self.started = 0
        self.ended: list[float] = []
        self._starts = starts

    def start(self) -> None:
        self.started += 1
        self.alive = self._starts

    def end(self, seconds: float) -> None:
        self.ended.append(seconds)
        self.alive = False


class Watch:
    """A clock and an observer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[tuple[str, bool, int]] = []

    def observe(self, dataset: str, *, alive: bool, failures: int) -> None:
        self.told.append((dataset, alive, failures))

    def supervisor(
        self, wanted: Callable[[], str | None] = lambda: None, **queries: FakeQuery
    ) -> Supervisor:
        return Supervisor(queries, self.observe, wanted, clock=lambda: self.now)


def test_a_query_that_fails_is_started_again_and_the_others_go_on() -> None:
    watch, bad, good = Watch(), FakeQuery(), FakeQuery()
    supervisor = watch.supervisor(bad=bad, good=good)
    supervisor.tend()
    bad.alive = False
    supervisor.tend()
    assert (bad.started, good.started) == (1, 1), "it waits before it starts again"
    watch.now += 0.5
    supervisor.tend()
    assert (bad.started, good.started) == (2, 1)
    assert watch.told == [("bad", False, 1)]


def delays(watch: Watch, supervisor: Supervisor, query: FakeQuery, failures: int) -> list[float]:
    found = []
    for _ in range(failures):
        query.alive = False
        supervisor.tend()
        failed_at, started = watch.now, query.started
        while query.started == started:
            watch.now += 0.25
            supervisor.tend()
        found.append(watch.now - failed_at)
    return found


def test_a_query_that_keeps_failing_waits_longer_each_time_up_to_a_minute() -> None:
    watch, query = Watch(), FakeQuery()
    supervisor = watch.supervisor(q=query)
    supervisor.tend()
    assert delays(watch, supervisor, query, 9) == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_query_that_got_a_load_done_begins_with_a_short_wait_again() -> None:
    watch, query = Watch(), FakeQuery()
    supervisor = watch.supervisor(q=query)
    supervisor.tend()
    assert delays(watch, supervisor, query, 4)[-1] == 4
    query.loads_done += 1
    assert delays(watch, supervisor, query, 2) == [0.5, 1]


def test_a_query_that_cannot_even_start_is_tried_again() -> None:
    watch, query = Watch(), FakeQuery(starts=False)
    supervisor = watch.supervisor(q=query)
    supervisor.tend()
    supervisor.tend()
    watch.now += 0.5
    supervisor.tend()
    assert query.started == 2


def test_another_wanted_release_ends_every_query_between_two_loads() -> None:
    watch, one, two = Watch(), FakeQuery(), FakeQuery()
    supervisor = watch.supervisor(lambda: "release 2 is wanted, this is 1", one=one, two=two)
    assert supervisor.run() == "release 2 is wanted, this is 1"
    assert len(one.ended) == len(two.ended) == 1
    assert ("one", True, 0) in watch.told


def test_sigterm_ends_every_query_between_two_loads() -> None:
    before = signal.getsignal(signal.SIGTERM)
    watch, query = Watch(), FakeQuery()
    supervisor = watch.supervisor(q=query)
    try:
        stop_on_sigterm(supervisor)
        os.kill(os.getpid(), signal.SIGTERM)
        assert supervisor.run() == "asked to stop"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(query.ended) == 1
