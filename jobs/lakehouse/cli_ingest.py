"""``lakehouse ingest``: how ingestion of a stream stands, by its ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli_context import err, out

if TYPE_CHECKING:
    from lakehouse.cli_context import Context

app = typer.Typer(no_args_is_help=True, help="How ingestion stands, by the ledger.")


@app.command(epilog="Example: [b]lakehouse ingest status flights[/b]")
def status(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset with a stream.")],
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many loads to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show a stream's last loads, how far each shard is read, and its lag."""
    from lakehouse import showloads
    from lakehouse.loadstatus import load_status

    common: Context = context.obj
    (contract,) = common.contracts().select([dataset], "stream")
    aws = common.aws()
    with err.status("reading the ledger"):
        found = load_status(aws, contract, last)
    if as_json:
        showloads.as_json(found)
    else:
        showloads.tables(out, found, datetime.now(UTC))
