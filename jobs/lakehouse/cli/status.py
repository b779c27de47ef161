"""How each dataset stands: rows by layer, rejects, freshness, last verdict. From metadata alone."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from pyiceberg.conversions import from_bytes
from pyiceberg.table import Table
from pyiceberg.types import IntegerType

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.icetable import LOAD
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.rejects import count_rejects
from lakehouse.promotion.progress import SetAside, State, read_state
from lakehouse.promotion.verdict import Verdict, read_verdict
from lakehouse.tables import load_table

_THREADS: Final = 8
_CHEAP_MANIFESTS: Final = 64
"""Bronze tables with more are not asked for their rejects: each manifest is a read of its own."""


class DatasetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset; None where it has no such layer, nothing is there yet, or asking costs much."""

    dataset: str
    source: str
    bronze: int | None = None
    rejected: int | None = None
    """Of the rows of bronze."""
    silver: int | None = None
    gold: int | None = None
    load: int | None = None
    """The last load in bronze."""
    promoted: int | None = None
    """Every load up to this one is in silver or set aside."""
    set_aside: tuple[SetAside, ...] = ()
    held: str | None = None
    loaded_at: datetime | None = None
    changed_at: datetime | None = None
    """When the checked table, silver or gold, was last published."""
    fresh: bool | None = None
    """Whether that is as recent as the SLA wants; None without SLA."""
    freshness_hours: float | None = None
    verdict: Literal["passed", "set aside", "held"] | None = None
    """The last one that counts."""

    @property
    def waiting(self) -> int:
        """Loads in bronze that silver has not dealt with."""
        if self.load is None:
            return 0
        return self.load - (-1 if self.promoted is None else self.promoted)


def all_status(aws: Aws, contracts: Iterable[Contract], now: datetime) -> list[DatasetStatus]:
    """The status of each dataset, in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda contract: dataset_status(aws, contract, now), contracts))


def dataset_status(aws: Aws, contract: Contract, now: datetime) -> DatasetStatus:
    """The status of one dataset."""
    tables = {layer: load_table(aws, layer, contract.dataset) for layer in contract.layers}
    bronze, checked = tables.get("bronze"), tables[contract.checked_layer]
    state = read_state(checked) if checked else None
    base = state.base if state else None
    changed_at = _changed_at(checked)
    hours = contract.sla.freshness_hours
    return DatasetStatus(
        dataset=contract.dataset,
        source=contract.source,
        bronze=_rows(bronze),
        rejected=_rejected(bronze),
        silver=_rows(tables.get("silver")),
        gold=_rows(tables.get("gold")),
        load=int(bronze.properties[LOAD]) if bronze and LOAD in bronze.properties else None,
        promoted=state.promoted if state and state.promoted >= 0 else None,
        set_aside=state.set_aside if state else (),
        held=state.held.reason if state and state.held else None,
        loaded_at=_changed_at(bronze),
        changed_at=changed_at,
        fresh=(now - changed_at).total_seconds() <= hours * 3600 if hours and changed_at else None,
        freshness_hours=hours,
        verdict=_last(state, read_verdict(aws, contract.dataset, base) if base else None),
    )


def _rows(table: Table | None) -> int | None:
    snapshot = table.current_snapshot() if table else None
    if snapshot is None or snapshot.summary is None:
        return None
    return int(snapshot.summary["total-records"] or 0)


def _rejected(bronze: Table | None) -> int | None:
    """Rows with a reason why they are no good, by the null counts that manifests keep."""
    snapshot = bronze.current_snapshot() if bronze else None
    if bronze is None or snapshot is None:
        return None
    manifests = snapshot.manifests(bronze.io)
    if len(manifests) > _CHEAP_MANIFESTS:
        return None
    code = bronze.schema().find_field("_reject.code").field_id
    attempt = bronze.schema().find_field("_attempt").field_id
    rejected = 0
    for manifest in manifests:
        for entry in manifest.fetch_manifest_entry(bronze.io):
            highest = (entry.data_file.upper_bounds or {}).get(attempt)
            if highest is not None and from_bytes(IntegerType(), highest):
                # Something was replayed: what counts of a position takes a look at the rows.
                counts = count_rejects(bronze, RejectFilter()).values()
                return sum(sum(codes.values()) for codes in counts)
            nulls = (entry.data_file.null_value_counts or {}).get(code)
            if nulls is None:
                return None
            rejected += entry.data_file.record_count - nulls
    return rejected


def _changed_at(table: Table | None) -> datetime | None:
    snapshot = table.current_snapshot() if table else None
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None


def _last(
    state: State | None, published: Verdict | None
) -> Literal["passed", "set aside", "held"] | None:
    if state is None:
        return None
    if state.held:
        return "held"
    passed_at = datetime.fromisoformat(published.checked_at) if published else None
    if state.set_aside:
        aside_at = datetime.fromisoformat(state.set_aside[-1].at)
        if passed_at is None or aside_at > passed_at:
            return "set aside"
    return "passed" if passed_at else None
