"""The job under test with all that is around it: estate, proxy, traffic, the eye on the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
from faults.job import Job
from faults.proxy import Proxy
from faults.reconcile import Finding, Reconciler, visible
from faults.rules import Rule
from faults.traffic import Traffic
from pyiceberg.table import Table
from support.waiting import until

from lakehouse.aws import Aws
from lakehouse.tables import load_table
from localaws.local import LocalEstate

DATASET = "flights"
PATIENCE = 180.0
"""Seconds within which everything sent is to be there; a client waits 60 for an answer."""

_PASSES = 45.0
"""Seconds within which the job is to pass the point where a fault waits."""

_LATE = 30.0
"""Seconds for which the comparison is made again while something is missing."""


class Injected(msgspec.Struct, frozen=True):
    """When a fault happened, by the monotonic clock, and how much had been acknowledged then."""

    at: float
    sent: int


class Fault(msgspec.Struct, frozen=True):
    """A way in which things go wrong, and how to bring it about while the job runs.

    ``inject`` raises NotInjectedError when what it waits for does not come.
    """

    group: str
    name: str
    inject: Callable[[Bench, Random], Injected]


class NotInjectedError(Exception):
    """The job did not pass where the fault was waiting."""


class Outcome(msgspec.Struct, frozen=True):
    """What a fault did."""

    number: int
    group: str
    name: str
    injected: bool
    seconds: float | None
    """From the fault until everything acknowledged before it is visible; None: not in time."""
    flows_again: float | None
    """From the fault until everything sent after it is visible, too."""
    restarts: int
    """Drivers started again, those that were killed and those that gave up."""
    gave_up: bool
    """Whether a driver ended by itself."""
    finding: Finding
    events: int
    took: float
    note: str = ""


class Bench:
    """Holds the parts together; a context manager that leaves nothing running."""

    def __init__(self, estate: LocalEstate, folder: Path, per_fault: int = 1000) -> None:
        self.estate = estate
        self.aws = Aws.from_env(estate.prefix)
        self.folder = folder
        self.per_fault = per_fault
        self.proxy = Proxy(estate.emulator_url, estate.gateway_url)
        kinesis = self.aws.client("kinesis")
        self.traffic = Traffic(kinesis, self.aws.stream(DATASET))
        self.reconciler = Reconciler()
        self.killed = False
        """Whether the present fault is to blame for the driver's end."""

    def __enter__(self) -> Bench:
        self.proxy.__enter__()
        self.job = self.another_job("job", self.proxy.url)
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.arm(None)
        self.job.kill()
        self.proxy.__exit__()

    def another_job(self, name: str, url: str) -> Job:
        """A job of its own that finds AWS at a URL."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return Job(self.aws, folder, url)

    def table(self) -> Table | None:
        """Bronze as a reader finds it, past the proxy."""
        return load_table(self.aws, "bronze", DATASET)

    def visible(self) -> int:
        """Rows that are there to be read."""
        table = self.table()
        return visible(table) if table else 0

    def kill_driver(self) -> None:
        """kill -9 of the whole driver, on purpose."""
        self.killed = True
        self.job.kill()

    def now(self) -> Injected:
        """This instant, as that of a fault."""
        return Injected(time.monotonic(), self.traffic.acknowledged)

    def armed(self, rule: Rule) -> Injected:
        """Arm a rule, send records, and wait until it has taken a call."""
        moment: list[Injected] = []
        rule.on_fire = lambda: moment.append(self.now())
        self.proxy.arm(rule)
        self.traffic.send(self.per_fault)
        if not rule.fired.wait(_PASSES):
            raise NotInjectedError(f"no call came in {_PASSES:.0f} s")
        return moment[0]

    def warm_up(self) -> None:
        """Start the job and see its first records through."""
        self.traffic.send(self.per_fault)
        self.job.start()
        until(lambda: self._all_visible() or not self.job.alive(), PATIENCE, every=0.2)
        if not self._all_visible():
            raise AssertionError(
                f"the job did not get its first records through; it says: {self.job.last_line}"
            )

    def _all_visible(self) -> bool:
        return self.visible() >= self.traffic.acknowledged

    def suffer(self, number: int, fault: Fault, random: Random) -> Outcome:
        """Let one fault happen, see the job recover, and compare what it made of it."""
        began = time.monotonic()
        starts = self.job.starts
        first = self.traffic.acknowledged
        self.killed = gave_up = False
        note = ""
        try:
            injected = fault.inject(self, random)
        except NotInjectedError as error:
            injected, note = None, str(error)
        more = self.traffic.acknowledged + self.per_fault // 4
        recovered = flows_again = None
        deadline = time.monotonic() + PATIENCE
        while flows_again is None and time.monotonic() < deadline:
            if not self.job.alive():
                gave_up = gave_up or not self.killed
                if not self.killed:
                    note = f"driver {self.job.starts} ended: {self.job.last_line}"
                self.killed = False
                self.job.start()
            if self.traffic.acknowledged < more:
                self.traffic.send(more - self.traffic.acknowledged)
            seen = self.visible()
            if injected and recovered is None and seen >= injected.sent:
                recovered = time.monotonic() - injected.at
            if seen >= self.traffic.acknowledged and self.job.alive():
                flows_again = time.monotonic() - (injected.at if injected else began)
            time.sleep(0.1)
        self.proxy.arm(None)
        if flows_again is None:
            # The next fault is to meet a job that runs.
            self.kill_driver()
            self.job.start()
        return Outcome(
            number,
            fault.group,
            fault.name,
            injected is not None,
            None if recovered is None else round(recovered, 2),
            None if flows_again is None else round(flows_again, 2),
            self.job.starts - starts,
            gave_up,
            self._compared(),
            self.traffic.acknowledged - first,
            round(time.monotonic() - began, 2),
            note,
        )

    def _compared(self) -> Finding:
        """What is wrong; what is repeated hides for a while that something is still to come."""
        found: list[Finding] = []

        def nothing_lost() -> bool:
            table = self.table()
            assert table is not None
            found.append(self.reconciler.look(table, self.traffic.acknowledged))
            return not found[-1].lost

        until(nothing_lost, _LATE, every=1)
        return found[-1]
