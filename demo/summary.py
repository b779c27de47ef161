"""The end of the demo in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.facts import STREAMED, DemoFacts


def show(console: Console, facts: DemoFacts, page: Path) -> None:
    """Print the flow with its counts, what was set aside, whether all agrees, and how to go on."""
    console.print()
    console.print(_flow(facts))
    for dataset, loads in facts.set_aside.items():
        for load in loads:
            _say(
                console,
                f"[yellow]set aside[/] load {load.load} of {dataset}, "
                f"{facts.bronze[dataset].loads.get(load.load, 0):,} rows: {escape(load.reason)}",
            )
    console.print()
    for figure in facts.wrong:
        _say(
            console,
            f"[red]differs[/] {escape(figure.name)}: "
            f"{escape(str(figure.platform))} here, {escape(str(figure.pandas))} in pandas",
        )
        for sample in figure.samples:
            _say(console, f"    [red]{escape(sample)}[/]")
    if not facts.wrong:
        _say(console, f"[bold green]All {len(facts.figures)} figures equal those of pandas.[/]")
    _say(console, f"[bold]Page[/]   {escape(str(page))}")
    _say(
        console,
        f"[bold]Go on[/]  source .nox/lake/bin/activate; export LAKEHOUSE_HOME={facts.home}; "
        "lakehouse local up; lakehouse status",
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False)


def _flow(facts: DemoFacts) -> Table:
    streamed = facts.bronze[STREAMED]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")
    reasons = ", ".join(f"{code} {n:,}" for code, n in streamed.rejected.items())
    table.add_row("sent", f"{facts.acknowledged:,}", f"deliveries of {STREAMED}, all acknowledged")
    table.add_row("= good", f"{streamed.good:,}", "in bronze")
    table.add_row("+ rejected", f"{streamed.bad:,}", f"in bronze: {escape(reasons)}")
    table.add_row("- duplicates", f"{facts.duplicates(STREAMED):,}", "found on the way to silver")
    table.add_row("= silver", f"{facts.silver[STREAMED]:,}", f"{STREAMED}, each once")
    for name, rows in facts.silver.items():
        if name != STREAMED:
            table.add_row("silver", f"{rows:,}", name)
    for name, gold in facts.gold.items():
        table.add_row("gold", f"{len(gold):,}", name)
    return table
