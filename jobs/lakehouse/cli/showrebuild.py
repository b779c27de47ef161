"""Prints rebuilds, differences and maintenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


def as_json(said: object) -> None:
    """What was said, as one JSON document."""
    typer.echo(json.dumps(said, indent=1))


def told(out: Console, table: str, said: Mapping[str, Any], options: str) -> None:
    """What a rebuild, its publication or its end came to, and what can be done next."""
    if "difference" in said:
        _difference(out, said["difference"])
        branch = said["rebuild"]["branch"]
        out.print(f"it waits on branch {branch}", markup=False)
        for what in ("publish", "drop"):
            given = options if what == "publish" else ""
            out.print(f"next: lakehouse rebuild {table} --{what} {branch}{given}", style="dim")
    elif "published" in said:
        done = said["published"]
        out.print(f"{table}: snapshot {done['snapshot_id']} is published", markup=False)
        out.print(f"verdict {done['verdict']}", style="dim")
    elif "as_of" in said:
        aside = ", ".join(str(load) for load in said["set_aside"]) or "none"
        out.print(
            f"{table} would be made from the loads up to {said['as_of']} (left out: {aside}); "
            f"bronze has {said['bronze_rows']:,} rows, {said['bronze_megabytes']:,} MB; "
            f"published are {said['rows']:,}"
        )
    elif "inputs" in said:
        inputs = ", ".join(f"{name} at {number}" for name, number in said["inputs"].items())
        out.print(f"{table} would be made from {inputs}", markup=False)
    else:
        branch = said.get("dropped") or said.get("would_drop")
        word = "is dropped" if "dropped" in said else "would be dropped"
        out.print(f"{table}: branch {branch}, snapshot {said['snapshot']}, {word}", markup=False)


def maintained(out: Console, tables: Sequence[Mapping[str, Any]], *, dry_run: bool) -> None:
    """A line for each table, and below what was left out."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column(
        "table", no_wrap=True, min_width=max((len(i["table"]) for i in tables), default=0)
    )
    for name in ("branches", "snapshots", "orphans", "small", "became", "MB", "partitions"):
        shown.add_column(name, justify="right")
    for item in tables:
        snapshots = item.get("snapshots") or {"expired": 0, "kept": 0}
        work = item.get("compacted") or {}
        shown.add_row(
            item["table"],
            f"{len(item.get('branches', []))}",
            f"{snapshots['expired']:,} of {snapshots['expired'] + snapshots['kept']:,}",
            f"{item.get('orphans', 0):,}",
            f"{work.get('files_before', 0):,}",
            "" if work.get("files_after") is None else f"{work['files_after']:,}",
            f"{work.get('rewritten_bytes', 0) / 1e6:,.1f}",
            f"{work.get('partitions', 0):,} of {work.get('partitions', 0) + work.get('left', 0):,}",
        )
    out.print(shown)
    for item in tables:
        for step, why in item.get("skipped", {}).items():
            out.print(Text(f"{item['table']}: {step} left out: {why}", "yellow"))
    if dry_run:
        out.print("a dry run: nothing was changed; --run does it", style="dim")


def _difference(out: Console, found: Mapping[str, Any]) -> None:
    rows = f"{found['rows_before']:,} rows before, {found['rows_after']:,} after"
    if not (found["added"] or found["removed"] or found["changed"]):
        out.print(Text.assemble(("no difference", "green"), f" to {found['table']}: {rows}"))
        return
    out.print(
        f"against {found['table']}: {found['added']:,} added, {found['removed']:,} removed, "
        f"{found['changed']:,} changed; {rows}"
    )
    changed = (f"{name} {count:,}" for name, count in found["columns"].items())
    if found["columns"]:
        out.print(Text(f"changed by column: {', '.join(changed)}"))
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "row", "column", "before", "after"):
        shown.add_column(name, overflow="fold")
    for sample in found["samples"]:
        key = ", ".join(f"{name}={value}" for name, value in sample["key"].items())
        for number, (name, (before, after)) in enumerate(sample["columns"].items()):
            shown.add_row(
                Text("" if number else sample["kind"], _COLOURS[sample["kind"]]),
                Text("" if number else key),
                Text(name),
                Text("null" if before is None else before),
                Text("null" if after is None else after),
            )
    out.print(shown)


_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}
