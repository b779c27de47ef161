"""A bronze Iceberg table as the load engine sees it."""

from __future__ import annotations

from collections.abc import Sequence

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table
from pyiceberg.table.update.snapshot import ExpireSnapshots

from lakehouse.errors import PublishConflictError
from lakehouse.ingestion.bronze import data_file
from lakehouse.ingestion.ledger import ClaimedFile
from lakehouse.ingestion.loads import TableState
from lakehouse.store import NO_ANSWER

LOAD = "lakehouse.load"
LEDGER = "lakehouse.ingestion.ledger"
KEPT_SNAPSHOTS = 20
"""Newest snapshots that a commit leaves in the metadata, which would grow with every load. A commit
takes 0.1 s with 20 of them, 0.3 s with 100, as PyIceberg copies the metadata many times.

The files of those forgotten stay for whoever reads them, until maintenance removes orphans.
"""


class IcebergLoadTable:
    """Publishes loads with one PyIceberg transaction: files and progress in the same commit."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def state(self) -> TableState:
        """See LoadTable."""
        self.table.refresh()
        return _state(self.table)

    def append(self, seen: TableState, files: Sequence[ClaimedFile], becomes: TableState) -> None:
        """See LoadTable.

        The commit asserts the snapshot of main that ``seen`` was read with, and Glue compares the
        version of the table's entry, so that a commit in between is a conflict.
        """
        if _state(self.table) != seen:
            raise PublishConflictError(f"the table is at load {_state(self.table).load} by now")
        properties = {LOAD: str(becomes.load), LEDGER: becomes.ledger or ""}
        try:
            with self.table.transaction() as transaction:
                with transaction.update_snapshot(properties).merge_append() as append:
                    for file in files:
                        append.append_data_file(data_file(self.table, file))
                forgotten = _old_snapshots(self.table)
                if forgotten:
                    with ExpireSnapshots(transaction) as expire:
                        expire.by_ids(forgotten)
                transaction.set_properties(properties)
        except CommitFailedException as error:
            raise PublishConflictError(f"the catalog refused the commit: {error}") from error
        except (CommitStateUnknownException, *NO_ANSWER) as error:
            raise PublishConflictError(
                f"the commit got no answer ({error}); the table is read to see if it took effect"
            ) from error


def _old_snapshots(table: Table) -> list[int]:
    """The snapshots beyond the newest, but those that a branch or tag holds."""
    held = {ref.snapshot_id for ref in table.metadata.refs.values()}
    newest_first = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number or 0)[::-1]
    return [s.snapshot_id for s in newest_first[KEPT_SNAPSHOTS:] if s.snapshot_id not in held]


def _state(table: Table) -> TableState:
    return TableState(int(table.properties.get(LOAD, "-1")), table.properties.get(LEDGER) or None)
