"""What a program costs: CPU time and memory of all its processes, sampled while it runs.

The kernel's own counters are read from /proc: a look at every process by psutil takes longer than
the whole sample does here, on cores that are being measured.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Final, Self

import msgspec
import numpy as np
import psutil

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Sample(msgspec.Struct, frozen=True):
    """CPU seconds used so far and bytes in memory, at a moment (seconds since 1970)."""

    at: float
    cpu: float
    memory: int
    rest: float
    """CPU seconds of the whole machine, less those of this process, which only looks on."""


class Meter:
    """Samples the processes of sessions, each known by the process that leads it.

    CPU time of a process that has ended is its parent's, who waited for it.
    """

    def __init__(self, *sessions: int, interval: float = 0.2) -> None:
        self._sessions = frozenset(sessions)
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._most = 0.0
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def cpu_between(self, begin: float, end: float) -> float:
        """CPU seconds used between two moments, interpolated."""
        return self._at(end, "cpu") - self._at(begin, "cpu")

    def machine_between(self, begin: float, end: float) -> float:
        """CPU seconds that the machine used between two moments, without the harness."""
        return self._at(end, "rest") - self._at(begin, "rest")

    def peak_between(self, begin: float, end: float) -> int:
        """The most bytes that were in memory between two moments."""
        found = [s.memory for s in self.samples if begin - 1 <= s.at <= end + 1]
        return max(found, default=0)

    def _at(self, moment: float, what: str) -> float:
        times = [sample.at for sample in self.samples]
        return float(np.interp(moment, times, [getattr(sample, what) for sample in self.samples]))

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._take()

    def _take(self) -> None:
        cpu, memory = 0.0, 0
        for name in os.listdir("/proc"):  # noqa: PTH208 - many times a second
            if name.isdigit():
                with suppress(OSError):
                    session, seconds, resident = _read(int(name))
                    if session in self._sessions:
                        cpu += seconds
                        memory += resident
        # A process whose parent has not waited for it yet, or never will, is not to be lost.
        self._most = max(self._most, cpu)
        busy = psutil.cpu_times()
        rest = busy.user + busy.nice + busy.system + busy.irq + busy.softirq - time.process_time()
        self.samples.append(Sample(time.time(), self._most, memory, rest))


def _read(pid: int) -> tuple[int, float, int]:
    """Session, CPU seconds with those of children waited for, and resident bytes of a process."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - many times a second
        fields = file.read(1024).rpartition(b")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return int(fields[3]), ticks / _TICKS, int(fields[21]) * _PAGE
