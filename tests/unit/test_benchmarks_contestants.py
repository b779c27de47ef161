from __future__ import annotations

import threading
from pathlib import Path

import httpx
import numpy as np
import pyarrow.dataset as pads

from benchmarks import data
from benchmarks.contestants import bound, limit
from benchmarks.contestants.run import Run
from benchmarks.estate import PREFIX
from benchmarks.httpd import Server
from benchmarks.latency import waits
from benchmarks.replay import SERVE, Replay
from benchmarks.watch import Seen
from lakehouse import naming

SPEC = data.Spec(records=25_000, size=254, start=1_700_000_000.0, step=0.001)


def told(bids: data.Bids, scratch: Path, kinesis: str = "") -> Run:
    return Run(bids, 4, "", str(scratch), kinesis, "", "")


def test_the_bound_reads_and_writes_every_record(tmp_path: Path) -> None:
    run = told(data.make(SPEC, tmp_path), tmp_path)
    assert bound.work(run, [0, 2]) + bound.work(run, [1, 3]) == SPEC.records
    rows = pads.dataset(list((tmp_path / "bound").rglob("*.parquet"))).to_table()
    assert rows.num_rows == SPEC.records
    assert rows["_reject"].null_count == SPEC.records - run.bids.malformed
    payloads = {payload for payload, _ in data.payloads(SPEC)}
    assert set(rows["_payload"].to_pylist()) == payloads
    assert len(set(rows["_sequence"].to_pylist())) == SPEC.records


def test_the_limit_writes_every_record_that_is_not_malformed(tmp_path: Path) -> None:
    (tmp_path / "limit").mkdir()
    bids = data.make(SPEC, tmp_path)
    with Server(Replay()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        asked = {"Folder": bids.folder, "First": 0, "Last": SPEC.records, "Shards": 4}
        asked["StreamName"] = naming.stream(PREFIX, "bids")
        httpx.post(server.url, headers={"X-Amz-Target": SERVE}, json=asked).raise_for_status()
        fetched = limit.work(told(bids, tmp_path, server.url), range(4))
        server.shutdown()
        thread.join()
    rows = pads.dataset(tmp_path / "limit").to_table()
    assert fetched == SPEC.records
    assert rows.num_rows == SPEC.records - bids.malformed
    assert rows["auction"].null_count == 0


def test_a_record_waits_for_the_first_state_that_holds_its_load() -> None:
    seen = [Seen(10.0, 0, -1), Seen(11.0, 5, 0), Seen(14.0, 20, 2)]
    found = waits(np.array([10.5, 11.0, 12.0]), np.array([0, 1, 2]), seen)
    assert found.tolist() == [0.5, 3.0, 2.0]
