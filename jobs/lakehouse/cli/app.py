"""The command line: each command answers with a summary, or one line that says what is wrong."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from lakehouse import __version__
from lakehouse.cli import doctor as cli_doctor
from lakehouse.cli import ingest as cli_ingest
from lakehouse.cli import lineage as cli_lineage
from lakehouse.cli import loads as cli_loads
from lakehouse.cli import local as cli_local
from lakehouse.cli import maintain as cli_maintain
from lakehouse.cli import rebuild as cli_rebuild
from lakehouse.cli import rejects as cli_rejects
from lakehouse.cli import report as cli_report
from lakehouse.cli.context import (
    Context,
    ContractsOption,
    HomeOption,
    PrefixOption,
    err,
    out,
    told,
)
from lakehouse.errors import InputError, LakehouseError

if TYPE_CHECKING:
    from lakehouse.contracts.model import SourceKind

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The lakehouse: send, land, promote, ask.",
    epilog=(
        "On one machine: [b]lakehouse local up[/b], then [b]produce[/b] or [b]drop[/b], "
        "[b]run ingest[/b] or [b]run land[/b], [b]run promote[/b], [b]run marts[/b], [b]sql[/b]. "
        "On AWS: the same with [b]--prefix[/b]."
    ),
)
app.add_typer(cli_local.app, name="local")
app.add_typer(cli_ingest.app, name="ingest")
app.add_typer(cli_rejects.app, name="rejects")
app.add_typer(cli_loads.app, name="loads")
app.command(epilog="Example: [b]lakehouse doctor --stack dev[/b]")(cli_doctor.doctor)
app.command(epilog="Example: [b]lakehouse rebuild silver.flights --as-of 17[/b]")(
    cli_rebuild.rebuild
)
app.command(epilog="Example: [b]lakehouse maintain flights --run[/b]")(cli_maintain.maintain)
app.command(epilog="Example: [b]lakehouse lineage gold.carrier_on_time[/b]")(cli_lineage.lineage)
app.command(epilog="Example: [b]lakehouse trace silver.airlines UA[/b]")(cli_lineage.trace)
app.command(epilog="Examples: [b]lakehouse report[/b], [b]lakehouse report flights --open[/b]")(
    cli_report.report
)

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset that has a contract.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to send.")]
Step = Literal["ingest", "land", "promote", "marts"]
_SOURCES: Final[dict[Step, tuple[SourceKind, ...]]] = {
    "ingest": ("stream",),
    "land": ("files", "pull"),
    "promote": ("stream", "files", "pull"),
    "marts": ("mart",),
}


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"lakehouse {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    prefix: PrefixOption = None,
    contracts: ContractsOption = None,
    home: HomeOption = None,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Read the options that all commands share."""
    context.obj = Context(prefix, contracts, home)


@app.command(
    epilog="Examples: [b]lakehouse produce flights flights.ndjson[/b], or [b]-[/b] for stdin"
)
def produce(context: typer.Context, dataset: Dataset, files: Files) -> None:
    """Send records to a dataset's stream, one a line (NDJSON), each acknowledged or reported.

    Lines go as they are: what breaks the contract is rejected later, with its reason.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lakehouse.cli.produce import count_records, opened, read_records
    from lakehouse.cli.produce import produce as send

    (contract,) = context.obj.contracts().select([dataset], "stream")
    with ExitStack() as stack:
        sources = [(str(path), stack.enter_context(opened(path))) for path in files]
        total = sum(count_records(lines, name, contract) for name, lines in sources)
        aws = context.obj.aws()
        stream = aws.stream(dataset)
        records = (r for name, lines in sources for r in read_records(lines, name, contract))
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        began = time.monotonic()
        with bar as progress:
            task = progress.add_task(f"to {stream}", total=total)
            sent = send(aws.client("kinesis"), stream, records, lambda n: progress.advance(task, n))
        seconds = time.monotonic() - began
    rate = sent.acknowledged / max(seconds, 0.001)
    out.print(
        f"{sent.acknowledged:,} acknowledged by {stream}, {sent.retried:,} sent again, "
        f"{seconds:.1f} s, {rate:,.0f} records/s"
    )
    out.print(f"next: lakehouse run ingest {dataset}", style="dim")


@app.command(epilog="Example: [b]lakehouse drop airlines airlines.csv[/b]")
def drop(context: typer.Context, dataset: Dataset, files: Files) -> None:
    """Put files where a dataset's files arrive; all of them, or none when one is no good."""
    from lakehouse.cli.drop import drop as put

    (contract,) = context.obj.contracts().select([dataset], "files", "pull")
    aws = context.obj.aws()
    for key in put(aws, contract, files):
        out.print(f"s3://{aws.bucket('landing')}/{key}")
    out.print(f"next: lakehouse run land {dataset}", style="dim")


@app.command(
    epilog="Examples: [b]lakehouse run promote flights weather[/b], "
    "[b]lakehouse run ingest --follow[/b]"
)
def run(
    context: typer.Context,
    step: Annotated[
        Step,
        typer.Argument(
            help="ingest: streams to bronze; land: files and pulls to bronze; promote: bronze to "
            "silver; marts: silver to gold."
        ),
    ],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Datasets; default: all.")
    ] = None,
    follow: Annotated[
        bool, typer.Option(help="ingest: go on until Ctrl-C instead of stopping when all is read.")
    ] = False,
    full: Annotated[
        bool, typer.Option(help="marts: make them anew as a whole, also where nothing has changed.")
    ] = False,
) -> None:
    """Run a Glue job, wait for its end, and say what it did to each dataset."""
    from lakehouse.cli.follow import run_step

    if follow and step != "ingest":
        raise InputError(f"--follow goes with ingest; {step} ends by itself")
    if full and step != "marts":
        raise InputError(f"--full goes with marts; {step} does what is new")
    chosen = context.obj.contracts().select(names or [], *_SOURCES[step])
    run_step(context.obj, step, chosen, named=bool(names), follow=follow, full=full)


@app.command(epilog='Example: [b]lakehouse sql "SELECT * FROM gold.carrier_on_time"[/b]')
def sql(
    context: typer.Context,
    statement: Annotated[str, typer.Argument(help="The SELECT; - reads it from standard input.")],
    output: Annotated[
        Literal["table", "csv", "json"],
        typer.Option("--format", help="How to print the rows; json: one object a line."),
    ] = "table",
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 100,
    workgroup: Annotated[
        str | None,
        typer.Option(help="Where to ask, by its whole name; by default the engineers'."),
    ] = None,
) -> None:
    """Ask Athena; tables are [b]bronze.x[/b], [b]silver.x[/b], [b]gold.x[/b]."""
    from lakehouse.cli import show
    from lakehouse.cli.query import query

    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise InputError("expected a SELECT, got nothing")
    aws = context.obj.aws()
    with err.status("asking Athena"):
        answer = query(aws, text, limit, workgroup)
    show.answer(out, answer, output)


@app.command(epilog="Example: [b]lakehouse status --json | jq '.[].verdict'[/b]")
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how each dataset stands: rows by layer, rejects, freshness, last verdict."""
    from lakehouse.cli import show
    from lakehouse.cli.status import all_status

    common: Context = context.obj
    contracts = common.contracts()
    aws = common.aws()
    now = datetime.now(UTC)
    with err.status("reading the catalog"):
        lines = all_status(aws, contracts.values(), now)
    if as_json:
        show.status_json(lines)
        return
    out.print(f"[b]{aws.prefix}[/b]  [dim]{common.where()}[/dim]")
    show.status_table(out, lines, now)


def main() -> None:
    """Run the command line; what was raised on purpose becomes one line and exit code 1."""
    try:
        with told():
            app()
    except LakehouseError as error:
        fail(str(error))


def fail(message: Any) -> None:
    """End with one line."""
    from rich.text import Text

    err.print(Text.assemble(("error:", "red"), " ", " ".join(str(message).split())))
    raise SystemExit(1)
