"""The command line: each command answers with a summary, or one line that says what is wrong."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import typer
from rich.console import Console

from lakehouse import __version__
from lakehouse.errors import EstateError, InputError, LakehouseError

if TYPE_CHECKING:
    from lakehouse.aws import Aws
    from lakehouse.contract import Contracts

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The lakehouse: send, land, promote, ask.",
    epilog="Begin on one machine with [b]lakehouse local up[/b], then [b]lakehouse status[/b].",
)
local_app = typer.Typer(no_args_is_help=True, help="The whole estate on this machine.")
app.add_typer(local_app, name="local")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset that has a contract.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to send.")]


class Context:
    """What the global options say, looked up once they are needed."""

    def __init__(self, prefix: str | None, contracts: Path | None, home: Path | None) -> None:
        self._prefix = prefix
        self.contracts_folder = contracts or Path("quality", "contracts")
        self._home = home

    @property
    def home(self) -> Path:
        """The folder of the local estate."""
        from localaws.local import default_home

        return self._home or default_home()

    def aws(self) -> Aws:
        """The deployment: the one named, else the estate that runs on this machine.

        Raises EstateError when there is neither.
        """
        from lakehouse.aws import Aws

        prefix = self._prefix
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            _require_answer(endpoint)
        else:
            estate = self._local_estate()
            if estate is not None and prefix in {None, estate.prefix}:
                os.environ.update(estate.env)
                prefix = estate.prefix
        if prefix is None:
            raise EstateError(
                "no estate: none runs on this machine and no --prefix names one on AWS; start one "
                "with 'lakehouse local up'"
            )
        return Aws.from_env(prefix)

    def contracts(self) -> Contracts:
        """The contracts."""
        from lakehouse.odcs import load_contracts

        return load_contracts(self.contracts_folder)

    def _local_estate(self) -> Any:
        try:
            from localaws.local import find
        except ImportError:
            return None
        return find(self.home)


def _require_answer(endpoint: str) -> None:
    """Raise EstateError at once where nobody listens, rather than after many retries."""
    parts = urlsplit(endpoint)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=3):
            return
    except OSError as error:
        raise EstateError(
            f"nothing answers at {endpoint} ({error}); start the estate with 'lakehouse local up', "
            "or mend AWS_ENDPOINT_URL"
        ) from error


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"lakehouse {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    prefix: Annotated[
        str | None,
        typer.Option(
            envvar="LAKEHOUSE_PREFIX", help="Deployment to work on; default: the local estate."
        ),
    ] = None,
    contracts: Annotated[
        Path | None,
        typer.Option(
            envvar="LAKEHOUSE_CONTRACTS",
            help="Directory of the contracts; default: quality/contracts.",
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="LAKEHOUSE_HOME", help="Folder of the local estate; default: .lakehouse/local."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Read the options that all commands share."""
    context.obj = Context(prefix, contracts, home)


@local_app.command("up")
def local_up(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Port of the emulator; default: a free one.")
    ] = None,
) -> None:
    """Start the estate on this machine, or go on with what an earlier one left."""
    from localaws.local import up

    common: Context = context.obj
    with err.status("starting the estate") as status:
        estate = up(common.home, common.contracts_folder, status.update, port=port)
    out.print(f"[green]up[/green]  {estate.prefix} in {estate.home}")
    out.print("other clients reach it with:", style="dim")
    for name, value in estate.env.items():
        out.print(f"export {name}={value}", highlight=False)


@local_app.command("status")
def local_status(context: typer.Context) -> None:
    """Say whether an estate runs here, and where."""
    from localaws.local import find

    common: Context = context.obj
    estate = find(common.home)
    if estate is None:
        raise EstateError(f"no estate runs in {common.home}; start one with 'lakehouse local up'")
    out.print(f"[green]up[/green]  {estate.prefix} in {estate.home}")
    out.print(f"emulator {estate.emulator_url}, Glue runs and Athena {estate.gateway_url}")


@local_app.command("down")
def local_down(context: typer.Context) -> None:
    """Stop the estate on this machine; its data stay for the next up."""
    from localaws.local import down

    common: Context = context.obj
    with err.status("stopping the estate"):
        stopped = down(common.home)
    out.print(f"down, data kept in {common.home}" if stopped else f"nothing runs in {common.home}")


@app.command(epilog="Example: [b]lakehouse produce flights flights.ndjson[/b]")
def produce(context: typer.Context, dataset: Dataset, files: Files) -> None:
    """Send records to a dataset's stream, one a line (NDJSON), each acknowledged or reported."""
    import time

    from rich.progress import Progress

    from lakehouse.produce import file_records
    from lakehouse.produce import produce as send

    (contract,) = context.obj.contracts().select([dataset], "stream")
    records = [record for path in files for record in file_records(path, contract)]
    aws = context.obj.aws()
    began = time.monotonic()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(f"to {aws.stream(dataset)}", total=len(records))
        sent = send(
            aws.client("kinesis"), aws.stream(dataset), records, lambda n: progress.advance(task, n)
        )
    seconds = time.monotonic() - began
    out.print(
        f"{sent.acknowledged:,} records acknowledged by {aws.stream(dataset)} in {seconds:.1f} s, "
        f"{sent.retried:,} sent again. Next: lakehouse run ingest {dataset}"
    )


@app.command(epilog="Example: [b]lakehouse drop airlines airlines.csv[/b]")
def drop(context: typer.Context, dataset: Dataset, files: Files) -> None:
    """Put files where a dataset's files arrive."""
    from lakehouse.drop import drop as put

    (contract,) = context.obj.contracts().select([dataset], "files", "pull")
    keys = put(context.obj.aws(), contract, files)
    out.print(f"{len(keys)} file(s) in the landing zone. Next: lakehouse run land {dataset}")


Step = Literal["ingest", "land", "promote", "marts"]


@app.command(epilog="Example: [b]lakehouse run promote flights weather[/b]")
def run(
    context: typer.Context,
    step: Annotated[Step, typer.Argument(help="Which job to run.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Datasets; default: all.")
    ] = None,
    follow: Annotated[
        bool, typer.Option(help="Keep ingesting instead of stopping when all is read.")
    ] = False,
) -> None:
    """Run a Glue job and wait for its end."""
    from lakehouse.runs import JobRun

    sources: dict[str, tuple[Any, ...]] = {
        "ingest": ("stream",),
        "land": ("files", "pull"),
        "promote": ("stream", "files", "pull"),
        "marts": ("mart",),
    }
    chosen = context.obj.contracts().select(names or [], *sources[step])
    aws = context.obj.aws()
    arguments = {"--datasets": ",".join(c.dataset for c in chosen)} if names else {}
    jobs: dict[str, dict[str, str]] = {step: arguments}
    if step == "ingest":
        once = {"--once": "false" if follow else "true"}
        jobs = {f"ingest-{c.group}": arguments | once for c in chosen}
    for job, given in jobs.items():
        started = JobRun.start(aws, job, given)
        with err.status(f"{started.name}: starting") as status:
            try:
                answer = started.wait(
                    0.5,
                    lambda answer: status.update(
                        f"{answer['JobName']}: {answer['JobRunState'].lower()}"
                    ),
                )
            except KeyboardInterrupt:
                started.stop()
                raise
        out.print(
            f"[green]{answer['JobRunState'].lower()}[/green]  {started.name} in "
            f"{answer.get('ExecutionTime', 0)} s ({started.run_id})"
        )


@app.command(epilog='Example: [b]lakehouse sql "SELECT * FROM gold.carrier_on_time"[/b]')
def sql(
    context: typer.Context,
    statement: Annotated[str, typer.Argument(help="The SELECT; - reads it from standard input.")],
    output: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")
    ] = "table",
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 100,
) -> None:
    """Ask Athena."""
    from lakehouse import show
    from lakehouse.query import query

    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise InputError("expected a SELECT, got nothing")
    aws = context.obj.aws()
    with err.status("asking Athena"):
        answer = query(aws, text, limit)
    show.answer(out, answer, output)


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how each dataset stands: rows by layer, freshness, last verdict."""
    from lakehouse import show
    from lakehouse.status import dataset_status

    contracts = context.obj.contracts()
    aws = context.obj.aws()
    now = datetime.now(UTC)
    with err.status("reading the catalog"):
        lines = [dataset_status(aws, contract, now) for contract in contracts.values()]
    if as_json:
        show.status_json(out, lines)
    else:
        show.status_table(out, aws.prefix, lines, now)


def main() -> None:
    """Run the command line; what was raised on purpose becomes one line and exit code 1."""
    from botocore.exceptions import EndpointConnectionError, NoCredentialsError

    try:
        app(standalone_mode=True)
    except LakehouseError as error:
        fail(str(error))
    except EndpointConnectionError as error:
        fail(
            f"{error}; check the region and the network, or start the local estate with "
            "'lakehouse local up'"
        )
    except NoCredentialsError:
        fail("no AWS credentials; log in, or start the local estate with 'lakehouse local up'")


def fail(message: str) -> None:
    """End with one line."""
    err.print(f"[red]error:[/red] {' '.join(message.split())}", highlight=False)
    raise SystemExit(1)
