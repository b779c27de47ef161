"""Injects faults into the running streaming job, one after the other, and says what came of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import structlog
from faults.bench import Bench, Fault, Outcome
from faults.injections import CATALOGUE, draw
from faults.table import Report, as_rich, write
from rich.console import Console

from localaws import local

ROOT = Path(__file__).parents[2]


def run(bench: Bench, faults: list[Fault], seed: int, console: Console) -> Report:
    """Let the faults happen and compare everything at the end."""
    began, clock = datetime.now(UTC), time.monotonic()
    bench.warm_up()
    console.print(f"the job runs after {time.monotonic() - clock:.0f} s")
    outcomes: list[Outcome] = []
    for number, fault in enumerate(faults, 1):
        outcome = bench.suffer(number, fault, Random(f"{seed}/{number}"))
        outcomes.append(outcome)
        console.print(_progress(outcome, len(faults)), highlight=False)
        if not outcome.finding.clean:
            # What is wrong now stays wrong, and would be counted again with every later fault.
            break
    table = bench.table()
    assert table is not None
    return Report(
        seed=seed,
        began=began.isoformat(timespec="seconds"),
        minutes=round((time.monotonic() - clock) / 60, 1),
        events=bench.traffic.acknowledged,
        loads=int(table.properties["lakehouse.load"]) + 1,
        drivers=bench.job.starts,
        outcomes=outcomes,
        last=bench.reconciler.look_at_all(table, bench.traffic.acknowledged),
    )


def _progress(outcome: Outcome, count: int) -> str:
    if not outcome.injected:
        what = f"[yellow]not injected[/]: {outcome.note}"
    elif outcome.seconds is None:
        what = f"[red]not recovered[/] {outcome.note}"
    else:
        what = f"recovered in {outcome.seconds:.1f} s"
        what += f" [yellow]({outcome.note})[/]" if outcome.note else ""
    found = "" if outcome.finding.clean else f" [red]{outcome.finding.words}[/]"
    return f"{outcome.number:>4}/{count} {outcome.name}: {what}{found}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="nox -s faults --", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--only", default="", help="only faults with this in group or name")
    parser.add_argument("--results", type=Path, default=ROOT / "tests" / "faults" / "results")
    parser.add_argument("--keep", type=Path, help="a folder for the estate and the drivers' logs")
    asked = parser.parse_args()
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    faults = draw(
        asked.runs, asked.seed, [f for f in CATALOGUE if asked.only in f"{f.group}, {f.name}"]
    )
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        home = asked.keep or Path(scratch)
        estate = local.up(
            home, ROOT / "quality" / "contracts", console.print, owner_pid=os.getpid()
        )
        try:
            _only_this_estate(estate)
            with Bench(estate, home / "jobs") as bench:
                report = run(bench, faults, asked.seed, console)
        finally:
            local.down(home)
    console.print(as_rich(report))
    console.print(f"written to {write(report, asked.results)}")
    sys.exit(0 if report.clean else 1)


def _only_this_estate(estate: local.LocalEstate) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_") and n != "AWS_CA_BUNDLE"]:
        del os.environ[name]
    os.environ.update(estate.env)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))


if __name__ == "__main__":
    main()
