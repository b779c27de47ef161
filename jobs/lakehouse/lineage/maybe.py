"""Rejects that may be a record: a reject has no columns, so its payload is searched."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
import pyarrow as pa
from pyiceberg.table import Table

from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.preview import detail_preview
from lakehouse.ingestion.ledger import LoadRange, RejectFilter
from lakehouse.ingestion.rejects import newest_rejects
from lakehouse.lineage.rows import position_of

_MOST_REJECTS: Final = 20
_MOST_SEARCHED: Final = 100_000


class At(msgspec.Struct, frozen=True, order=True):
    """A delivery's place in bronze."""

    load: int
    source: str
    sequence: str
    index: int
    attempt: int


class MaybeReject(msgspec.Struct, frozen=True):
    """A reject whose payload holds the key's values as text."""

    at: At
    arrived_at: datetime
    code: str
    detail: str


def maybe_rejects(
    bronze: Table, contract: Contract, key: Iterable[str], loads: LoadRange | None
) -> tuple[tuple[MaybeReject, ...], int, bool]:
    """Rejects that hold the key's values, how many were searched, and whether that were all."""
    which = RejectFilter(first=loads.first, last=loads.last) if loads else RejectFilter()
    texts = [text.encode() for text in key]
    found: list[MaybeReject] = []
    searched = 0
    for batch in newest_rejects(bronze, which, None, ("_payload", "_arrived_at")):
        for row in pa.Table.from_batches([batch]).to_pylist():
            if searched == _MOST_SEARCHED or len(found) == _MOST_REJECTS:
                return tuple(sorted(found, key=lambda item: item.at)), searched, False
            searched += 1
            payload = row["_payload"] or b""
            if all(text in payload for text in texts):
                reject = Reject(row["_reject"]["code"], row["_reject"]["detail"] or "")
                at = At(row["_load"], *position_of(row), row["_attempt"])
                shown = detail_preview(reject, contract)
                found.append(MaybeReject(at, row["_arrived_at"], reject.code, shown))
    return tuple(sorted(found, key=lambda item: item.at)), searched, True
