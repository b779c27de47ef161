"""The tree of what a published snapshot was made from, down to shards and objects."""

from __future__ import annotations

import msgspec

from lakehouse.aws import Aws
from lakehouse.errors import EstateError, InputError
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.lineage.brought import Brought, loads_up_to, ranges, resolve
from lakehouse.lineage.published import Lake, Published
from lakehouse.naming import Layer
from lakehouse.promotion.progress import State


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A table at a snapshot. ``note`` says what is not known, or why the tree ends here.

    ``inputs`` of gold are tables, ``brought`` of silver are loads.
    """

    table: str
    snapshot_id: int
    published: Published | None = None
    inputs: tuple[Node, ...] = ()
    brought: Brought | None = None
    note: str = ""


def lineage(
    aws: Aws, table: str, *, snapshot_id: int | None, depth: int | None, most: int | None
) -> Node:
    """The tree from a table's snapshot, None: main's.

    ``depth`` bounds the levels of inputs below it, ``most`` the newest loads of each table that
    the ledger is asked for (a plan and its claims each); None: all. Raises InputError for a name
    that is none of a checked table, EstateError where the table has no snapshot.
    """
    layer, dataset = checked_table(table)
    lake = Lake(aws)
    found = lake.table(layer, dataset)
    head = found[1].base if found else None
    start = head if snapshot_id is None else snapshot_id
    if found is None or start is None:
        step = "promote" if layer == "silver" else "marts"
        raise EstateError(
            f"{table}: nothing is published yet; lakehouse run {step} {dataset} does it"
        )
    return _Tree(lake, most).node(layer, dataset, start, before="", depth=depth)


def checked_table(name: str) -> tuple[Layer, str]:
    """Layer and dataset of a name such as ``gold.route_punctuality``."""
    layer, _, dataset = name.partition(".")
    if layer == "bronze" and dataset:
        raise InputError(
            f"{name}: bronze is where the tree ends; ask for silver.{dataset}, or what became of "
            f"its loads: lakehouse loads list {dataset}"
        )
    if layer not in {"silver", "gold"} or not dataset:
        raise InputError(f"got {name!r}, expected a table such as silver.flights")
    return ("silver" if layer == "silver" else "gold"), dataset


class _Tree:
    def __init__(self, lake: Lake, most: int | None) -> None:
        self._lake = lake
        self._most = most
        self._shown: set[tuple[str, int]] = set()

    def node(
        self, layer: Layer, dataset: str, snapshot_id: int, *, before: str, depth: int | None
    ) -> Node:
        table = f"{layer}.{dataset}"
        found = self._lake.publication(layer, dataset, snapshot_id, before=before)
        if isinstance(found, str):
            return Node(table=table, snapshot_id=snapshot_id, note=found)
        bare = Node(table=table, snapshot_id=snapshot_id, published=found)
        if depth == 0:
            return msgspec.structs.replace(bare, note="not followed further: --depth")
        if (table, found.snapshot_id) in self._shown:
            return msgspec.structs.replace(bare, note="see above")
        self._shown.add((table, found.snapshot_id))
        progress = self._lake.table(layer, dataset)
        if layer == "silver" and progress is not None:
            brought = self._brought(dataset, found, progress[1])
            return msgspec.structs.replace(bare, brought=brought)
        below = None if depth is None else depth - 1
        inputs = tuple(
            self.node(*checked_table(name), head, before=found.at, depth=below)
            for name, head in sorted(found.inputs.items())
        )
        return msgspec.structs.replace(bare, inputs=inputs)

    def _brought(self, dataset: str, published: Published, state: State) -> Brought:
        kept, left_out, exact = loads_up_to(published, state)
        groups = resolve(open_ledger(self._lake.aws, dataset), kept, self._most)
        return Brought(dataset, len(kept), groups, ranges(left_out), exact)
