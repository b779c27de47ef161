"""``lakehouse local``: the whole estate on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.context import Context, err, local_module, out
from lakehouse.errors import EstateError

# Without environment variables, which would win over the same option given before "local".
_Home = Annotated[
    Path | None, typer.Option(help="Folder of the estate; default: .lakehouse/local.")
]
_Contracts = Annotated[
    Path | None, typer.Option(help="Directory of the contracts; default: quality/contracts.")
]

app = typer.Typer(no_args_is_help=True, help="The whole estate on this machine: up, status, down.")


@app.command(epilog="Example: [b]lakehouse local up[/b], then [b]lakehouse status[/b]")
def up(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of Glue runs and Athena; default: free."),
    ] = None,
    contracts: _Contracts = None,
    home: _Home = None,
) -> None:
    """Start the estate on this machine, or go on with what an earlier one left."""
    common: Context = context.obj
    local = local_module()
    with err.status("starting the estate") as status:
        estate = local.up(
            home or common.home, contracts or common.contracts_folder, status.update, port=port
        )
    out.print(f"[green]up[/green]  {estate.prefix} in {_short(estate.home)}")
    out.print(f"    S3, Kinesis, catalog  {estate.emulator_url}")
    out.print(f"    Glue runs, Athena     {estate.gateway_url}")
    found = "by itself" if _is_default(estate.home) else f"with LAKEHOUSE_HOME={estate.home}"
    out.print(f"lakehouse finds it {found}; other clients, such as boto3, with:", style="dim")
    for name, value in estate.env.items():
        out.print(f"export {name}={value}")


@app.command()
def status(context: typer.Context, home: _Home = None) -> None:
    """Say whether an estate runs here, and where; exit code 1 when none does."""
    folder = home or context.obj.home
    estate = local_module().find(folder)
    if estate is None:
        raise EstateError(f"no estate runs in {folder}; start one with 'lakehouse local up'")
    out.print(f"[green]up[/green]  {estate.prefix} in {_short(estate.home)}")
    out.print(f"    S3, Kinesis, catalog  {estate.emulator_url}")
    out.print(f"    Glue runs, Athena     {estate.gateway_url}")
    out.print(f"    logs of Glue runs     {_short(estate.home / 'runs')}")


@app.command()
def down(context: typer.Context, home: _Home = None) -> None:
    """Stop the estate on this machine; its data stay for the next up."""
    folder = home or context.obj.home
    with err.status("stopping the estate"):
        stopped = local_module().down(folder)
    out.print(f"down, data kept in {folder}" if stopped else f"nothing runs in {folder}")


def _is_default(home: Path) -> bool:
    """Whether commands look there without being told on each command line."""
    return home == Path(os.environ.get("LAKEHOUSE_HOME") or Path(".lakehouse", "local")).absolute()


def _short(path: Path) -> Path:
    """A path below the current folder as seen from it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
