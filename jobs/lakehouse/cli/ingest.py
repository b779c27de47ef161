"""``lakehouse ingest``: how ingestion of a stream stands, by its ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.context import err, out
from lakehouse.errors import EstateError

if TYPE_CHECKING:
    from lakehouse.cli.context import Context

app = typer.Typer(no_args_is_help=True, help="How ingestion stands, by the ledger.")


@app.command(epilog="Example: [b]lakehouse ingest status flights[/b]")
def status(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset with a stream.")],
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many loads to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show a stream's last loads, how far each shard is read, and its lag."""
    from lakehouse.cli import showloads
    from lakehouse.ingestion.loadstatus import load_status

    common: Context = context.obj
    (contract,) = common.contracts().select([dataset], "stream")
    aws = common.aws()
    with err.status("reading the ledger"):
        found = load_status(aws, contract, last)
    if as_json:
        showloads.as_json(found)
    else:
        showloads.tables(out, found, datetime.now(UTC))


@app.command(epilog="Example: [b]lakehouse ingest orphans flights --remove[/b]")
def orphans(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset with a bronze.")],
    remove: Annotated[bool, typer.Option(help="Remove them; without, they are only told.")] = False,
    days: Annotated[int, typer.Option(min=1, help="Least age of a file that goes.")] = 3,
) -> None:
    """Find files of a bronze table that no load and no snapshot needs."""
    from lakehouse.ingestion.icetable import IcebergLoadTable
    from lakehouse.ingestion.ingest import open_ledger
    from lakehouse.ingestion.orphans import remove_orphans
    from lakehouse.ingestion.tablefiles import TableFiles, referenced
    from lakehouse.tables import load_table

    common: Context = context.obj
    (contract,) = common.contracts().select([dataset], "stream", "files", "pull")
    aws = common.aws()
    table = load_table(aws, "bronze", contract.dataset)
    if table is None:
        raise EstateError(f"no table bronze.{dataset} yet; ingest or land something first")
    loads = IcebergLoadTable(table)
    with err.status("listing the table's files"):
        found = remove_orphans(
            open_ledger(aws, contract.dataset),
            TableFiles(aws.client("s3"), table),
            lambda: loads.state().load,
            lambda: referenced(table),
            datetime.now(UTC),
            minimum_age=timedelta(days=days),
            dry_run=not remove,
        )
    for path in found.paths:
        out.print(path)
    said = "removed" if remove else "found, --remove removes them"
    out.print(f"{len(found.paths):,} orphans of bronze.{dataset} {said}; {found.young:,} too young")
