"""``lakehouse doctor``: whether an account is ready for a stack. It only asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lakehouse.cli.context import Context, err, out
from lakehouse.errors import EstateError

if TYPE_CHECKING:
    from lakehouse.doctor.finding import Finding
    from lakehouse.doctor.need import Need

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red", "not asked": "dim"}


def doctor(
    context: typer.Context,
    stack: Annotated[
        str, typer.Option(help="The stack that is to be deployed: Pulumi.<stack>.yaml.")
    ] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check an account before the first deployment: nothing is changed, each finding has a mend.

    Exit code 1 where the deployment would fail or do harm.
    """
    from lakehouse.doctor.account import AwsAccount
    from lakehouse.doctor.checks import CHECKS
    from lakehouse.doctor.finding import examine, failed
    from lakehouse.doctor.need import LOCAL

    common: Context = context.obj
    with err.status(f"reading what {stack} would build"):
        if stack == LOCAL:
            common.aws()
        need = stack_need(stack, common.contracts_folder)
    with err.status(f"asking the account in {need.region}"):
        found = examine(AwsAccount(need.region), need, CHECKS)
    if as_json:
        _print_json(need, found)
    else:
        _print_table(need, found)
    if failed(found):
        raise typer.Exit(1)


def stack_need(stack: str, contracts: Path) -> Need:
    """What a stack would build with these contracts; EstateError where nothing can be rendered."""
    from lakehouse.doctor.need import need_of

    try:
        from localaws import apply
    except ImportError as error:
        raise EstateError(
            f"the estate's program is not installed ({error}); run 'pip install -e "
            '".[local,platform,spark]"\' in a checkout of the repository'
        ) from error
    config = apply.stack_config(stack)
    return need_of(
        stack,
        config["lakehouse:platform"]["prefix"],
        config.get("aws:region", "us-east-1"),
        apply.render(stack, contracts),
    )


def _print_json(need: Need, found: list[Finding]) -> None:
    import msgspec

    answer: dict[str, Any] = {
        "stack": need.stack,
        "prefix": need.prefix,
        "region": need.region,
        "findings": found,
    }
    out.print(msgspec.json.format(msgspec.json.encode(answer)).decode(), markup=False)


def _print_table(need: Need, found: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    out.print(f"[b]{need.stack}[/b]  {need.prefix} in {need.region}")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found:
        text = Text(finding.said)
        if finding.mend:
            text.append(f"\n→ {finding.mend}", "cyan")
        table.add_row(Text(finding.level, _COLOURS[finding.level]), finding.check, text)
    out.print(table, soft_wrap=False)
    counts = {level: sum(f.level == level for f in found) for level in _COLOURS}
    out.print(", ".join(f"{count} {level}" for level, count in counts.items() if count))
