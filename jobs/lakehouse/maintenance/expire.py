"""Expires snapshots that nobody needs any more, so that a table's metadata stays small.

What counts is when a snapshot ceased to be main's, not when it was made: whoever planned a query on
it just before has that long to finish. A checked table's snapshot lasts as long as main has its
rows, compacted or not, as it is by the snapshots in between that main is known as published.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf
from typing import Final

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import PublishConflictError
from lakehouse.naming import Layer
from lakehouse.promotion.progress import read_state
from lakehouse.tables import load_table

KEPT: Final[dict[Layer, timedelta]] = {
    "bronze": timedelta(days=1),
    "silver": timedelta(days=7),
    "gold": timedelta(days=7),
}
"""How long a snapshot can still be read after another took its place."""
SHORTEST: Final = timedelta(hours=12)
"""The least that may be asked for: longer than any job or query runs."""


class Expired(msgspec.Struct, frozen=True):
    """Snapshots that went, or would go, and those that stay."""

    expired: int
    kept: int


def pinned(aws: Aws, marts: Iterable[Contract]) -> dict[str, frozenset[int]]:
    """The snapshots that marts were made from, by table such as ``silver.flights``."""
    found: dict[str, set[int]] = {}
    for contract in marts:
        table = load_table(aws, "gold", contract.dataset)
        for name, snapshot in (read_state(table).inputs if table else {}).items():
            found.setdefault(name, set()).add(snapshot)
    return {name: frozenset(snapshots) for name, snapshots in found.items()}


def expirable(
    table: Table,
    pins: Collection[int],
    now: datetime,
    keep: timedelta,
    *,
    with_rows: bool = True,
) -> list[int]:
    """The snapshots that were replaced longer than ``keep`` ago and that nothing needs.

    Needed are main's own, the heads of branches and tags and all between them and main, what is
    held and what it was made from, and the ``pins``. ``with_rows``: a snapshot whose files were
    only rewritten does not count as replaced. Raises ValueError for less than SHORTEST.
    """
    if keep < SHORTEST:
        raise ValueError(
            f"{'.'.join(table.name())}: snapshots are kept for {keep}, a query may run longer; "
            f"give at least {SHORTEST}"
        )
    needed = frozenset((*pins, *_needed(table)))
    ended = _ended(table, with_rows=with_rows)
    limit = (now.astimezone(UTC) - keep).timestamp() * 1000
    return [
        snapshot.snapshot_id
        for snapshot in table.metadata.snapshots
        if snapshot.snapshot_id not in needed
        and ended.get(snapshot.snapshot_id, snapshot.timestamp_ms) < limit
    ]


def expire(
    table: Table,
    pins: Collection[int],
    now: datetime,
    *,
    keep: timedelta,
    with_rows: bool,
    dry_run: bool,
) -> Expired:
    """Expire what is expirable now; PublishConflictError where the commit was refused."""
    found = expirable(table, pins, now, keep, with_rows=with_rows)
    if found and not dry_run:
        try:
            table.maintenance.expire_snapshots().by_ids(found).commit()
        except CommitFailedException as error:
            raise PublishConflictError(
                f"{'.'.join(table.name())}: the table moved while snapshots were expired; nothing "
                "was changed, the next run tries again"
            ) from error
    return Expired(len(found), len(table.metadata.snapshots) - (len(found) if dry_run else 0))


def _needed(table: Table) -> Iterator[int]:
    state = read_state(table)
    main = state.base
    if state.held is not None:
        yield state.held.snapshot_id
        if state.held.base is not None:
            yield state.held.base
    if main is not None:
        yield main
    ancestors = set(line(table, main))
    for ref in table.metadata.refs.values():
        # A candidate is published only if its line leads to what it was made from.
        for snapshot in line(table, ref.snapshot_id):
            yield snapshot
            if snapshot in ancestors:
                break


def line(table: Table, snapshot_id: int | None) -> Iterator[int]:
    """A snapshot and those that it descends from, newest first."""
    at = snapshot_id
    while at is not None and (snapshot := table.metadata.snapshot_by_id(at)) is not None:
        yield at
        at = snapshot.parent_snapshot_id


def _ended(table: Table, *, with_rows: bool) -> dict[int, float]:
    """When each snapshot ceased to be main's, in milliseconds since 1970; infinite: not yet."""
    log = table.metadata.snapshot_log
    ended: dict[int, float] = {log[-1].snapshot_id: inf} if log else {}
    for entry, after in reversed(list(pairwise(log))):
        same = with_rows and _rewritten(table, after.snapshot_id)
        ended[entry.snapshot_id] = ended[after.snapshot_id] if same else after.timestamp_ms
    return ended


def _rewritten(table: Table, snapshot_id: int) -> bool:
    """Whether a snapshot has the rows of the one before it, in other files."""
    snapshot = table.metadata.snapshot_by_id(snapshot_id)
    summary = snapshot.summary if snapshot else None
    return summary is not None and summary.operation == Operation.REPLACE
