"""A store and a table in memory, with the faults that the real ones have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lakehouse.errors import PublishConflictError, TransientError
from lakehouse.ingestion.ledger import ClaimedFile
from lakehouse.ingestion.loads import TableState


class MemoryStore:
    """A store whose puts may be told to time out, before or after they took effect."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: list[str] = []
        """Consumed one a put: "", "lost" (timed out, not done) or "done" (timed out, done)."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise TransientError("the put got no answer")
        fresh = key not in self.objects
        self.objects.setdefault(key, body)
        if fault == "done":
            raise TransientError("the put got no answer")
        return fresh

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def list(self, prefix: str, after: str = "") -> list[str]:
        return sorted(k for k in self.objects if k.startswith(prefix) and k > after)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


class MemoryTable:
    """A table that appends under compare-and-swap; ``meddle`` runs between reading and writing."""

    def __init__(self) -> None:
        self.now = TableState(-1, None)
        self.version = 0
        self.files: list[ClaimedFile] = []
        self.meddle: Callable[[], None] | None = None
        self._seen = 0

    def state(self) -> TableState:
        self._seen = self.version
        return self.now

    def append(self, seen: TableState, files: Sequence[ClaimedFile], becomes: TableState) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle:
            meddle()
        if self.version != self._seen or self.now != seen:
            raise PublishConflictError("the table moved")
        self.files.extend(files)
        self.now = becomes
        self.version += 1
