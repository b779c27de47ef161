"""``lakehouse rejects``: what was rejected and why, and what today's contract makes of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lakehouse.cli.context import err, out
from lakehouse.errors import InputError

if TYPE_CHECKING:
    from lakehouse.cli.context import Context
    from lakehouse.contracts.model import Contract
    from lakehouse.ingestion.ledger import RejectFilter

app = typer.Typer(no_args_is_help=True, help="What was rejected, why, and replay it.")

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset with a bronze.")]
Reason = Annotated[
    list[str] | None, typer.Option("--reason", help="Code of the reason; may be given again.")
]
LoadsOption = Annotated[
    str | None, typer.Option("--load", metavar="N|A-B", help="Load, or loads, that brought them.")
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Arrived then or later; UTC where no zone is.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Arrived before then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
_LOADS: Final = re.compile(r"(\d+)(?:-(\d+))?")


@app.command("list", epilog="Example: [b]lakehouse rejects list flights --load 3-9[/b]")
def list_(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="Default: all with a bronze.")
    ] = None,
    *,
    reason: Reason = None,
    load: LoadsOption = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Count the rejects that count now, by reason; of one dataset by load as well."""
    from lakehouse.cli import showrejects
    from lakehouse.ingestion.rejectlist import list_rejects

    common: Context = context.obj
    which = parsed(reason, load, since, until)
    names = [] if dataset is None else [dataset]
    chosen = common.contracts().select(names, "stream", "files", "pull")
    aws = common.aws()
    found = []
    with err.status("reading bronze") as status:
        for contract in chosen:
            status.update(f"reading bronze.{contract.dataset}")
            found.append(list_rejects(aws, contract, which))
    if as_json:
        showrejects.as_json(found)
    elif dataset is None:
        showrejects.by_dataset(out, found)
    else:
        showrejects.by_load(out, found[0])


@app.command(epilog="Example: [b]lakehouse rejects show flights --reason range --limit 5[/b]")
def show(
    context: typer.Context,
    dataset: Dataset,
    *,
    reason: Reason = None,
    load: LoadsOption = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rejects to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show rejects, newest load first: position, reason and payload, classified values masked."""
    from lakehouse.cli import showrejects
    from lakehouse.ingestion.rejectlist import show_rejects

    common: Context = context.obj
    contract, which = _chosen(common, dataset), parsed(reason, load, since, until)
    aws = common.aws()
    with err.status(f"reading bronze.{dataset}"):
        rows, total = show_rejects(aws, contract, which, limit)
    if as_json:
        showrejects.as_json(rows)
    else:
        showrejects.rows(out, dataset, rows, total)


@app.command(epilog="Example: [b]lakehouse rejects replay flights --reason type --dry-run[/b]")
def replay(
    context: typer.Context,
    dataset: Dataset,
    *,
    reason: Reason = None,
    load: LoadsOption = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would become of them.")
    ] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Work in this process instead of the Glue job operate.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decode rejects again by today's contract, and add what turns out differently to bronze.

    Nothing is deleted, and what is good already is left alone. A dry run goes by the contracts
    given here, the job by those that are deployed.
    """
    from lakehouse.cli import replay as work
    from lakehouse.cli import showrejects

    common: Context = context.obj
    contract, which = _chosen(common, dataset), parsed(reason, load, since, until)
    if dry_run:
        done = work.forecast(common.aws(), contract, which)
    elif here:
        done = work.replay_here(common.aws(), contract, which)
    else:
        done = work.replay_by_job(common, contract, which)
    if as_json:
        showrejects.as_json(done)
    else:
        showrejects.replayed(out, done)


def parsed(
    reason: list[str] | None, load: str | None, since: str | None, until: str | None
) -> RejectFilter:
    """The filter that the options say; InputError where one cannot be read."""
    from lakehouse.ingestion.ledger import RejectFilter

    first, last = _loads(load)
    found = RejectFilter(tuple(sorted(set(reason or ()))), first, last, _time(since), _time(until))
    if found.since and found.until and found.since >= found.until:
        raise InputError(f"--since {since} is not before --until {until}; nothing can lie between")
    return found


def _loads(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    match = _LOADS.fullmatch(text)
    first, last = (int(n) for n in (match[1], match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise InputError(f"--load: got {text!r}, expected a load such as 7, or loads such as 3-9")
    return first, last


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"got {text!r}, expected a time such as 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _chosen(common: Context, dataset: str) -> Contract:
    (contract,) = common.contracts().select([dataset], "stream", "files", "pull")
    return contract
