"""How fast each contestant takes a backlog, and at what cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.contestants import bound, limit, ours, sparks_own
from benchmarks.contestants.run import Run, Said, heard
from benchmarks.data import Bids
from benchmarks.estate import Estate
from benchmarks.measure import Meter
from benchmarks.watch import Watch
from lakehouse.errors import EstateError
from lakehouse.ingestion.ingest import open_ledger
from localaws.processes import Process
from localaws.sparkenv import launch_env

CONTESTANTS: Final[Mapping[str, Callable[[Run], list[str]]]] = {
    "ours": ours.command,
    "bound": bound.command,
    "limit": limit.command,
    "sparks_own": sparks_own.command,
}
TABLES: Final = ("ours", "sparks_own")
"""Those that commit to a table."""
_PATIENCE: Final = 400


class Figures(msgspec.Struct, frozen=True):
    """What a run took; seconds are from the first plan to the last record visible."""

    seconds: float
    records_per_second: float
    megabytes_per_second: float
    cpu_per_million: float
    peak_megabytes: float
    startup_seconds: float
    """From the start of the program to the first plan."""
    startup_cpu: float
    servers_cpu: float
    """CPU seconds of the stand-ins for Kinesis, S3 and Glue meanwhile."""
    others_share: float
    """Share of the machine's cores that went to processes which have nothing to do with the run."""
    commits: int


class Result(msgspec.Struct, frozen=True):
    """A contestant's runs under the same conditions."""

    contestant: str
    records: int
    record_bytes: int
    shards: int
    datasets: int
    runs: tuple[Figures, ...]

    @property
    def median(self) -> Figures:
        """Each figure's median over the runs."""
        columns = zip(*(msgspec.structs.astuple(run) for run in self.runs), strict=True)
        return Figures(*(median(column) for column in columns))


def race(
    estate: Estate, contestant: str, bids: Bids, shards: int, datasets: Sequence[str] = ("bids",)
) -> Figures:
    """One run of a contestant over all the bids, shared by the datasets.

    Raises EstateError when it fails, or shows more or fewer records than there are.
    """
    contracts = estate.deploy(datasets)
    for number, dataset in enumerate(datasets):
        estate.serve(dataset, bids, shards, (number, len(datasets)))
    run = Run(
        bids, shards, str(contracts), str(estate.scratch), estate.kinesis, estate.s3, estate.glue,
        tuple(datasets),
    )  # fmt: skip
    log = estate.scratch / f"{contestant}.log"
    with ExitStack() as stack:
        program = stack.enter_context(started(CONTESTANTS[contestant](run), estate, log))
        launched = time.time()
        cost = stack.enter_context(Meter(program.pid))
        served = stack.enter_context(Meter(*estate.sessions))
        if contestant in TABLES:
            watches = [stack.enter_context(Watch(estate.aws, dataset)) for dataset in datasets]
            end, commits = _in_tables(run, program, log, watches)
            begin = _begin(estate, contestant, run, log)
        else:
            begin, end, commits = _by_itself(run, program, log)
    seconds, count = end - begin, bids.spec.records
    own, stand_ins = cost.cpu_between(begin, end), served.cpu_between(begin, end)
    others = max(0.0, cost.machine_between(begin, end) - own - stand_ins)
    return Figures(
        seconds=seconds,
        records_per_second=count / seconds,
        megabytes_per_second=bids.payload_bytes / seconds / 1e6,
        cpu_per_million=own / count * 1e6,
        peak_megabytes=cost.peak_between(begin, end) / 1e6,
        startup_seconds=begin - launched,
        startup_cpu=cost.cpu_between(launched, begin),
        servers_cpu=stand_ins,
        others_share=others / seconds / (os.cpu_count() or 1),
        commits=commits,
    )


@contextmanager
def started(command: Sequence[str], estate: Estate, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, ended with all that it has started."""
    env = {**os.environ, **launch_env(), **estate.env}
    with log.open("wb") as output:
        program = subprocess.Popen(  # noqa: S603 - the contestants' own command lines
            command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        leader = Process.of(program.pid)
        try:
            yield program
        finally:
            leader.end_session(5)
            program.wait()


def _by_itself(run: Run, program: subprocess.Popen[bytes], log: Path) -> tuple[float, float, int]:
    program.wait(_PATIENCE)
    said = heard(log)
    if program.returncode or said is None or said.end is None:
        raise failed(log, f"it ended with code {program.returncode}")
    if said.records != run.bids.spec.records:
        raise failed(log, f"it read {said.records} records of {run.bids.spec.records}")
    return said.begin, said.end, 0


def _in_tables(
    run: Run, program: subprocess.Popen[bytes], log: Path, watches: Sequence[Watch]
) -> tuple[float, int]:
    """When the last table showed its last record, and how many commits it took."""
    count, shares = run.bids.spec.records, len(watches)
    wanted = [count * (n + 1) // shares - count * n // shares for n in range(shares)]
    deadline = time.time() + _PATIENCE
    while not all(watch.wait(records, 0.1) for watch, records in zip(watches, wanted, strict=True)):
        if time.time() > deadline or program.poll() not in {None, 0}:
            seen = [watch.records for watch in watches]
            raise failed(log, f"the tables showed {seen} records of {wanted}")
    if [watch.records for watch in watches] != wanted:
        raise failed(log, f"the tables show {[w.records for w in watches]} records, not {wanted}")
    commits = sum(len({seen.records for seen in watch.seen} - {0}) for watch in watches)
    return max(watch.seen[-1].at for watch in watches), commits


def _begin(estate: Estate, contestant: str, run: Run, log: Path) -> float:
    if contestant == "ours":
        plans = [open_ledger(estate.aws, dataset).plan(0) for dataset in run.datasets]
        return min(plan.made_at.timestamp() for plan in plans if plan is not None)
    said = heard(log)
    assert isinstance(said, Said)  # noqa: S101 - it says so before it appends anything
    return said.begin


def failed(log: Path, why: str) -> EstateError:
    """The error of a program that did not do its work."""
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return EstateError(f"{log.stem}: {why}; {log} ends with:\n" + "\n".join(last))
