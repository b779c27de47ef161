"""Prints how ingestion of a stream stands."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console

from lakehouse.cli.show import age, count, new_table, print_table
from lakehouse.ingestion.ledger import Position
from lakehouse.ingestion.loadstatus import LoadStatus

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


def _read(position: Position) -> str:
    if position.kind == "after":
        return f"after {position.sequence}"
    return f"from {position.timestamp:%Y-%m-%dT%H:%M:%SZ}" if position.timestamp else "from start"
