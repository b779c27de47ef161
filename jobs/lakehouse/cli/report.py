"""``lakehouse report``: the gates' verdicts as pages on this machine."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.context import Context, err, out
from lakehouse.errors import InputError


def report(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="A dataset; default: all.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder to write the pages to.", file_okay=False)
    ] = Path(".lakehouse", "reports"),
    snapshot: Annotated[
        int | None, typer.Option(help="The run of this snapshot, with those around it.")
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Write what the gates found out as pages: one a run, an index a dataset and one of all.

    Read from the verdicts alone, the newest 100 of a dataset.
    """
    if snapshot is not None and dataset is None:
        raise InputError("--snapshot goes with a dataset: lakehouse report DATASET --snapshot ID")
    common: Context = context.obj
    page = _of_all(common, output) if dataset is None else _of(common, dataset, output, snapshot)
    if page is not None and open_page:
        webbrowser.open(page.resolve().as_uri())


def _of(common: Context, dataset: str, output: Path, snapshot: int | None) -> Path | None:
    from lakehouse.reporting.history import read_history
    from lakehouse.reporting.pages import write_dataset

    contract = common.contracts()[dataset]
    aws = common.aws()
    with err.status("reading verdicts"):
        history = read_history(aws, dataset, contract, snapshot)
    if not history.runs:
        _nothing(f"no verdict on {dataset} yet", contract.checked_layer == "gold", dataset)
        return None
    page = write_dataset(output, history)
    if snapshot is not None:
        page = page.with_name(f"{snapshot}.html")
    out.print(str(page), markup=False)
    last = history.runs[-1]
    out.print(
        f"{len(history.runs)} of {history.total} runs of {dataset}; the last {last.status}, "
        f"{last.at:%Y-%m-%d %H:%M:%S} UTC",
        style="dim",
        markup=False,
    )
    return page


def _of_all(common: Context, output: Path) -> Path | None:
    from lakehouse.reporting.pages import datasets_with_verdicts, read_histories, write_all

    contracts = common.contracts()
    aws = common.aws()
    with err.status("reading verdicts"):
        found = datasets_with_verdicts(aws)
        histories = read_histories(aws, contracts, found)
    if not histories:
        _nothing("no verdict on any dataset yet", False, "")
        return None
    page = write_all(output, histories, sorted(set(contracts) - set(found)))
    out.print(str(page), markup=False)
    for history in histories:
        out.print(str(output / history.dataset / "index.html"), markup=False)
    return page


def _nothing(said: str, mart: bool, dataset: str) -> None:
    step = "marts" if mart else "promote"
    out.print(f"{said}; next: lakehouse run {step} {dataset}".rstrip(), markup=False)
