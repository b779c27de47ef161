"""``lakehouse maintain``: what keeps tables small, on demand; a schedule does it every day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.context import out

if TYPE_CHECKING:
    from lakehouse.cli.context import Context


def maintain(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Datasets; default: all.")
    ] = None,
    *,
    run: Annotated[bool, typer.Option("--run", help="Do it; without, it is only told.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compact files, expire snapshots, drop dead branches, remove orphans of every table."""
    from lakehouse.cli import operation, showrebuild

    common: Context = context.obj
    chosen = common.contracts().select(names or [], "stream", "files", "pull", "mart")
    datasets = [contract.dataset for contract in chosen] if names else []
    tables = operation.maintain(common, datasets, dry_run=not run)
    if as_json:
        showrebuild.as_json(tables)
    else:
        showrebuild.maintained(out, tables, dry_run=not run)
