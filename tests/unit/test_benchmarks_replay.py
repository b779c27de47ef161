from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import msgspec
import pytest

from benchmarks import data
from benchmarks.httpd import Server
from benchmarks.replay import SERVE, Replay

BACKLOG = data.Spec(records=1000, size=254, start=1_700_000_000.0, step=0.01)


@pytest.fixture
def url() -> Iterator[str]:
    with Server(Replay()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture
def kinesis(url: str) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def serve(url: str, bids: data.Bids, shards: int) -> None:
    asked = {
        "StreamName": "bids",
        "Folder": bids.folder,
        "First": 0,
        "Last": bids.spec.records,
        "Shards": shards,
    }
    httpx.post(url, headers={"X-Amz-Target": SERVE}, json=asked).raise_for_status()


def iterator(kinesis: Any, shard: str, **start: Any) -> str:
    answer = kinesis.get_shard_iterator(StreamName="bids", ShardId=shard, **start)
    found: str = answer["ShardIterator"]
    return found


def test_boto3_reads_every_record_of_every_shard_once(
    url: str, kinesis: Any, tmp_path: Path
) -> None:
    bids = data.make(BACKLOG, tmp_path)
    serve(url, bids, shards=3)
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName="bids")["Shards"]]
    read = []
    for shard in shards:
        at, behind = iterator(kinesis, shard, ShardIteratorType="TRIM_HORIZON"), 1
        while behind:
            page = kinesis.get_records(ShardIterator=at, Limit=100)
            assert len(page["Records"]) <= 100
            at, behind = page["NextShardIterator"], page["MillisBehindLatest"]
            read += page["Records"]
        assert kinesis.get_records(ShardIterator=at)["Records"] == []
    assert len(shards) == 3
    assert [record["Data"] for record in read] == [payload for payload, _ in data.payloads(BACKLOG)]
    assert [record["SequenceNumber"] for record in read] == [data.sequence(n) for n in range(1000)]


def test_positions_go_on_where_they_say(url: str, kinesis: Any, tmp_path: Path) -> None:
    serve(url, data.make(BACKLOG, tmp_path), shards=2)
    after = iterator(
        kinesis,
        "shardId-000000000001",
        ShardIteratorType="AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber=data.sequence(700),
    )
    page = kinesis.get_records(ShardIterator=after, Limit=1)
    assert page["Records"][0]["SequenceNumber"] == data.sequence(701)
    assert page["MillisBehindLatest"] == (999 - 701) * 10
    since = iterator(
        kinesis,
        "shardId-000000000000",
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=1_700_000_001.0,
    )
    page = kinesis.get_records(ShardIterator=since, Limit=1)
    assert page["Records"][0]["SequenceNumber"] == data.sequence(100)


def test_a_record_is_not_there_before_it_arrives(url: str, kinesis: Any, tmp_path: Path) -> None:
    live = msgspec.structs.replace(BACKLOG, start=time.time() - 5, step=1.0)
    serve(url, data.make(live, tmp_path), shards=1)
    start = iterator(kinesis, "shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    page = kinesis.get_records(ShardIterator=start)
    last = page["Records"][-1]["ApproximateArrivalTimestamp"].timestamp()
    assert 5 < len(page["Records"]) < 1000
    assert last <= time.time() < last + 900
    assert page["MillisBehindLatest"] == 0


def test_a_missing_stream_is_said(kinesis: Any) -> None:
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException, match="no stream bids"):
        kinesis.list_shards(StreamName="bids")


def test_bids_are_as_ordered(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(BACKLOG, records=20_000)
    bids = data.make(spec, tmp_path)
    kinds = [kind for _, kind in data.payloads(spec)]
    sizes = {len(payload) for payload, kind in data.payloads(spec) if kind != "malformed"}
    assert sizes == {254}
    assert bids.malformed == kinds.count("malformed") == pytest.approx(200, rel=0.3)
    assert bids.repeated == kinds.count("repeated") == pytest.approx(400, rel=0.3)
    assert bids.offsets()[-1] == bids.path.stat().st_size
