"""The rejects of a dataset as people ask for them: counts by load and reason, and single rows."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

import msgspec
import pyarrow as pa

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.preview import detail_preview, payload_preview
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.rejects import count_rejects, deliveries, newest_rejects
from lakehouse.tables import load_table

_ORDER: Final = (
    ("_load", "descending"),
    ("_arrived_at", "ascending"),
    ("_source", "ascending"),
    ("_sequence", "ascending"),
    ("_index", "ascending"),
)


class LoadRejects(msgspec.Struct, frozen=True):
    """The rejects of a load by reason, and how many deliveries it brought; none in a replay."""

    load: int
    deliveries: int
    rejected: dict[str, int]


class RejectList(msgspec.Struct, frozen=True):
    """The rejects of a dataset that count now, by load, and all deliveries that were looked at.

    ``deliveries`` is what came in the loads and time asked for, good and rejected.
    """

    dataset: str
    deliveries: int
    loads: tuple[LoadRejects, ...]

    @property
    def by_reason(self) -> dict[str, int]:
        """The rejects by reason, the most frequent first."""
        total: Counter[str] = Counter()
        for load in self.loads:
            total.update(load.rejected)
        return dict(total.most_common())


class RejectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One reject with its position; classified values in ``detail`` and ``payload`` are masked."""

    load: int
    attempt: int
    source: str
    sequence: str
    index: int
    arrived_at: datetime
    code: str
    detail: str
    payload: str
    """The beginning of it."""


def list_rejects(aws: Aws, contract: Contract, which: RejectFilter) -> RejectList:
    """The rejects of a dataset; no payload is read."""
    table = load_table(aws, "bronze", contract.dataset)
    if table is None:
        return RejectList(contract.dataset, 0, ())
    counts = count_rejects(table, which)
    came = deliveries(table, which)
    lines = (
        LoadRejects(load, came[load], dict(counts[load].most_common())) for load in sorted(counts)
    )
    return RejectList(contract.dataset, came.total(), tuple(lines))


def show_rejects(
    aws: Aws, contract: Contract, which: RejectFilter, limit: int
) -> tuple[list[RejectRow], int]:
    """The first rejects of the newest loads, and how many there are in all."""
    table = load_table(aws, "bronze", contract.dataset)
    counts = {} if table is None else count_rejects(table, which)
    if table is None or not counts:
        return [], 0
    bounds = msgspec.structs.replace(which, first=_newest(counts, limit), last=max(counts))
    kept: pa.Table | None = None
    for batch in newest_rejects(table, bounds, None, ("_payload", "_arrived_at")):
        rows = pa.Table.from_batches([batch])
        rows = rows if kept is None else pa.concat_tables([kept, rows])
        kept = rows.sort_by(list(_ORDER)).slice(0, limit)
    total = sum(codes.total() for codes in counts.values())
    return [_row(row, contract) for row in (kept.to_pylist() if kept else [])], total


def _newest(counts: dict[int, Counter[str]], limit: int) -> int:
    """The load from which on there are as many rejects as asked for."""
    seen = 0
    for load in sorted(counts, reverse=True):
        seen += counts[load].total()
        if seen >= limit:
            return load
    return min(counts)


def _row(row: dict[str, object], contract: Contract) -> RejectRow:
    found = msgspec.convert(row, _Row)
    said = Reject(found.reject.code, found.reject.detail or "")
    return RejectRow(
        load=found.load,
        attempt=found.attempt,
        source=found.source,
        sequence=found.sequence,
        index=found.index,
        arrived_at=found.arrived_at,
        code=said.code,
        detail=detail_preview(said, contract),
        payload=payload_preview(found.payload or b"", contract),
    )


class _Said(msgspec.Struct):
    code: str
    detail: str | None


class _Row(msgspec.Struct, rename=lambda name: f"_{name}"):
    load: int
    attempt: int
    source: str
    sequence: str
    index: int
    arrived_at: datetime
    reject: _Said
    payload: bytes | None
