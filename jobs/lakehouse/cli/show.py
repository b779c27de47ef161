"""Prints what the commands found."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lakehouse.cli.query import Answer
from lakehouse.cli.status import DatasetStatus

_INTEGERS: Final = {"tinyint", "smallint", "integer", "bigint"}
_FLOATS: Final = {"float", "double", "real"}
_LEAST_ROUNDED: Final = 0.01
"""Smaller numbers keep all their digits."""
_COLOURS: Final = {"passed": "green", "set aside": "yellow", "held": "red"}


def answer(out: Console, found: Answer, form: Literal["table", "csv", "json"]) -> None:
    """The rows of a query as a table, CSV, or JSON lines."""
    if form == "json":
        for row in found.rows:
            cells = zip(found.columns, found.types, row, strict=True)
            record = {name: _typed(kind, value) for name, kind, value in cells}
            sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.columns)
        writer.writerows(found.rows)
    else:
        print_table(out, _rows_table(found))
        more = f"; there are more: --limit {10 * len(found.rows)}" if found.more else ""
        out.print(f"{count(len(found.rows), 'row')}{more}", style="dim")


def _typed(kind: str, value: str | None) -> Any:
    if value is None:
        return None
    if kind in _INTEGERS:
        return int(value)
    if kind in _FLOATS:
        return float(value)
    return value == "true" if kind == "boolean" else value


def _rows_table(found: Answer) -> Table:
    table = new_table()
    for name, kind in zip(found.columns, found.types, strict=True):
        right = kind in _INTEGERS | _FLOATS or kind.startswith("decimal")
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*(_cell(kind, v) for kind, v in zip(found.types, row, strict=True)))
    return table


def _cell(kind: str, value: str | None) -> Text:
    """A value to read; the other forms have it in full."""
    if value is None:
        return Text("null", "dim")
    if kind in _FLOATS and _LEAST_ROUNDED <= abs(float(value)) < math.inf:
        return Text(f"{float(value):.4f}".rstrip("0").rstrip("."))
    return Text(value)


def new_table() -> Table:
    """A table without lines, as every command prints it."""
    return Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))


def print_table(out: Console, table: Table) -> None:
    """Print a table; whole where nobody's window bounds it."""
    if not out.is_terminal:
        unbounded = out.options.update(max_width=100_000)
        out.width = max(out.width, Measurement.get(out, unbounded, table).maximum)
    out.print(table)


def status_json(lines: Sequence[DatasetStatus]) -> None:
    """The status as one JSON list."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(lines)).decode() + "\n")


def status_table(out: Console, lines: Sequence[DatasetStatus], now: datetime) -> None:
    """The status as a table, and below it what wants a person's eye."""
    table = new_table()
    table.add_column("dataset", no_wrap=True)
    for name in ("bronze", "rejected", "silver", "gold", "loaded", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for line in lines:
        rejected = _number(line.rejected)
        table.add_row(
            line.dataset,
            _number(line.bronze),
            f"[yellow]{rejected}[/]" if line.rejected else rejected,
            _number(line.silver),
            _number(line.gold),
            age(line.loaded_at, now),
            _checked_age(line, now),
            f"[{_COLOURS[line.verdict]}]{line.verdict}[/]" if line.verdict else "",
        )
    print_table(out, table)
    for line in lines:
        for note in _notes(line, now):
            out.print(note)


def _notes(line: DatasetStatus, now: datetime) -> Iterator[Text]:
    for load in line.set_aside:
        said = f" {line.dataset}: load {load.load} is set aside: {load.reason}"
        yield Text.assemble(("!", "yellow"), said)
    if line.held:
        ways = f"; what can be done: lakehouse loads list {line.dataset}"
        said = f" {line.dataset}: held: {line.held}{ways if line.source != 'mart' else ''}"
        yield Text.assemble(("!", "red"), said)
    elif line.waiting > 0:
        loads = count(line.waiting, "load")
        yield Text(f"  {line.dataset}: {loads} new: lakehouse run promote {line.dataset}")
    if line.fresh is False:
        yield Text.assemble(
            ("!", "red"),
            f" {line.dataset}: last published {age(line.changed_at, now)} ago, its SLA is "
            f"{line.freshness_hours:g} h",
        )


def changes(
    before: Sequence[DatasetStatus], after: Sequence[DatasetStatus]
) -> Iterator[tuple[str, str]]:
    """What a run did to each dataset: its name, and in words."""
    for was, now in zip(before, after, strict=True):
        done = [*_grown(was, now), *_decided(was, now)]
        yield now.dataset, "; ".join(done) if done else "nothing new"


def _grown(was: DatasetStatus, now: DatasetStatus) -> Iterator[str]:
    layers: Mapping[str, Callable[[DatasetStatus], int | None]] = {
        "bronze": lambda status: status.bronze,
        "silver": lambda status: status.silver,
        "gold": lambda status: status.gold,
    }
    for layer, rows in layers.items():
        have, had = rows(now), rows(was) or 0
        if have is not None and have != had:
            yield f"{layer} {have - had:+,} to {count(have, 'row')}"
    rejected = (now.rejected or 0) - (was.rejected or 0)
    if rejected > 0 and now.bronze != was.bronze:
        yield f"{rejected:,} of them rejected"


def _decided(was: DatasetStatus, now: DatasetStatus) -> Iterator[str]:
    known = {load.load for load in was.set_aside}
    for load in now.set_aside:
        if load.load not in known:
            yield f"load {load.load} set aside: {load.reason}"
    if now.held and now.held != was.held:
        yield f"held: {now.held}"
    elif now.gold is not None and now.gold == was.gold and now.changed_at != was.changed_at:
        yield f"gold built anew, {count(now.gold, 'row')}"


def _number(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"


def count(number: int, what: str) -> str:
    """A number of things, in the plural where it is one."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was, in its largest unit; empty for none."""
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _checked_age(line: DatasetStatus, now: datetime) -> str:
    old = age(line.changed_at, now)
    if line.fresh is None:
        return old
    return f"[green]{old}[/]" if line.fresh else f"[red]{old} late[/]"
