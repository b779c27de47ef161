"""``lakehouse lineage`` and ``trace``: where rows come from, and where one record went."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lakehouse.cli.context import err, out
from lakehouse.errors import InputError

if TYPE_CHECKING:
    from lakehouse.cli.context import Context
    from lakehouse.ingestion.ledger import LoadRange

_LOADS: Final = re.compile(r"(\d+)(?:-(\d+))?")
_NEWEST: Final = 20

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def lineage(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A checked table, such as gold.carrier_on_time.")
    ],
    snapshot: Annotated[
        int | None, typer.Option(metavar="ID", help="A published snapshot; default: the newest.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, help="Levels of inputs to follow; default: all.")
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Look up every load and list every object."),
    ] = False,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a published snapshot was made from, down to shards and objects.

    Of each table the newest 20 loads are looked up in the ledger.
    """
    from lakehouse.cli import showlineage
    from lakehouse.lineage.tree import lineage as find

    common: Context = context.obj
    aws = common.aws()
    with err.status("reading tables, verdicts and the ledger"):
        found = find(aws, table, snapshot_id=snapshot, depth=depth, most=None if every else _NEWEST)
    if as_json:
        showlineage.as_json(found)
    else:
        showlineage.print_tree(out, found, every=every)


def trace(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="DATASET", help="A dataset, such as silver.flights.")
    ],
    key: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]...", help="Values of the key in the contract's order."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Find the key by other columns; repeatable."),
    ] = None,
    loads: Annotated[
        str | None, typer.Option(metavar="N[-M]", help="Look only at these loads of bronze.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a record's way: its deliveries, what became of each, and the marts that used it.

    Bronze has no partition by key: unless told which loads, all files that may have it are read.
    """
    from lakehouse.cli import showlineage, showtrace
    from lakehouse.lineage import trace as work
    from lakehouse.lineage.rows import typed_conditions, typed_key

    common: Context = context.obj
    contracts = common.contracts()
    name = table.removeprefix("silver.")
    (contract,) = contracts.select([name], "stream", "files", "pull")
    if bool(key) == bool(where):
        raise InputError(
            f"expected the values of {', '.join(contract.deduplicate.key)}, or --where "
            f"column=value; got {'both' if key else 'neither'}"
        )
    span = _span(loads)
    known = typed_key(contract, key) if key else typed_conditions(contract, where or [])
    aws = common.aws()
    with err.status("reading bronze"):
        wanted = known if key else work.find_key(aws, contract, known, span)
        found = work.trace(aws, contracts, contract, wanted, span)
    if as_json:
        showlineage.as_json(found)
    else:
        showtrace.print_trace(out, found)


def _span(text: str | None) -> LoadRange | None:
    from lakehouse.ingestion.ledger import LoadRange

    if text is None:
        return None
    match = _LOADS.fullmatch(text)
    first, last = (int(n) for n in (match[1], match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise InputError(f"--loads: got {text!r}, expected a load such as 7, or loads such as 3-9")
    return LoadRange(first, last)
