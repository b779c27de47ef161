"""``python -m demo``: the main job on real data, on this machine, every figure checked."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from demo import data
from demo.facts import gather
from demo.page import render
from demo.pipeline import CONTRACTS, read_source, run
from demo.steps import Steps
from demo.summary import show
from lakehouse.aws import Aws
from lakehouse.errors import EstateError, LakehouseError
from lakehouse.odcs import load_contracts
from localaws import local

HOME = Path(".lakehouse", "demo")
console = Console(soft_wrap=True)


def demo(
    airflow_python: Annotated[
        Path,
        typer.Option(envvar="LAKEHOUSE_AIRFLOW_PYTHON", help="Python that has Airflow."),
    ] = Path(".nox", "airflow", "bin", "python"),
    months: Annotated[int, typer.Option(min=1, max=12, help="Send the first N months.")] = 3,
    every: Annotated[bool, typer.Option("--all", help="Send the whole year.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the trouble.")] = 2013,
    keep: Annotated[bool, typer.Option(help="Leave the estate running at the end.")] = False,
) -> None:
    """Run the main job on real data and check every figure against pandas."""
    steps = Steps(console)
    home = HOME.absolute()
    if local.find(home):
        raise EstateError(
            f"a demo is running, or was kept running, in {HOME}; wait for it, or stop it with "
            f"'lakehouse --home {HOME} local down'"
        )
    shutil.rmtree(home, ignore_errors=True)
    with steps.step("Read the real data and add the trouble") as step:
        source = read_source(data.MONTHS if every else data.MONTHS[:months], seed)
        step.result = f"{len(source.flights):,} flights, {len(source.sent):,} deliveries"
    try:
        with steps.step("Build the estate on this machine") as step:
            owner = None if keep else os.getpid()
            estate = local.up(home, CONTRACTS, step.say, owner_pid=owner)
            os.environ.update(estate.env)
        outcome = run(source, estate, airflow_python.absolute(), steps)
        facts = gather(
            Aws.from_env(estate.prefix),
            load_contracts(CONTRACTS),
            flights=len(source.flights),
            acknowledged=outcome.acknowledged,
            sent_by_kind=Counter(delivery.kind for delivery in source.sent),
            figures=outcome.figures,
            steps=steps.done,
            home=str(HOME),
        )
    except BaseException:
        local.down(home)
        raise
    page = HOME / "report.html"
    render(facts, page)
    if not keep:
        local.down(home)
    show(console, facts, page)
    if facts.wrong:
        names = ", ".join(figure.name for figure in facts.wrong)
        raise LakehouseError(f"the platform and pandas disagree on: {names}")


def main() -> None:
    """Run the demo; what goes wrong on purpose is one line and exit code 1."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        typer.run(demo)
    except LakehouseError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
