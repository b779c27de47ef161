"""Reads the rejects of a bronze table: those that count now, by load and reason.

A position may have several rows, an attempt each; the newest counts. Files are pruned by the bounds
of ``_load`` and by their having a reject at all, and payloads are read only where they are asked
for, so that counting costs a few columns of the files that hold rejects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg import expressions
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.tables import load_table

# Their declared types do not fit how they are called.
_is: Final[Any] = expressions
POSITION: Final = ("_source", "_sequence", "_index", "_attempt")
"""What tells a row of bronze from every other: its position, and which attempt at it this is."""


def reject_counts(
    aws: Aws, contract: Contract, loads: Sequence[int], upto: int | None = None
) -> dict[int, dict[str, int]]:
    """Rejects that count as of load ``upto``, by load and reason; loads without have no entry."""
    table = load_table(aws, "bronze", contract.dataset)
    if table is None or not loads:
        return {}
    found = count_rejects(table, RejectFilter(first=min(loads), last=max(loads)), upto)
    return {load: dict(found[load]) for load in sorted(found.keys() & set(loads))}


def count_rejects(
    table: Table, which: RejectFilter, upto: int | None = None
) -> dict[int, Counter[str]]:
    """The rejects that count as of load ``upto``, by load and reason."""
    counts: dict[int, Counter[str]] = {}
    for batch in newest_rejects(table, which, upto, ()):
        pairs = pa.table({"load": batch["_load"], "code": batch["_reject"].field("code")})
        for row in pairs.group_by(["load", "code"]).aggregate([([], "count_all")]).to_pylist():
            counts.setdefault(row["load"], Counter())[row["code"]] += row["count_all"]
    return counts


def newest_rejects(
    table: Table, which: RejectFilter, upto: int | None, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rejects that no later attempt up to load ``upto`` replaces, a data file at a time.

    With their position, ``_load``, ``_reject`` and ``columns``. Kept in memory meanwhile are the
    positions of all rows that replays have brought since the first of the loads asked for.
    """
    replaced = _replaced(table, which, upto)
    wanted = (*POSITION, "_load", "_reject", *columns)
    for batch in _rows(table, _meets(which, upto), wanted):
        kept = batch
        if len(replaced):
            kept = batch.filter(pc.invert(pc.is_in(_keys(batch, 0), value_set=replaced)))
        if kept.num_rows:
            yield kept


def deliveries(table: Table, which: RejectFilter) -> Counter[int]:
    """First attempts by load, good and rejected: what came in the filter's loads and time.

    By the bounds that manifests keep where those suffice, else by the column.
    """
    condition = _all(_is.LessThan("_attempt", 1), _between(which), *_arrived(which))
    timed = which.since is not None or which.until is not None
    counted = None if timed else _by_manifests(table, condition)
    if counted is not None:
        return counted
    found: Counter[int] = Counter()
    for batch in _rows(table, condition, ("_load",)):
        for item in pc.value_counts(batch["_load"]).to_pylist():
            found[item["values"]] += item["counts"]
    return found


def _by_manifests(table: Table, condition: expressions.BooleanExpression) -> Counter[int] | None:
    """Rows by load, None where a file holds several loads or attempts."""
    load, attempt = (table.schema().find_field(n).field_id for n in ("_load", "_attempt"))
    found: Counter[int] = Counter()
    for task in table.scan(row_filter=condition).plan_files():
        of, tried = (_only_value(task.file, field) for field in (load, attempt))
        if of is None or tried != 0 or task.delete_files:
            return None
        found[of] += task.file.record_count
    return found


def _only_value(file: DataFile, field: int) -> int | None:
    low, high = (bounds.get(field) for bounds in (file.lower_bounds, file.upper_bounds))
    if low is None or low != high:
        return None
    return int.from_bytes(low, "little", signed=True)


def _rows(
    table: Table, condition: expressions.BooleanExpression, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows that meet a condition; a data file at a time, as a scan would hold them all."""
    scan = table.scan(row_filter=condition, selected_fields=tuple(columns))
    reader = ArrowScan(table.metadata, table.io, scan.projection(), condition)
    for task in scan.plan_files():
        yield from reader.to_record_batches([task])


def _replaced(table: Table, which: RejectFilter, upto: int | None) -> pa.Array:
    """The keys of all rows, of those that may meet the filter, that have a later attempt."""
    later = _is.GreaterThan("_load", which.first or 0), *_at_most(upto), *_arrived(which)
    condition = _all(_is.GreaterThanOrEqual("_attempt", 1), *later)
    parts = [_keys(batch, 1) for batch in _rows(table, condition, POSITION)]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _keys(batch: pa.RecordBatch, earlier: int) -> pa.Array:
    """One text a row for its position and attempt, or for the attempt so many earlier."""
    attempt = pc.subtract(batch["_attempt"], pa.scalar(earlier, pa.int32()))
    columns = (batch["_source"], batch["_sequence"], batch["_index"], attempt)
    # Only a source may hold a line break, and it comes first, so no two positions look alike.
    return pc.binary_join_element_wise(*(column.cast(pa.string()) for column in columns), "\n")


def _meets(which: RejectFilter, upto: int | None) -> expressions.BooleanExpression:
    codes = [_is.In("_reject.code", which.codes)] if which.codes else []
    return _all(
        _is.NotNull("_reject.code"), *codes, *_at_most(upto), *_arrived(which), _between(which)
    )


def _arrived(which: RejectFilter) -> list[expressions.BooleanExpression]:
    """By when the record arrived, which is the same for every attempt."""
    found: list[expressions.BooleanExpression] = []
    if which.since is not None:
        found.append(_is.GreaterThanOrEqual("_arrived_at", _instant(which.since)))
    if which.until is not None:
        found.append(_is.LessThan("_arrived_at", _instant(which.until)))
    return found


def _between(which: RejectFilter) -> expressions.BooleanExpression:
    return _all(_is.GreaterThanOrEqual("_load", which.first or 0), *_at_most(which.last))


def _at_most(load: int | None) -> list[expressions.BooleanExpression]:
    return [] if load is None else [_is.LessThanOrEqual("_load", load)]


def _all(
    first: expressions.BooleanExpression, *others: expressions.BooleanExpression
) -> expressions.BooleanExpression:
    found = first
    for other in others:
        found = _is.And(found, other)
    return found


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
