"""A bronze Iceberg table as the load engine sees it."""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import HTTPClientError
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table

from lakehouse.bronze import data_file
from lakehouse.errors import PublishConflictError
from lakehouse.ledger import ClaimedFile
from lakehouse.loads import TableState

LOAD = "lakehouse.load"
LEDGER = "lakehouse.ledger"


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
                with transaction.update_snapshot(properties).fast_append() as append:
                    for file in files:
                        append.append_data_file(data_file(self.table, file))
                transaction.set_properties(properties)
        except CommitFailedException as error:
            raise PublishConflictError(f"the catalog refused the commit: {error}") from error
        except (CommitStateUnknownException, HTTPClientError) as error:
            raise PublishConflictError(
                f"the commit got no answer ({error}); the table is read to see if it took effect"
            ) from error


def _state(table: Table) -> TableState:
    return TableState(int(table.properties.get(LOAD, "-1")), table.properties.get(LEDGER) or None)
