"""``lakehouse loads``: what became of each load, and what a person decides about those held."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.context import err, out
from lakehouse.errors import EstateError, InputError

if TYPE_CHECKING:
    from lakehouse.cli.context import Context
    from lakehouse.contracts.model import Contract
    from lakehouse.promotion.holds import Decision

app = typer.Typer(no_args_is_help=True, help="Loads of a dataset, and decisions about them.")

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset that has a contract.")]
Load = Annotated[int, typer.Argument(metavar="LOAD", min=0, help="Number of a load.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
By = Annotated[str, typer.Option(help="Who decides; it is recorded. Default: you.")]


@app.command("list", epilog="Example: [b]lakehouse loads list weather[/b]")
def list_loads(
    context: typer.Context,
    dataset: Dataset,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many loads to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the last loads, and every older one that waits for a person."""
    from lakehouse.cli import showloads
    from lakehouse.ingestion.ingest import open_ledger
    from lakehouse.promotion.loadlist import load_lines
    from lakehouse.promotion.progress import read_state
    from lakehouse.promotion.promote import newest_load
    from lakehouse.tables import load_table

    common: Context = context.obj
    contract = _contract(context, dataset)
    aws = common.aws()
    with err.status("reading the ledger"):
        bronze = load_table(aws, "bronze", dataset)
        silver = load_table(aws, "silver", dataset)
        if bronze is None:
            raise EstateError(f"no table bronze.{dataset} yet; ingest or land something first")
        state = read_state(silver) if silver else None
        lines = load_lines(open_ledger(aws, contract.dataset), newest_load(bronze), state, last)
    if as_json:
        showloads.lines_json(lines)
        return
    showloads.lines_table(out, dataset, lines, state.held if state else None)


@app.command(
    "set-aside", epilog="Example: [b]lakehouse loads set-aside planes 7 --reason 'test file'[/b]"
)
def set_aside_load(
    context: typer.Context, dataset: Dataset, load: Load, reason: Reason, by: By = ""
) -> None:
    """Leave a load out of silver, the held one or one that waits, so that later loads go on."""
    from lakehouse.promotion.holds import set_aside

    contract = _contract(context, dataset)
    entry = set_aside(context.obj.aws(), contract, load, _decision(by, reason))
    out.print(f"load {entry.load} of {dataset} is set aside: {entry.reason}", markup=False)
    out.print(f"next: lakehouse run promote {dataset}", style="dim")


@app.command(
    "take-in", epilog="Example: [b]lakehouse loads take-in planes 7 --reason 'replayed'[/b]"
)
def take_in_load(
    context: typer.Context, dataset: Dataset, load: Load, reason: Reason, by: By = ""
) -> None:
    """Let the next promotion try a load again that was set aside."""
    from lakehouse.promotion.holds import take_in

    contract = _contract(context, dataset)
    entry = take_in(context.obj.aws(), contract, load, _decision(by, reason))
    out.print(f"load {entry.load} of {dataset} is tried again by the next promotion")
    out.print(f"next: lakehouse run promote {dataset}", style="dim")


@app.command(
    epilog="Example: [b]lakehouse loads approve planes 4711 --reason 'checked with the maker'[/b]"
)
def approve(
    context: typer.Context,
    dataset: Dataset,
    snapshot: Annotated[int, typer.Argument(metavar="SNAPSHOT", help="The held snapshot's id.")],
    reason: Reason,
    by: By = "",
) -> None:
    """Publish the held candidate of a dataset or mart although its gate failed it."""
    from lakehouse.promotion import holds

    (contract,) = context.obj.contracts().select([dataset], "stream", "files", "pull", "mart")
    done = holds.approve(context.obj.aws(), contract, snapshot, _decision(by, reason))
    out.print(
        f"snapshot {done.snapshot_id} of {contract.checked_layer}.{dataset} is published, approved "
        f"by {done.approval.by if done.approval else 'its gate'} (verdict {done.verdict})"
    )


def _contract(context: typer.Context, dataset: str) -> Contract:
    (contract,) = context.obj.contracts().select([dataset], "stream", "files", "pull")
    found: Contract = contract
    return found


def _decision(by: str, reason: str) -> Decision:
    from lakehouse.promotion.holds import Decision

    if not reason.strip():
        raise InputError("--reason: expected a word on why, got nothing")
    return Decision(by or getpass.getuser(), reason, datetime.now(UTC).isoformat())
