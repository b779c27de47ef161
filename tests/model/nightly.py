"""Explores schedules until enough steps are executed, and says what happened in them."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import Annotated

import typer
from hypothesis import given, seed
from hypothesis import strategies as st
from model.budget import bounded, search
from model.choices import Choices
from model.schedule import Schedule
from model.scheduler import Violation
from rich.console import Console
from rich.table import Table

_EXAMPLES = 200
"""Schedules a seed."""


class Totals:
    """What was executed so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.schedules = 0
        self.counts: Counter[str] = Counter()

    def add(self, schedule: Schedule) -> None:
        self.steps += schedule.scheduler.steps
        self.schedules += 1
        self.counts.update(schedule.scheduler.counts)

    def table(self, seconds: float) -> Table:
        table = Table("what", "times", box=None)
        table.columns[1].justify = "right"
        table.add_row("steps", f"{self.steps:,}")
        table.add_row("schedules", f"{self.schedules:,}")
        table.add_row("seconds", f"{seconds:,.0f}")
        for name, count in sorted(self.counts.items()):
            table.add_row(name, f"{count:,}")
        return table


def explore(number: int, totals: Totals) -> None:
    """The schedules of one seed. Raises Violation with the shortest that shows one."""

    @seed(number)
    @search(_EXAMPLES)
    @given(st.randoms())
    def schedules(random: Random) -> None:
        schedule = Schedule(Choices(random))
        try:
            schedule.run()
        finally:
            totals.add(schedule)

    schedules()


def main(
    steps: Annotated[int, typer.Option(help="Go on until so many are executed.")] = 100_000,
    first: Annotated[int, typer.Option("--seed", help="Begin with this seed.")] = 0,
) -> None:
    """Look for an interleaving that breaks the ingestion protocol."""
    console = Console()
    totals, began, number = Totals(), time.monotonic(), first
    with bounded():
        while totals.steps < steps:
            try:
                explore(number, totals)
            except Violation as violation:
                console.print(
                    violation, *getattr(violation, "__notes__", ()), sep="\n", markup=False
                )
                console.print(f"again: nox -s model -- --seed {number} --steps 1")
                raise typer.Exit(1) from None
            number += 1
    console.print(totals.table(time.monotonic() - began))
    console.print(f"no promise broken; seeds {first} to {number - 1}")


if __name__ == "__main__":
    typer.run(main)
