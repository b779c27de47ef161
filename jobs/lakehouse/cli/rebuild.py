"""``lakehouse rebuild``: a table made again beside the published one, compared, then decided on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.context import out
from lakehouse.errors import InputError

if TYPE_CHECKING:
    from lakehouse.cli.context import Context
    from lakehouse.contracts.model import Contract


def rebuild(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Such as silver.flights or gold.a_mart.")
    ],
    *,
    as_of: Annotated[
        int | None,
        typer.Option("--as-of", metavar="LOAD", min=0, help="Last load; default: the promoted."),
    ] = None,
    including: Annotated[
        list[int] | None,
        typer.Option("--including", metavar="LOAD", help="Take in a load that is set aside."),
    ] = None,
    contract_file: Annotated[
        Path | None,
        typer.Option("--contract", exists=True, dir_okay=False, help="Another contract to go by."),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="A mart: from what its inputs publish now.")
    ] = False,
    publish: Annotated[
        str, typer.Option(metavar="BRANCH", help="Publish a rebuild, if the whole gate passes it.")
    ] = "",
    drop: Annotated[str, typer.Option(metavar="BRANCH", help="Drop a rebuild.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would read, or what it differs in.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Build a table again from bronze on a branch, and show how it differs from what is published.

    Readers see nothing of it until its branch is published: [b]--publish BRANCH[/b], with the same
    [b]--contract[/b].
    """
    from lakehouse.cli import showrebuild
    from lakehouse.cli.operation import operate
    from lakehouse.maintenance.operate import DropArguments, RebuildArguments

    common: Context = context.obj
    contract = _contract(common, table)
    if publish and drop:
        raise InputError("--publish and --drop exclude each other; give one of them")
    if drop:
        said = operate(
            common,
            "drop-branch",
            contract.dataset,
            DropArguments(drop),
            dry_run=dry_run,
            saying=f"dropping {drop}",
        )
    else:
        text = contract_file.read_text(encoding="utf-8") if contract_file else ""
        arguments = RebuildArguments(as_of, tuple(including or ()), text, now, publish)
        said = operate(
            common,
            "rebuild",
            contract.dataset,
            arguments,
            dry_run=dry_run,
            saying=f"{'publishing' if publish else 'rebuilding'} {table}",
        )
    if as_json:
        showrebuild.as_json(said)
    else:
        showrebuild.told(out, table, said, f" --contract {contract_file}" if contract_file else "")


def _contract(common: Context, table: str) -> Contract:
    layer, _, dataset = table.partition(".")
    if layer not in {"silver", "gold"} or not dataset:
        raise InputError(f"got {table!r}, expected silver.DATASET or gold.MART")
    (contract,) = common.contracts().select([dataset], "stream", "files", "pull", "mart")
    if contract.checked_layer != layer:
        raise InputError(f"there is no {table}; expected {contract.checked_layer}.{dataset}")
    return contract
