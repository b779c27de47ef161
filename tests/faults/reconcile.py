"""Compares what bronze holds with what was sent: every delivery once, in order, rejects marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from faults.traffic import BAD, event
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

_COLUMNS: Final = [
    "_payload",
    "_source",
    "_sequence",
    "_index",
    "_partition_key",
    "_load",
    "_reject",
]


class Finding(msgspec.Struct, frozen=True):
    """What is wrong; all of it empty when nothing is."""

    lost: int = 0
    repeated: int = 0
    strange: int = 0
    """Rows of no event, or in the wrong place: rejected though good, or the other way round."""
    disordered: tuple[str, ...] = ()
    """Keys whose records are not in the order sent, or not in the order of loads."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self == Finding()

    @property
    def words(self) -> str:
        """For a line of progress."""
        return (
            f"lost {self.lost}, repeated {self.repeated}, strange {self.strange}, "
            f"keys out of order {len(self.disordered)}"
        )


class Reconciler:
    """Follows one table; each look costs what is new in it, unless something does not add up."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._last: dict[str, tuple[tuple[str, int], int, int]] = {}
        self._whole = 0

    def look(self, table: Table, sent: int) -> Finding:
        """Compare with the first ``sent`` events; a whole comparison where files were rewritten."""
        fresh = [s for s in table.snapshots() if s.snapshot_id not in self._seen]
        appended = all(s.summary and s.summary.operation.value == "append" for s in fresh)
        if not appended or visible(table) != sent:
            return self.look_at_all(table, sent)
        files = _files_of(table, {s.snapshot_id for s in fresh})
        finding, last = compare(_rows(table, files), range(self._whole, sent), self._last)
        if not finding.clean:
            return self.look_at_all(table, sent)
        self._keep(table, sent, last)
        return finding

    def look_at_all(self, table: Table, sent: int) -> Finding:
        """Compare every row of the table."""
        files = [task.file for task in table.scan().plan_files()]
        finding, last = compare(_rows(table, files), range(sent), {})
        self._keep(table, sent, last)
        return finding

    def _keep(self, table: Table, sent: int, last: Mapping[str, Any]) -> None:
        self._seen = {s.snapshot_id for s in table.snapshots()}
        self._last = dict(last)
        self._whole = sent


Last = tuple[tuple[str, int], int, int]
"""Position, number and load of a key's last record."""


def compare(
    rows: pa.Table, numbers: range, before: Mapping[str, Last]
) -> tuple[Finding, dict[str, Last]]:
    """What is wrong with the rows of the events of these numbers, after those of before."""
    expected = {event(number).payload: number for number in numbers}
    times: Counter[int] = Counter()
    strange = 0
    keyed: list[tuple[str, Last]] = []
    positions: Counter[tuple[str, str, int]] = Counter()
    for row in rows.select(_COLUMNS).to_pylist():
        number = expected.get(row["_payload"])
        if number is None:
            strange += 1
            continue
        times[number] += 1
        positions[row["_source"], row["_sequence"], row["_index"]] += 1
        code = (row["_reject"] or {}).get("code")
        strange += code != (None if number % BAD else "range")
        position = (row["_source"], int(row["_sequence"]))
        keyed.append((row["_partition_key"], (position, number, row["_load"])))
    repeated = sum(count - 1 for count in times.values())
    repeated = max(repeated, sum(count - 1 for count in positions.values()))
    disordered, last = _in_order(keyed, before)
    finding = Finding(len(expected) - len(times), repeated, strange, tuple(sorted(disordered)))
    return finding, last


def _in_order(
    keyed: Iterable[tuple[str, Last]], before: Mapping[str, Last]
) -> tuple[set[str], dict[str, Last]]:
    last = dict(before)
    disordered = set()
    # By shard and sequence: a shard's name ascends from parent to child.
    for key, (position, number, load) in sorted(keyed):
        if key in last and not (number > last[key][1] and load >= last[key][2]):
            disordered.add(key)
        if key in last and position <= last[key][0]:
            disordered.add(key)
        last[key] = (position, number, load)
    return disordered, last


def visible(table: Table) -> int:
    """Rows that a reader of the table's present snapshot finds."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary["total-records"] or 0)


def _files_of(table: Table, snapshots: set[int]) -> list[DataFile]:
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    return [
        entry.data_file
        for manifest in manifests
        if manifest.added_snapshot_id in snapshots
        for entry in manifest.fetch_manifest_entry(table.io)
    ]


def _rows(table: Table, files: Iterable[DataFile]) -> pa.Table:
    read = []
    for file in files:
        with table.io.new_input(file.file_path).open() as source:
            read.append(pq.read_table(source, columns=_COLUMNS))
    empty = pa.table({name: [] for name in _COLUMNS})
    return pa.concat_tables(read) if read else empty
