"""Reads a replayed stream with as little as HTTP takes: no signature, no client library.

For contestants that do not come with a reader of their own; theirs would cost more.
"""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.data import sequence


class Record(msgspec.Struct):
    """One record as GetRecords has it."""

    Data: bytes
    PartitionKey: str
    SequenceNumber: str
    ApproximateArrivalTimestamp: float


class Page(msgspec.Struct):
    """One answer of GetRecords."""

    Records: list[Record]
    NextShardIterator: str
    MillisBehindLatest: int


class Reader:
    """One connection to the replayed stream."""

    def __init__(self, url: str, stream: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None  # noqa: S101 - the server's own URL
        self._connection = HTTPConnection(parts.hostname, parts.port)
        self._stream = stream
        self._page = msgspec.json.Decoder(Page)

    def shards(self) -> dict[str, int]:
        """Each shard with its first record."""
        answer = msgspec.json.decode(self._call("ListShards", {"StreamName": self._stream}))
        return {
            shard["ShardId"]: int(shard["SequenceNumberRange"]["StartingSequenceNumber"][2:])
            for shard in answer["Shards"]
        }

    def iterator(self, shard: str, first: int) -> str:
        """An iterator that begins at a record of a shard."""
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if first:
            start = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": sequence(first - 1),
            }
        asked = {"StreamName": self._stream, "ShardId": shard, **start}
        answer = msgspec.json.decode(self._call("GetShardIterator", asked))
        found: str = answer["ShardIterator"]
        return found

    def page(self, iterator: str, limit: int = 10_000) -> Page:
        """One page of records."""
        asked = {"ShardIterator": iterator, "Limit": limit}
        return self._page.decode(self._call("GetRecords", asked))

    def _call(self, operation: str, asked: dict[str, Any]) -> bytes:
        headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}"}
        self._connection.request("POST", "/", msgspec.json.encode(asked), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{operation} was answered with {answer.status}: {body[:200]!r}")
        return body
