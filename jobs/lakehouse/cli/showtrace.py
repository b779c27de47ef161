"""Prints the way of one record."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from lakehouse.cli.show import count
from lakehouse.cli.showlineage import utc
from lakehouse.lineage.maybe import At
from lakehouse.lineage.trace import Trace, TracedDelivery

_COLOURS: Final = {
    "kept": "green",
    "superseded": "dim",
    "replaced": "dim",
    "rejected": "yellow",
    "set aside": "yellow",
    "held": "red",
    "waiting": "cyan",
    "taken in": "cyan",
}
_SETTLED: Final = frozenset({"superseded", "replaced"})
_MOST_SETTLED: Final = 20
"""Deliveries shown of those that silver has others for."""


def print_trace(out: Console, found: Trace) -> None:
    """Rows, deliveries in order of arrival, rejects that may be it, publications, marts, notes."""
    key = ", ".join(f"{name} {_value(value)}" for name, value in found.key.items())
    tree = Tree(Text.assemble((found.dataset, "bold"), f" {key}"))
    _rows(tree, found)
    came = count(len(found.deliveries), "delivery").replace("deliverys", "deliveries")
    within = f" in loads {found.loads.first}-{found.loads.last}" if found.loads else ""
    branch = tree.add(f"bronze: {came}{within}, newest load {found.in_bronze}")
    old = [item for item in found.deliveries if item.outcome in _SETTLED][:-_MOST_SETTLED]
    hidden = {id(item) for item in old}
    for delivery in found.deliveries:
        if id(delivery) not in hidden:
            _delivery(branch, delivery)
    if old:
        earlier = count(len(old), "earlier one")
        branch.add(Text(f"{earlier}, superseded or replaced: --json", "dim"))
    _rejects(tree, found)
    if found.publications:
        branch = tree.add("publications")
    for item in found.publications:
        outcome = {True: "passed", False: "failed", None: "unknown"}[item.passed]
        word = f", approved by {item.approval.by}" if item.approval else ""
        branch.add(
            Text(
                f"{item.number}: snapshot {item.snapshot_id}, {utc(item.at)}, run "
                f"{item.run_id}, verdict {outcome}{word}: {item.verdict}"
            )
        )
    for mart in found.marts:
        label = tree.add(Text.assemble((mart.table, "bold"), f": {mart.why}"))
        if mart.uses:
            where = f", in {mart.rows_of}" if mart.rows_of else ""
            label.add(Text(f"in it since its publication {mart.since}{where}", "green"))
        if mart.snapshot_id is not None:
            label.add(Text(f"now at snapshot {mart.snapshot_id}, {utc(mart.at)}"))
    for note in found.notes:
        tree.add(Text(f"! {note}", "yellow"))
    if not out.is_terminal:
        out.width = 100_000
    out.print(tree)


def _rows(tree: Tree, found: Trace) -> None:
    if not found.rows:
        tree.add(Text(f"silver: no row of it; silver has come to load {found.promoted}", "yellow"))
        return
    branch = tree.add(f"silver: {count(len(found.rows), 'row')}")
    for row in found.rows:
        values = ", ".join(f"{name} {_value(value)}" for name, value in row.values.items())
        by = (
            "a publication older than the list"
            if row.publication is None
            else f"publication {row.publication}"
        )
        branch.add(Text(values)).add(
            Text(f"load {row.load}, {row.source}, {row.sequence}, {row.index}; by {by}", "dim")
        )


def _delivery(tree: Tree, item: TracedDelivery) -> None:
    at = item.at
    event = f", event time {item.event_time:%Y-%m-%d %H:%M:%S}" if item.event_time else ""
    replay = f", attempt {at.attempt}" if at.attempt else ""
    line = Text.assemble(
        (item.outcome, _COLOURS[item.outcome]), f": {item.why}", ("" if item.good else " (reject)")
    )
    line.append(f"; load {at.load}{replay}, arrived {item.arrived_at:%Y-%m-%d %H:%M:%S}{event}")
    branch = tree.add(line)
    branch.add(Text(_place(at), "dim"))
    if item.by is not None:
        branch.add(Text(f"in its place: load {item.by.load}, {_place(item.by)}", "dim"))


def _rejects(tree: Tree, found: Trace) -> None:
    searched = f"{count(found.rejects_searched, 'reject')} searched for the key's text, "
    searched += "which is all" if found.rejects_all else "which is not all: --loads"
    if not found.rejects:
        tree.add(Text(f"rejects: none that may be it; {searched}", "dim"))
        return
    branch = tree.add(Text(f"rejects that may be it: {len(found.rejects)}; {searched}"))
    for item in found.rejects:
        branch.add(
            Text(
                f"load {item.at.load}, arrived {item.arrived_at:%Y-%m-%d %H:%M:%S}, {item.code}: "
                f"{item.detail}; {_place(item.at)}"
            )
        )


def _place(at: At) -> str:
    return f"{at.source}, {at.sequence}, {at.index}"


def _value(value: str | None) -> str:
    return "null" if value is None else value
