"""Stands in for Kinesis: streams over files of bids, each record there from its arrival on.

A backlog is a file of records that have all arrived; a live stream is one whose records arrive by
and by. ``python -m benchmarks.replay`` prints its URL and serves until it is ended.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.data import Bids, number_of, sequence
from benchmarks.httpd import FileSlice, Request, Response, Server, json_response

SERVE: Final = "Replay.Serve"
"""Not a call of Kinesis: names a stream, its file, its shards and which records it has."""
_MOST_RECORDS: Final = 10_000
_MOST_BYTES: Final = 10_000_000
_JSON: Final = {"Content-Type": "application/x-amz-json-1.1"}
_ACCOUNT: Final = "arn:aws:kinesis:us-east-1:000000000000:stream"


class _File:
    """An open file of bids."""

    def __init__(self, folder: str) -> None:
        self.bids = msgspec.json.decode(Path(folder, "bids.json").read_bytes(), type=Bids)
        self.handle = os.open(self.bids.path, os.O_RDONLY)
        self.offsets = self.bids.offsets()
        self.arrivals = self.bids.arrivals()
        average = max(1, self.bids.payload_bytes // self.bids.spec.records)
        self.page = min(_MOST_RECORDS, _MOST_BYTES // average)


class _Stream(msgspec.Struct, frozen=True):
    name: str
    folder: str
    bounds: tuple[int, ...]
    """Where each shard begins in the file, and where the last one ends."""


class Replay:
    """The streams and the calls that ingestion makes of them."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._file = functools.lru_cache(maxsize=None)(_File)

    def __call__(self, request: Request) -> Response:
        """Answer one call of the JSON protocol."""
        call = request.headers.get("x-amz-target", "")
        asked = msgspec.json.decode(request.body)
        if call == SERVE:
            return self._serve(asked)
        operation = call.rpartition(".")[2]
        if operation == "GetRecords":
            return self._get_records(asked)
        name = asked.get("StreamName") or asked.get("StreamARN", "").rpartition("/")[2]
        stream = self._streams.get(name)
        if stream is None:
            return _error("ResourceNotFoundException", f"no stream {name}")
        answers: dict[str, Callable[[], Response]] = {
            "DescribeStreamSummary": lambda: _summary(stream),
            "ListShards": lambda: _shards(stream),
            "GetShardIterator": lambda: self._iterator(stream, asked),
        }
        if operation not in answers:
            return _error("InvalidArgumentException", f"{call!r} is not answered here")
        return answers[operation]()

    def _serve(self, asked: dict[str, Any]) -> Response:
        first, last, shards = asked["First"], asked["Last"], asked["Shards"]
        bounds = [first + (last - first) * n // shards for n in range(shards + 1)]
        self._streams[asked["StreamName"]] = _Stream(
            asked["StreamName"], asked["Folder"], tuple(bounds)
        )
        return json_response({})

    def _iterator(self, stream: _Stream, asked: dict[str, Any]) -> Response:
        shard = int(asked["ShardId"].rpartition("-")[2])
        low, high = stream.bounds[shard : shard + 2]
        kind = asked["ShardIteratorType"]
        at = low
        if kind == "AFTER_SEQUENCE_NUMBER":
            at = number_of(asked["StartingSequenceNumber"]) + 1
        elif kind == "AT_TIMESTAMP":
            arrivals = self._file(stream.folder).arrivals[low:high]
            at = low + int(np.searchsorted(arrivals, asked["Timestamp"]))
        elif kind != "TRIM_HORIZON":
            return _error("InvalidArgumentException", f"iterators of {kind} are not made here")
        return json_response({"ShardIterator": f"{stream.folder}|{low}|{high}|{at}"})

    def _get_records(self, asked: dict[str, Any]) -> Response:
        folder, *numbers = asked["ShardIterator"].split("|")
        low, high, at = map(int, numbers)
        file = self._file(folder)
        # The last one of the shard that has arrived by now.
        there = low + int(np.searchsorted(file.arrivals[low:high], time.time(), side="right"))
        end = max(at, min(at + asked.get("Limit", _MOST_RECORDS), at + file.page, there))
        behind = 0.0
        if end < there:
            behind = file.arrivals[there - 1] - file.arrivals[max(end - 1, low)]
        tail = (
            f'],"NextShardIterator":"{folder}|{low}|{high}|{end}",'
            f'"MillisBehindLatest":{max(1, round(behind * 1000)) if end < there else 0}}}'
        ).encode()
        begin = int(file.offsets[at])
        # Without the comma behind the last record.
        count = max(0, int(file.offsets[end]) - begin - 1)
        return Response(200, (b'{"Records":[', FileSlice(file.handle, begin, count), tail), _JSON)


def _summary(stream: _Stream) -> Response:
    return json_response(
        {
            "StreamDescriptionSummary": {
                "StreamName": stream.name,
                "StreamARN": f"{_ACCOUNT}/{stream.name}",
                "StreamStatus": "ACTIVE",
                "RetentionPeriodHours": 24,
                "StreamCreationTimestamp": 0,
                "EnhancedMonitoring": [],
                "OpenShardCount": len(stream.bounds) - 1,
            }
        }
    )


def _shards(stream: _Stream) -> Response:
    count = len(stream.bounds) - 1
    width = 2**128 // count
    return json_response(
        {
            "Shards": [
                {
                    "ShardId": f"shardId-{number:012d}",
                    "HashKeyRange": {
                        "StartingHashKey": str(number * width),
                        "EndingHashKey": str((number + 1) * width - 1),
                    },
                    "SequenceNumberRange": {
                        "StartingSequenceNumber": sequence(stream.bounds[number])
                    },
                }
                for number in range(count)
            ]
        }
    )


def _error(kind: str, message: str) -> Response:
    return json_response({"__type": kind, "message": message}, 400)


def main() -> None:
    """Serve until ended."""
    with Server(Replay()) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
