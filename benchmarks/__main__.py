"""``python -m benchmarks``: measure ingestion on this machine, all in one go."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import data, growth, increment, latency
from benchmarks.estate import Estate, estate
from benchmarks.report import Report
from benchmarks.throughput import CONTESTANTS, Figures, Result, race
from lakehouse.errors import EstateError

SIZES: Final = (254, 1024)
_ARRIVED: Final = 1_700_000_000.0
"""When the first record of a backlog arrived: long ago."""
_SHARDS: Final = (1, 4, 16, 64)
_DATASETS: Final = ("bids", "bids_2", "bids_3", "bids_4")


class Part(StrEnum):
    """What can be measured alone."""

    THROUGHPUT = "throughput"
    SHARDS = "shards"
    LATENCY = "latency"
    GROWTH = "growth"
    INCREMENT = "increment"


class Bench:
    """One go over the chosen parts; the report is written after each of them."""

    def __init__(
        self, running: Estate, report: Report, results: Path, progress: Progress, repeats: int
    ) -> None:
        self._estate = running
        self._report = report
        self._results = results
        self._progress = progress
        self._repeats = repeats

    def throughput(self, records: int, names: Sequence[str]) -> None:
        """Every contestant over the same bytes, of small records and of large ones."""
        for size in SIZES:
            bids = self._bids(records * SIZES[0] // size, size)
            results = self._race([(name, bids, 4, ("bids",)) for name in names])
            self._report.throughput += results
            self._write()

    def shards(self, records: int) -> None:
        """The platform's own job over more shards, and over more datasets at once."""
        bids = self._bids(records, SIZES[0])
        courses = [("ours", bids, shards, _DATASETS[:1]) for shards in _SHARDS]
        self._report.shards = self._race([*courses, ("ours", bids, 4, _DATASETS)])
        self._write()

    def latency(self, seconds: int) -> None:
        """From arrival to visible at a steady rate."""
        task = self._progress.add_task(f"latency, {seconds} s", total=1)
        self._report.latency = latency.measure(self._estate, seconds)
        self._progress.advance(task)
        self._write()

    def growth(self, loads: int) -> None:
        """Small loads, one after the other."""
        task = self._progress.add_task("growth, loads", total=loads)
        self._report.growth = growth.measure(
            self._estate, loads, lambda _: self._progress.advance(task)
        )
        self._write()

    def increment(self, repeats: int) -> None:
        """The same increment into tables of different sizes."""
        task = self._progress.add_task("increment, promotions", total=repeats + 1)
        self._report.increments = list(
            increment.measure(self._estate, repeats, lambda _: self._progress.advance(task))
        )
        self._write()

    def _bids(self, records: int, size: int) -> data.Bids:
        task = self._progress.add_task(f"{records:,} bids of {size:,} bytes", total=1)
        spec = data.Spec(records, size, _ARRIVED, 0.0001)
        bids = data.make(spec, self._estate.scratch)
        self._progress.advance(task)
        return bids

    def _race(self, courses: Sequence[tuple[str, data.Bids, int, Sequence[str]]]) -> list[Result]:
        """Each course several times, in turns, so that what disturbs one disturbs the others."""
        task = self._progress.add_task("", total=self._repeats * len(courses))
        runs: list[list[Figures]] = [[] for _ in courses]
        for _ in range(self._repeats):
            for number, (name, bids, shards, datasets) in enumerate(courses):
                what = f"{name}, {bids.spec.size:,} bytes, {shards} shards, {len(datasets)} dataset"
                self._progress.update(task, description=what)
                runs[number].append(race(self._estate, name, bids, shards, datasets))
                self._progress.advance(task)
        return [
            Result(
                name,
                bids.spec.records,
                bids.spec.size,
                shards,
                len(datasets),
                tuple(made),
            )
            for (name, bids, shards, datasets), made in zip(courses, runs, strict=True)
        ]

    def _write(self) -> None:
        self._results.parent.mkdir(parents=True, exist_ok=True)
        self._results.write_bytes(self._report.json())


def bench(
    parts: Annotated[
        list[Part] | None, typer.Argument(help="What to measure; everything by default.")
    ] = None,
    *,
    records: Annotated[int, typer.Option(min=1000, help="Records of 254 bytes.")] = 4_000_000,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each contestant.")] = 3,
    contestants: Annotated[str, typer.Option(help="Names, by comma.")] = ",".join(CONTESTANTS),
    seconds: Annotated[int, typer.Option(min=10, help="Length of the latency run.")] = 90,
    loads: Annotated[int, typer.Option(min=20, help="Loads of the growth run.")] = 1000,
    scratch: Annotated[Path, typer.Option(help="Folder for bids and logs.")] = Path(
        ".lakehouse", "bench"
    ),
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = Path(
        ".lakehouse", "bench", "results.json"
    ),
) -> None:
    """Measure ingestion and promotion on this machine."""
    names = contestants.split(",")
    if unknown := [name for name in names if name not in CONTESTANTS]:
        raise EstateError(
            f"no contestant {', '.join(unknown)}; expected some of {', '.join(CONTESTANTS)}"
        )
    console = Console()
    report = Report.new()
    chosen = parts or list(Part)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        estate(scratch.absolute()) as running,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        made = Bench(running, report, results, progress, repeats)
        if Part.THROUGHPUT in chosen:
            made.throughput(records, names)
        if Part.SHARDS in chosen:
            made.shards(records)
        if Part.LATENCY in chosen:
            made.latency(seconds)
        if Part.GROWTH in chosen:
            made.growth(loads)
        if Part.INCREMENT in chosen:
            made.increment(repeats)
    report.show(console)
    console.print(f"figures: {results}")


def main() -> None:
    """Measure; what goes wrong on purpose is one line and exit code 1."""
    # Asked to end, it ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        typer.run(bench)
    except EstateError as error:
        Console(soft_wrap=True).print(f"[red]error:[/red] {error}", highlight=False)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
