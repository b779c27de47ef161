"""A table's metadata stays as large as it is, however many loads it has had."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.decoding.decode import RowDecoder
from lakehouse.ingestion import icetable
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.icetable import IcebergLoadTable
from lakehouse.ingestion.ledger import ClaimedFile, Part, Plan
from lakehouse.ingestion.loads import TableState
from lakehouse.tables import ensure_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def one_file(table: IcebergLoadTable, contract: Contract, load: int) -> ClaimedFile:
    plan = Plan(load=load, made_at=NOW, parts=(Part(),))
    writer, decoder = BronzeWriter(table.table, contract, plan, 0), RowDecoder(contract)
    payloads = [b'{"carrier": "UA", "name": "United"}']
    rows, rejects = decoder.json(payloads)
    writer.add(
        columns=decoder.columns(rows), rejects=rejects, payloads=payloads, source="s",
        sequences=str(load), indexes=0, partition_keys=None, arrived_at=NOW,
    )  # fmt: skip
    (file,) = writer.claim().files
    return file


def test_snapshots_and_manifests_are_bounded_and_every_row_stays(
    aws: Aws, contracts: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icetable, "KEPT_SNAPSHOTS", 5)
    contract = contracts["airlines"]
    table = IcebergLoadTable(ensure_table(aws, contract, "bronze"))
    held = None
    for load in range(60):
        seen = table.state()
        table.append(seen, [one_file(table, contract, load)], TableState(load, "ledger"))
        if load == 2:
            snapshot = table.table.current_snapshot()
            assert snapshot is not None
            held = snapshot.snapshot_id
            table.table.manage_snapshots().create_tag(held, "kept").commit()
    found = table.table.refresh()
    snapshot = found.current_snapshot()
    assert snapshot is not None
    assert len(found.metadata.snapshots) == 5 + 2, "the newest, the one added, the one held"
    assert held in {s.snapshot_id for s in found.metadata.snapshots}
    assert len(snapshot.manifests(found.io)) < 50
    assert sorted(int(s) for s in found.scan().to_arrow()["_sequence"].to_pylist()) == list(
        range(60)
    )
    assert table.state() == TableState(59, "ledger")
