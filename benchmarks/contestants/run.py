"""What a contestant is told, and what it says."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.data import Bids


class Run(msgspec.Struct, frozen=True):
    """One run: the bids, where they are replayed, and where files may be written."""

    bids: Bids
    shards: int
    contracts: str
    scratch: str
    kinesis: str
    s3: str
    glue: str
    datasets: tuple[str, ...] = ("bids",)

    def bounds(self) -> list[int]:
        """Where each shard begins among the bids, and where the last one ends."""
        return [self.bids.spec.records * n // self.shards for n in range(self.shards + 1)]

    def program(self, module: str) -> list[str]:
        """The command line of a contestant that is a module."""
        return [sys.executable, "-m", module, msgspec.json.encode(self).decode()]

    @classmethod
    def told(cls) -> Run:
        """What this program was told."""
        return msgspec.json.decode(sys.argv[1], type=cls)


class Said(msgspec.Struct, frozen=True):
    """When the work began and, where the program knows, ended (seconds since 1970)."""

    begin: float
    end: float | None = None
    records: int | None = None


def say(said: Said) -> None:
    """Tell the harness, on a line of its own."""
    sys.stdout.write(f"SAID {msgspec.json.encode(said).decode()}\n")
    sys.stdout.flush()


def heard(log: Path) -> Said | None:
    """What a program has said so far."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("SAID "):
            return msgspec.json.decode(line[5:], type=Said)
    return None


def in_processes(run: Run, work: Callable[[Run, Sequence[int]], int], processes: int = 2) -> None:
    """Share the shards between processes, and say when all began and the last one ended."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    results = context.SimpleQueue()
    workers = [
        context.Process(
            target=_worker, args=(run, work, range(n, run.shards, processes), barrier, results)
        )
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.time()
    done = [results.get() for _ in workers]
    end = time.time()
    for worker in workers:
        worker.join()
    say(Said(begin, end, sum(done)))


def _worker(
    run: Run,
    work: Callable[[Run, Sequence[int]], int],
    shards: Sequence[int],
    barrier: Any,
    results: Any,
) -> None:
    barrier.wait()
    results.put(work(run, shards))
