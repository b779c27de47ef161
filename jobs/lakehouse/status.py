"""How each dataset stands: rows by layer, freshness, last verdict. From metadata alone."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contract import Contract
from lakehouse.icetable import LOAD
from lakehouse.progress import read_state
from lakehouse.tables import load_table
from lakehouse.verdict import read_verdicts


class DatasetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the status; None where the dataset has no such layer or nothing is there yet."""

    dataset: str
    source: str
    bronze: int | None = None
    silver: int | None = None
    gold: int | None = None
    load: int | None = None
    promoted: int | None = None
    set_aside: tuple[int, ...] = ()
    held: str | None = None
    changed_at: datetime | None = None
    fresh: bool | None = None
    """Whether the checked table is younger than its SLA allows."""
    verdict: str | None = None


def dataset_status(aws: Aws, contract: Contract, now: datetime) -> DatasetStatus:
    """The status of one dataset."""
    tables = {layer: load_table(aws, layer, contract.dataset) for layer in contract.layers}
    bronze, checked = tables.get("bronze"), tables[contract.checked_layer]
    state = read_state(checked) if checked else None
    changed_at = _changed_at(checked)
    hours = contract.sla.freshness_hours
    return DatasetStatus(
        dataset=contract.dataset,
        source=contract.source,
        bronze=_rows(bronze),
        silver=_rows(tables.get("silver")),
        gold=_rows(tables.get("gold")),
        load=int(bronze.properties[LOAD]) if bronze and LOAD in bronze.properties else None,
        promoted=state.promoted if state and state.promoted >= 0 else None,
        set_aside=tuple(s.load for s in state.set_aside) if state else (),
        held=state.held.reason if state and state.held else None,
        changed_at=changed_at,
        fresh=(now - changed_at).total_seconds() <= hours * 3600 if hours and changed_at else None,
        verdict=_verdict(aws, contract),
    )


def _rows(table: Table | None) -> int | None:
    snapshot = table.current_snapshot() if table else None
    if snapshot is None or snapshot.summary is None:
        return None
    return int(snapshot.summary["total-records"] or 0)


def _changed_at(table: Table | None) -> datetime | None:
    snapshot = table.current_snapshot() if table else None
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None


def _verdict(aws: Aws, contract: Contract) -> str | None:
    verdicts = read_verdicts(aws, contract.dataset)
    if not verdicts:
        return None
    last = verdicts[-1]
    return "passed" if last.passed else f"failed: {last.reason}"
