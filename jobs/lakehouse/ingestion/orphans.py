"""Removes files that nothing needs: what crashes, refused commits and old snapshots left behind.

A file goes when it is old, no claim of an unpublished load names it and the table does not
reference it. That is safe while others plan, work, publish and compact, because of the order in
which it is found out. The published load is read first, then the files are listed. A task or a
compaction that is to name one of them later has written it before, so it runs for as long as the
file is old: longer than ``MINIMUM_AGE``, which no task does. Whoever named it earlier is seen, as
claims and references are read after the listing: a load that is published meanwhile is among both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from lakehouse.ingestion.ledger import Ledger

MINIMUM_AGE: Final = timedelta(days=3)
"""The age that makes a file removable: more than the longest task or compaction takes."""
SHORTEST_AGE: Final = timedelta(days=1)
"""The least that may be asked for in earnest."""


class StoredFile(msgspec.Struct, frozen=True):
    """A file as the object store lists it, by the path that claims and tables have of it."""

    path: str
    modified: datetime


class StoredFiles(Protocol):
    """Where a table's files lie; ``tablefiles.TableFiles`` is that on S3."""

    def files(self) -> Iterable[StoredFile]:
        """Every file below the table's location."""

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""


class Orphans(msgspec.Struct, frozen=True):
    """What a removal found: the orphans, in order; ``removed`` is False for a dry run."""

    paths: tuple[str, ...]
    removed: bool
    young: int
    """Files of no known use that were too young to judge."""


def remove_orphans(
    ledger: Ledger | None,
    files: StoredFiles,
    published: Callable[[], int],
    referenced: Callable[[], Collection[str]],
    now: datetime,
    *,
    minimum_age: timedelta = MINIMUM_AGE,
    shortest_age: timedelta = SHORTEST_AGE,
    dry_run: bool = False,
) -> Orphans:
    """Remove the files that are orphans at ``now``, the clock that files' times are measured by.

    ``published`` gives the load that the table holds, ``referenced`` every file of every snapshot
    that it keeps: the current one alone would take away what an older one still reads. A table
    that no loads are published to has no ``ledger``. Raises
    ValueError for an age below ``shortest_age``.
    """
    if minimum_age < shortest_age:
        raise ValueError(
            f"a minimum age of {minimum_age} is too short for orphans; files may belong to a task "
            f"that still runs: give at least {shortest_age}"
        )
    before = published()
    listed = list(files.files())
    named = frozenset(_claimed(ledger, before)) if ledger is not None else frozenset()
    needed = named.union(referenced())
    loose = [file for file in listed if file.path not in needed]
    orphans = sorted(file.path for file in loose if now - file.modified > minimum_age)
    if not dry_run:
        for path in orphans:
            files.remove(path)
    return Orphans(tuple(orphans), removed=not dry_run, young=len(loose) - len(orphans))


def _claimed(ledger: Ledger, published: int) -> Iterator[str]:
    """The files of every claim of the loads after one, also of those that are not complete."""
    for load in ledger.plans_after(published):
        plan = ledger.plan(load)
        for part in range(len(plan.parts) if plan else 0):
            claim = ledger.claim(load, part)
            if claim is not None:
                yield from (file.path for file in claim.files)
