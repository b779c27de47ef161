"""``python -m demo``: the main job on real data, on this machine, every figure checked."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from demo import data
from demo.facts import DemoFacts, gather
from demo.page import render
from demo.pipeline import CONTRACTS, read_source, run
from demo.steps import Steps
from demo.summary import show
from lakehouse.aws import Aws
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError, LakehouseError
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
    with alone(home):
        chosen = data.MONTHS if every else data.MONTHS[:months]
        facts = _run(home, chosen, seed, airflow_python.absolute(), steps)
        if keep:
            # The one that was checked ends with this process; the same data outlive it in another.
            local.up(home, CONTRACTS, lambda _: None)
    page = HOME / "report.html"
    render(facts, page)
    show(console, facts, page)
    if facts.wrong:
        names = ", ".join(figure.name for figure in facts.wrong)
        raise LakehouseError(f"the platform and pandas disagree on: {names}")


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Have the demo's home, emptied, for this process; EstateError when something runs in it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EstateError(
                f"a demo is running in {home}; wait for its end, or stop it"
            ) from None
        if local.find(home):
            raise EstateError(
                f"an earlier demo's estate is up in {home}; stop it with "
                f"'lakehouse --home {HOME} local down'"
            )
        # What a demo that was killed has left.
        local.down(home)
        shutil.rmtree(home, ignore_errors=True)
        yield


def _run(home: Path, months: Sequence[int], seed: int, python: Path, steps: Steps) -> DemoFacts:
    with steps.step("Read the real data and add the trouble") as step:
        source = read_source(months, seed)
        step.result = f"{len(source.flights):,} flights, {len(source.sent):,} deliveries"
    try:
        with steps.step("Build the estate on this machine") as step:
            estate = local.up(home, CONTRACTS, step.say, owner_pid=os.getpid())
            os.environ.update(estate.env)
        outcome = run(source, estate, python, steps)
        return gather(
            Aws.from_env(estate.prefix),
            load_contracts(CONTRACTS),
            months=months,
            seed=seed,
            flights=len(source.flights),
            acknowledged=outcome.acknowledged,
            sent_by_kind=Counter(delivery.kind for delivery in source.sent),
            figures=outcome.figures,
            steps=steps.done,
            home=str(HOME),
        )
    finally:
        local.down(home)


def interrupt(_number: int, _frame: object) -> NoReturn:
    """End in order, once: what comes while everything is brought down changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run the demo; what goes wrong on purpose is one line and exit code 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        typer.run(demo)
    except LakehouseError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
