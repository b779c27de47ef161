"""Prints what the commands found."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakehouse.query import Answer
from lakehouse.status import DatasetStatus

_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal", "real"}


def answer(out: Console, found: Answer, form: Literal["table", "csv", "json"]) -> None:
    """The rows of a query as a table, CSV or JSON lines."""
    if form == "json":
        for row in found.rows:
            record = dict(zip(found.columns, row, strict=True))
            out.print(msgspec.json.encode(record).decode(), markup=False, highlight=False)
    elif form == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(found.columns)
        writer.writerows(found.rows)
        out.print(text.getvalue(), end="", markup=False, highlight=False)
    else:
        table = Table(header_style="bold")
        for name, kind in zip(found.columns, found.types, strict=True):
            table.add_column(name, justify="right" if kind in _NUMBERS else "left")
        for row in found.rows:
            table.add_row(*("" if value is None else escape(value) for value in row))
        out.print(table)
        more = f" (there are more: --limit {2 * len(found.rows)})" if found.more else ""
        out.print(f"{len(found.rows)} rows{more}", style="dim")


def status_json(out: Console, lines: list[DatasetStatus]) -> None:
    """The status as one JSON list."""
    out.print(msgspec.json.encode(lines).decode(), markup=False, highlight=False)


def status_table(out: Console, prefix: str, lines: list[DatasetStatus], now: datetime) -> None:
    """The status as a table."""
    table = Table(title=prefix, header_style="bold", title_justify="left")
    table.add_column("dataset", no_wrap=True)
    table.add_column("source", no_wrap=True)
    for name in ("bronze", "silver", "gold", "loads", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last verdict")
    for line in lines:
        table.add_row(
            line.dataset,
            line.source,
            *(_count(n) for n in (line.bronze, line.silver, line.gold)),
            _loads(line),
            _age(line, now),
            _verdict(line),
        )
    out.print(table)


def _count(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"


def _loads(line: DatasetStatus) -> str:
    if line.load is None:
        return ""
    behind = line.load - (-1 if line.promoted is None else line.promoted)
    return f"{line.load + 1}" + (f" [yellow]{behind} new[/yellow]" if behind else "")


def _age(line: DatasetStatus, now: datetime) -> str:
    if line.changed_at is None:
        return ""
    minutes = int((now - line.changed_at).total_seconds() // 60)
    text = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    return text if line.fresh is not False else f"[red]{text}, late[/red]"


def _verdict(line: DatasetStatus) -> str:
    aside = ", ".join(map(str, line.set_aside))
    notes: list[Any] = []
    if line.verdict is not None:
        colour = "green" if line.verdict == "passed" else "red"
        notes.append(f"[{colour}]{escape(line.verdict)}[/{colour}]")
    if aside:
        notes.append(f"[yellow]load {aside} set aside[/yellow]")
    if line.held:
        notes.append(f"[red]held: {escape(line.held)}[/red]")
    return ", ".join(notes)
