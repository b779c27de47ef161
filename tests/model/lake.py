"""A store, data files and a table in memory, with the answers that the real ones give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from model.scheduler import Scheduler, Violation

from lakehouse.errors import PublishConflictError, TransientError
from lakehouse.ingestion.ledger import ClaimedFile
from lakehouse.ingestion.loads import TableState
from lakehouse.ingestion.orphans import StoredFile

PUT_FAULTS: Final = ("refused", "lost", "unanswered", "late", "sent twice")
COMMIT_FAULTS: Final = ("lost", "unanswered", "late", "sent twice")


@dataclass(frozen=True)
class Row:
    """A delivery in the table, the load that brought it, and which attempt at it that is."""

    load: int
    sequence: int
    attempt: int = 0

    @property
    def rejected(self) -> bool:
        """Every third record is no good before it is replayed."""
        return self.attempt == 0 and self.sequence % 3 == 0


class InFlight:
    """Calls whose caller has given up, which take effect when it pleases the network."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, call: Callable[[], object]) -> None:
        self.calls.append((what, call))


class Ledgers:
    """See Store: the first body under a key stays, whatever is answered."""

    def __init__(self, scheduler: Scheduler, in_flight: InFlight) -> None:
        self.objects: dict[str, bytes] = {}
        self.made_at: dict[str, datetime] = {}
        self._scheduler = scheduler
        self._in_flight = in_flight
        self._first: dict[str, bytes] = {}

    def put_if_absent(self, key: str, body: bytes) -> bool:
        fault = self._scheduler.call(f"put {key}", PUT_FAULTS)
        if fault in {"refused", "lost"}:
            raise TransientError("409" if fault == "refused" else "the put got no answer")
        if fault == "late":
            self._in_flight.add(f"put {key}", lambda: self._put(key, body))
            raise TransientError("the put got no answer")
        made = self._put(key, body)
        if fault == "unanswered":
            raise TransientError("the put got no answer")
        return made and fault != "sent twice"

    def get(self, key: str) -> bytes | None:
        if self._scheduler.call(f"get {key}", ("unanswered",)):
            raise TransientError("the get got no answer")
        return self.objects.get(key)

    def list(self, prefix: str, after: str = "") -> list[str]:
        if self._scheduler.call(f"list {prefix}", ("unanswered",)):
            raise TransientError("the list got no answer")
        return sorted(k for k in self.objects if k.startswith(prefix) and k > after)

    def delete(self, key: str) -> None:
        raise Violation(f"something deletes ledger entry {key}")

    def check(self) -> None:
        """Raises Violation when an entry is not what it was first."""
        for key, body in self.objects.items():
            if self._first.setdefault(key, body) != body:
                raise Violation(f"ledger entry {key} changed")

    def _put(self, key: str, body: bytes) -> bool:
        fresh = key not in self.objects
        self.objects.setdefault(key, body)
        self.made_at.setdefault(key, self._scheduler.now)
        self.check()
        return fresh


class Disk:
    """Data files: what is there now, and the rows of all that ever were."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.modified: dict[str, datetime] = {}
        self.rows: dict[str, tuple[Row, ...]] = {}
        self.removed: Callable[[], None] = lambda: None
        """Told of each removal."""
        self._scheduler = scheduler

    def write(self, stem: str, rows: Sequence[Row]) -> str:
        self._scheduler.call(f"write {stem} with {len(rows)} rows")
        path = f"{stem}#{len(self.rows)}"
        self.modified[path] = self._scheduler.now
        self.rows[path] = tuple(rows)
        return path

    def remove(self, path: str) -> None:
        self._scheduler.call(f"remove {path}")
        self.modified.pop(path, None)
        self.removed()

    def files(self) -> list[StoredFile]:
        self._scheduler.call("list data files")
        return [StoredFile(path, modified) for path, modified in sorted(self.modified.items())]


@dataclass(frozen=True)
class Version:
    """The table after a commit."""

    number: int
    state: TableState
    files: frozenset[str]


class Table:
    """The table itself; ``Commits`` is one process's view of it."""

    def __init__(self, scheduler: Scheduler, in_flight: InFlight, disk: Disk) -> None:
        self.scheduler = scheduler
        self.in_flight = in_flight
        self.disk = disk
        self.now = Version(0, TableState(-1, None), frozenset())
        self.kept: list[Version] = [self.now]
        disk.removed = self.check_files

    def swap(self, seen: Version, state: TableState, files: frozenset[str]) -> bool:
        """A commit: False when the table has moved since ``seen``."""
        if seen.number != self.now.number:
            return False
        if state.load < self.now.state.load:
            raise Violation(f"the table went from load {self.now.state.load} to {state.load}")
        if not files >= self.now.files and self.rows(files) != self.rows(self.now.files):
            raise Violation("a commit removed rows")
        self.now = Version(seen.number + 1, state, files)
        self.kept.append(self.now)
        self.check()
        return True

    def check(self) -> None:
        """Raises Violation when a row is there twice, or a file is not there that should be."""
        rows = self.rows(self.now.files)
        twice = (
            {row for row in rows if rows.count(row) > 1} if len(set(rows)) < len(rows) else set()
        )
        if twice:
            raise Violation(f"records {sorted(twice)} are in the table twice")
        self.check_files()

    def check_files(self) -> None:
        gone = self.referenced() - self.disk.modified.keys()
        if gone:
            raise Violation(f"the table references {sorted(gone)}, deleted")

    def referenced(self) -> frozenset[str]:
        """The files of every version that is still kept."""
        return frozenset().union(*(version.files for version in self.kept))

    def rows(self, files: frozenset[str]) -> list[tuple[int, int]]:
        """Sequence number and attempt of each row."""
        found = (row for path in files for row in self.disk.rows[path])
        return sorted((row.sequence, row.attempt) for row in found)

    def rejects(self, upto: int) -> list[Row]:
        """The rejects that no replay up to a load has replaced."""
        rows = [row for path in self.now.files for row in self.disk.rows[path] if row.load <= upto]
        replayed = {row.sequence for row in rows if row.attempt}
        return [row for row in rows if row.rejected and row.sequence not in replayed]


class Commits:
    """See LoadTable: asserts what was read last, as a catalog client does."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._seen = table.now

    def state(self) -> TableState:
        if self._table.scheduler.call("read the table", ("unanswered",)):
            raise TransientError("the catalog got no answer")
        self._seen = self._table.now
        return self._seen.state

    def append(self, seen: TableState, files: Sequence[ClaimedFile], becomes: TableState) -> None:
        table, base = self._table, self._seen
        fault = table.scheduler.call(f"commit load {becomes.load} on {base.number}", COMMIT_FAULTS)
        if base.state != seen:
            raise PublishConflictError("the table is at another load by now")

        def commit() -> bool:
            added = [file.path for file in files]
            if base.number == table.now.number and table.now.files.intersection(added):
                raise Violation(f"load {becomes.load} adds files again: {added}")
            return table.swap(base, becomes, base.files | set(added))

        if fault == "late":
            table.in_flight.add(f"commit of load {becomes.load}", commit)
        # A client that sends again is told of a conflict with its own commit.
        if fault in {"lost", "late"} or not commit() or fault in {"unanswered", "sent twice"}:
            raise PublishConflictError("no answer, or a conflict")
