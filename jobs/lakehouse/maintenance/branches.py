"""Branches of rebuilds: named so that their age can be told, kept until somebody decides."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from lakehouse.errors import InputError, PublishConflictError

PREFIX: Final = "rebuild_"
LIFE: Final = timedelta(days=14)
"""Age after which nobody will publish a rebuild any more: main has moved long since."""

_STAMP: Final = "%Y%m%dT%H%M%S"
_STAMPED: Final = re.compile(rf"{PREFIX}.*_(\d{{8}}T\d{{6}})")
_log = structlog.get_logger(__name__)


def rebuild_branch(run_id: str, now: datetime) -> str:
    """Name of the branch of one rebuild."""
    run = re.sub(r"\W", "_", run_id)
    return f"{PREFIX}{run}_{now.astimezone(UTC):{_STAMP}}"


def rebuild_branches(table: Table) -> list[str]:
    """The branches of rebuilds that a table has, by name."""
    return sorted(name for name in table.metadata.refs if name.startswith(PREFIX))


def dead_rebuilds(table: Table, now: datetime) -> Iterator[str]:
    """The branches of rebuilds older than LIFE."""
    for name in rebuild_branches(table):
        stamp = _STAMPED.fullmatch(name)
        if stamp and now - datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC) > LIFE:
            yield name


def require_rebuild(table: Table, branch: str) -> int:
    """The snapshot that a rebuild's branch is at; InputError where there is no such branch."""
    found = table.metadata.refs.get(branch)
    if found is None or not branch.startswith(PREFIX):
        known = ", ".join(rebuild_branches(table)) or "none"
        raise InputError(
            f"{'.'.join(table.name())} has no rebuild on a branch {branch!r}; it has: {known}"
        )
    return found.snapshot_id


def finish(table: Table, work: str, branch: str) -> int:
    """Give the branch that a rebuild was made on its own name; the snapshot it is at.

    Until then it has the name of an attempt that died, so that no half of a rebuild is taken for
    one.
    """
    head = table.metadata.refs[work].snapshot_id
    try:
        table.manage_snapshots().create_branch(head, branch).remove_branch(work).commit()
    except CommitFailedException as error:
        raise PublishConflictError(
            f"{'.'.join(table.name())}: the table moved while the rebuild was finished; rebuild "
            "again"
        ) from error
    return head


def drop_branch(table: Table, branch: str) -> None:
    """Drop a rebuild's branch. PublishConflictError where it moved or the commit was refused."""
    require_rebuild(table, branch)
    try:
        table.manage_snapshots().remove_branch(branch).commit()
    except CommitFailedException as error:
        with contextlib.suppress(KeyError):
            if branch not in table.refresh().metadata.refs:
                return
        raise PublishConflictError(
            f"{'.'.join(table.name())}: the table moved while branch {branch} was dropped; "
            "drop it again"
        ) from error
    _log.info("rebuild dropped", table=".".join(table.name()), branch=branch)
