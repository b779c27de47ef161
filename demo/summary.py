"""The end of the demo in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.facts import STREAMED, DemoFacts


def show(console: Console, facts: DemoFacts, page: Path) -> None:
    """Print the flow with its counts, what was set aside, whether all agrees, and how to go on."""
    streamed = facts.bronze[STREAMED]
    flow = Table(box=None, show_header=False, padding=(0, 2))
    flow.add_column(style="dim")
    flow.add_column(justify="right")
    flow.add_column(style="dim")
    reasons = ", ".join(f"{n:,} {code}" for code, n in streamed.rejected.items())
    rejected = streamed.total - streamed.good
    flow.add_row("sent", f"{facts.acknowledged:,}", "deliveries of flights, all acknowledged")
    flow.add_row("= good", f"{streamed.good:,}", "in bronze")
    flow.add_row("+ rejected", f"{rejected:,}", f"in bronze: {reasons}")
    flow.add_row("- duplicates", f"{facts.duplicates:,}", "removed on the way to silver")
    flow.add_row("= silver", f"{facts.silver[STREAMED]:,}", "distinct valid flights")
    for name, rows in facts.gold.items():
        flow.add_row("gold", f"{len(rows):,}", name)
    console.print()
    console.print(flow)
    for dataset, loads in facts.set_aside.items():
        for load in loads:
            console.print(f"[yellow]set aside[/] load {load.load} of {dataset}: {load.reason}")
    console.print()
    for figure in facts.wrong:
        console.print(
            f"[red]differs[/] {figure.name}: {figure.platform} here, {figure.pandas} in pandas"
        )
        for sample in figure.samples:
            console.print(f"    {sample}", style="red")
    if not facts.wrong:
        console.print(f"[green]All {len(facts.figures)} figures agree with pandas.[/]")
    console.print(f"[bold]Page:[/] {page}")
    console.print(
        f"[bold]Go on:[/] source .nox/lake/bin/activate; export LAKEHOUSE_HOME={facts.home}; "
        "lakehouse local up; lakehouse status"
    )
