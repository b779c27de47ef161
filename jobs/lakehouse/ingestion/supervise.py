"""Keeps the streaming queries of a group running: one that fails is started again, others go on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.25
_REPORT_SECONDS: Final = 60.0
_WANTED_SECONDS: Final = 10.0
"""One small read each time; a deployment waits no longer for the job to notice."""
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 60.0
_END_SECONDS: Final = 90.0
"""How long the load under way may take once the job is asked to end."""


class Query(Protocol):
    """What is supervised; ``ingestquery.IngestQuery`` is one."""

    loads_done: int

    def start(self) -> None:
        """Start it; a failure to start is a failure of the query."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    @property
    def failure(self) -> str:
        """Why it does not."""

    def end(self, seconds: float) -> None:
        """Stop it after the load under way, or in the middle after so many seconds."""


class Observer(Protocol):
    """Is told once a minute, and at each failure, how a query fares."""

    def __call__(self, dataset: str, *, alive: bool, failures: int) -> None:
        """``failures``: how many since it was last told."""


class _Watched:
    def __init__(self, query: Query) -> None:
        self.query = query
        self.in_a_row = 0
        self.unreported = 0
        self.start_at: float | None = 0.0
        """When to start it; None while it runs."""
        self.loads_before = 0


class Supervisor:
    """Runs the queries by dataset until ``stop`` is set or ``wanted`` gives a reason to end.

    ``ended`` is set once every query has.
    """

    def __init__(
        self,
        queries: Mapping[str, Query],
        observe: Observer,
        wanted: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stop = threading.Event()
        self.ended = threading.Event()
        self._watched = {dataset: _Watched(query) for dataset, query in queries.items()}
        self._observe = observe
        self._wanted = wanted
        self._clock = clock
        self._report_at = 0.0
        self._wanted_at = 0.0

    def run(self) -> str:
        """Supervise until asked to end, end every query between two loads, and say who asked."""
        why = None
        while why is None:
            self.tend()
            why = "asked to stop" if self.stop.wait(_POLL_SECONDS) else self._asks()
            self._reports()
        log.info("ending", why=why)
        enders = [
            threading.Thread(target=watched.query.end, args=(_END_SECONDS,))
            for watched in self._watched.values()
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self.ended.set()
        return why

    def tend(self) -> None:
        """Look at every query once: note who failed, start who is due."""
        now = self._clock()
        for dataset, watched in self._watched.items():
            if watched.start_at is None and not watched.query.alive:
                self._failed(dataset, watched, now)
            if watched.start_at is not None and now >= watched.start_at:
                watched.loads_before = watched.query.loads_done
                watched.start_at = None
                watched.query.start()

    def _failed(self, dataset: str, watched: _Watched, now: float) -> None:
        # A query that got a load done had recovered from whatever was before.
        recovered = watched.query.loads_done > watched.loads_before
        watched.in_a_row = 1 if recovered else watched.in_a_row + 1
        watched.unreported += 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (watched.in_a_row - 1))
        watched.start_at = now + delay
        log.error(
            "query_failed",
            dataset=dataset,
            why=watched.query.failure,
            in_a_row=watched.in_a_row,
            again_in_seconds=delay,
        )
        self._report(dataset, watched)

    def _asks(self) -> str | None:
        """The reason to end, if it is time to ask and there is one by now."""
        if self._clock() < self._wanted_at:
            return None
        self._wanted_at = self._clock() + _WANTED_SECONDS
        return self._wanted()

    def _reports(self) -> None:
        """Tell the observer once a minute."""
        if self._clock() < self._report_at:
            return
        self._report_at = self._clock() + _REPORT_SECONDS
        for dataset, watched in self._watched.items():
            self._report(dataset, watched)

    def _report(self, dataset: str, watched: _Watched) -> None:
        self._observe(dataset, alive=watched.query.alive, failures=watched.unreported)
        watched.unreported = 0

    def end(self) -> None:
        """Ask for the end and wait for it, from any thread."""
        self.stop.set()
        self.ended.wait(_END_SECONDS)


def stop_on_sigterm(supervisor: Supervisor) -> None:
    """End cleanly when the process is asked to."""
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop.set())
