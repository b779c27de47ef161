"""A reader that looks at main all the time and must never see a row that no gate let through."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from faults.batch.story import BAD
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.promotion.progress import read_state


class Reader:
    """Polls tables; ``unaudited`` says what it saw that nobody should have."""

    def __init__(self, aws: Aws, *tables: str) -> None:
        self._aws = aws
        self._tables = tables
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: set[int] = set()
        self.looks = 0
        self.outside: set[int] = set()
        """Snapshots that others made, which hold the same rows as the one before."""
        self.unaudited: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for name in self._tables:
                try:
                    self._look(name, self._aws.catalog().load_table(name))
                except NoSuchTableError:
                    continue
                except FileNotFoundError as error:
                    self.unaudited.append(f"{name}: a reader lost its file: {error}")

    def _look(self, name: str, table: Table) -> None:
        self.looks += 1
        snapshot = table.current_snapshot()
        if snapshot is None or snapshot.snapshot_id in self._seen:
            return
        published = {p.snapshot_id for p in read_state(table).publications}
        rows = table.scan().to_arrow()
        if "_load" in rows.column_names and any(a > BAD for a in rows["amount"].to_pylist()):
            self.unaudited.append(f"{name}: rows that fail the gate in {snapshot.snapshot_id}")
        if snapshot.snapshot_id not in published | self.outside:
            self.unaudited.append(f"{name}: {snapshot.snapshot_id} was never published")
        self._seen.add(snapshot.snapshot_id)
