"""Prints how ingestion of a stream stands, and what became of loads."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console

from lakehouse.cli.show import age, count, new_table, print_table
from lakehouse.ingestion.ledger import Position
from lakehouse.ingestion.loadstatus import LoadStatus
from lakehouse.promotion.loadlist import LoadLine
from lakehouse.promotion.progress import Held

_RIGHT: Final = frozenset({"load", "good", "rejected"})
_COLOURS: Final = {"published": "green", "empty": "dim", "claimed": "yellow", "working": "cyan"}


def as_json(found: LoadStatus) -> None:
    """The status as one JSON object."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")


def tables(out: Console, found: LoadStatus, now: datetime) -> None:
    """The last loads, the open shards, and a line that says how far the stream is read."""
    if not found.loads:
        out.print(f"no load of {found.dataset} yet: lakehouse run ingest {found.dataset}")
        return
    loads = new_table()
    for name in ("load", "planned", "state", "parts", "good", "rejected", "MB", "seconds"):
        loads.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for line in found.loads:
        rejected = sum(line.rejected.values())
        loads.add_row(
            f"{line.load:,}",
            f"{age(line.planned_at, now)} ago",
            f"[{_COLOURS[line.state]}]{line.state}[/]",
            f"{line.claimed}/{line.parts}",
            f"{line.good:,}",
            f"[yellow]{rejected:,}[/]" if rejected else "0",
            f"{line.payload_bytes / 1e6:,.1f}",
            f"{line.stage_seconds:,.1f}",
        )
    print_table(out, loads)
    for line in found.loads:
        if line.accepted_loss:
            out.print(f"[yellow]![/] load {line.load}: accepted as lost: {line.accepted_loss}")
    out.print()
    shards = new_table()
    shards.add_column("shard", no_wrap=True)
    shards.add_column("read", no_wrap=True)
    shards.add_column("behind", justify="right", no_wrap=True)
    for shard in found.shards:
        behind = "not read yet" if shard.behind_ms is None else f"{shard.behind_ms / 1000:,.1f} s"
        shards.add_row(shard.shard, _read(shard.position), behind)
    print_table(out, shards)
    open_shards = count(len(found.shards), "open shard")
    through = f"read through {age(found.through, now)} ago" if found.through else "not read yet"
    worst = "" if found.worst_ms is None else f", at worst {found.worst_ms / 1000:,.1f} s behind"
    out.print(f"{count(found.planned, 'load')} of {found.dataset}, {open_shards}, {through}{worst}")


_FATES: Final = {
    "promoted": "green",
    "set aside": "yellow",
    "taken in": "cyan",
    "held": "red",
    "waiting": "cyan",
    "unfinished": "dim",
}


def lines_json(lines: Sequence[LoadLine]) -> None:
    """The loads as one JSON list."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(lines)).decode() + "\n")


def lines_table(out: Console, dataset: str, lines: Sequence[LoadLine], held: Held | None) -> None:
    """The loads with what became of each, the reasons, and what ends a hold."""
    if not lines:
        out.print(f"no load of {dataset} yet")
        return
    table = new_table()
    for name in ("load", "planned (UTC)", "from", "good", "rejected", "became"):
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    for line in lines:
        rejected = sum(line.rejected.values())
        table.add_row(
            f"{line.load:,}",
            f"{line.planned_at:%Y-%m-%d %H:%M:%S}",
            line.kind,
            f"{line.good:,}",
            f"[yellow]{rejected:,}[/]" if rejected else "0",
            f"[{_FATES[line.fate]}]{line.fate}[/]",
        )
    print_table(out, table)
    for line in lines:
        if line.why:
            out.print(f"load {line.load} {line.fate}: {line.why}", markup=False)
    if held is not None:
        out.print(
            f"held since {held.at[:19]} UTC; it ends by 'lakehouse loads approve {dataset} "
            f"{held.snapshot_id} --reason ...', 'lakehouse loads set-aside {dataset} "
            f"{held.load} --reason ...' or another version of the contract",
            markup=False,
        )
    fates = Counter(line.fate for line in lines)
    out.print(
        f"{count(len(lines), 'load')} of {dataset}: "
        + ", ".join(f"{n:,} {f}" for f, n in fates.items())
    )


def _read(position: Position) -> str:
    if position.kind == "after":
        return f"after {position.sequence}"
    return f"from {position.timestamp:%Y-%m-%dT%H:%M:%SZ}" if position.timestamp else "from start"
