"""Prints the tree of what a snapshot was made from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from lakehouse.cli.show import count
from lakehouse.ingestion.ledger import LoadRange, Position
from lakehouse.lineage.brought import Brought, LoadGroup
from lakehouse.lineage.published import Published
from lakehouse.lineage.tree import Node

_OBJECTS: Final = 10
_KINDS: Final = {
    "stream": "from the stream",
    "files": "from files",
    "replay": "replays of rejects",
    "unknown": "not in the ledger",
}


def as_json(found: object) -> None:
    """A finding as one JSON object."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")


def utc(at: str) -> str:
    """An ISO 8601 time to read."""
    return f"{at[:19].replace('T', ' ')} UTC"


def print_tree(out: Console, found: Node, *, every: bool) -> None:
    """The tree; ``every`` lists all objects instead of the newest."""
    tree = Tree(_title(found))
    _fill(tree, found, every)
    if not out.is_terminal:
        out.width = 100_000
    out.print(tree)


def _title(node: Node) -> Text:
    title = Text.assemble((node.table, "bold"), f" at snapshot {node.snapshot_id}")
    return title.append(f"  {node.note}", "yellow") if node.note else title


def _fill(tree: Tree, node: Node, every: bool) -> None:
    if node.published is not None:
        for line in _publication(node.published):
            tree.add(line)
    for below in node.inputs:
        _fill(tree.add(_title(below)), below, every)
    if node.brought is not None:
        _loads(tree, node.brought, every)


def _publication(found: Published) -> Iterator[Text]:
    number = "publication" if found.number is None else f"publication {found.number}"
    what = f"{number}, {utc(found.at)}"
    if found.rebuilt:
        what += ", made anew as a whole"
    if found.rows is not None:
        what += f", {count(found.rows, 'row')} ({found.rows_added:+,})"
    yield Text(what)
    if found.compacted:
        yield Text(f"the snapshot has the rows of {found.snapshot_id}, compacted", "dim")
    if found.known == "verdict":
        yield Text("older than the table's list of publications: known by its verdict", "dim")
    if found.known == "time":
        yield Text(
            "the snapshot is gone without a trace: this is the newest publication before it was "
            "used",
            "yellow",
        )
    code = found.code or "not told"
    yield Text(f"run {found.run_id}, code {code}, contract {found.contract_version}")
    passed = {True: ("passed", "green"), False: ("failed", "red"), None: ("unknown", "yellow")}
    yield Text.assemble("verdict ", passed[found.passed], f" ({found.reason}): {found.verdict}")
    for check in found.failing:
        yield Text(
            f"  {check.outcome}: {check.name} is {check.value}, expected {check.threshold}", "red"
        )
    if (word := found.approval) is not None:
        yield Text(f"approved by {word.by}, {utc(word.at)}: {word.reason}", "yellow")


def _loads(tree: Tree, found: Brought, every: bool) -> None:
    title = f"{count(found.loads, 'load')} of bronze.{found.dataset}"
    if found.left_out:
        title += f"; not in it: {', '.join(_span(span) for span in found.left_out)}"
    if not found.exact:
        title += "; loads that were set aside then may be among them"
    branch = tree.add(title)
    skipped = [group for group in found.groups if not group.resolved]
    if skipped:
        spans = ", ".join(_span(LoadRange(group.first, group.last)) for group in skipped[:5])
        more = f" and {len(skipped) - 5} more ranges" if len(skipped) > 5 else ""
        loads = count(sum(group.loads for group in skipped), "older load")
        branch.add(Text(f"{spans}{more}: {loads}, not looked up: --all", "dim"))
    for group in found.groups:
        if group.resolved:
            _group(branch.add(_group_title(group)), group, every)


def _group_title(group: LoadGroup) -> Text:
    span = _span(LoadRange(group.first, group.last))
    title = Text(f"{'load' if group.loads == 1 else 'loads'} {span}: {_KINDS[group.kind]}")
    if group.kind != "unknown":
        title.append(f", {group.good:,} good, {sum(group.rejected.values()):,} rejected")
        if group.rejected:
            codes = ", ".join(f"{code} {number:,}" for code, number in group.rejected.items())
            title.append(f" ({codes})", "yellow")
    if group.empty:
        title.append(f", {count(group.empty, 'load')} empty", "dim")
    if group.through is not None:
        title.append(f", all read that arrived until {_time(group.through)}")
    elif group.planned_to is not None:
        title.append(f", planned {_time(group.planned_to)}")
    return title


def _group(tree: Tree, group: LoadGroup, every: bool) -> None:
    for shard in group.shards:
        end = f" to {shard.end.sequence}" if shard.end.sequence else ": nothing read"
        closed = ", its end" if shard.closed else ""
        tree.add(Text(f"{shard.shard} {_position(shard.start)}{end}{closed}"))
    shown = group.objects if every else group.objects[-_OBJECTS:]
    if len(shown) < len(group.objects):
        hidden = count(len(group.objects) - len(shown), "older object")
        tree.add(Text(f"{hidden}: --all", "dim"))
    for item in shown:
        tree.add(
            Text(
                f"{item.key} version {item.version}, {item.size:,} bytes, arrived "
                f"{_time(item.arrived_at)}"
            )
        )
    for replay in group.replays:
        of = ", ".join(_span(span) for span in replay.of) or "none"
        which = ", ".join(replay.codes) or "any reason"
        tree.add(
            Text(
                f"load {replay.load} replays rejects ({which}) of loads {of} by contract "
                f"{replay.contract_version}"
            )
        )
    for lost in group.accepted_loss:
        tree.add(Text(f"accepted as lost: {lost}", "red"))


def _span(span: LoadRange) -> str:
    return f"{span.first}" if span.first == span.last else f"{span.first}-{span.last}"


def _position(position: Position) -> str:
    if position.kind == "after":
        return f"after {position.sequence}"
    if position.timestamp is not None:
        return f"from {_time(position.timestamp)}"
    return "from its start"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
