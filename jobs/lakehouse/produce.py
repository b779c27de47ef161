"""Sends records to a stream: batched, in order per key, each acknowledged or reported."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lakehouse.contract import Contract
from lakehouse.errors import InputError, TransientError

MAX_RECORD_BYTES: Final = 1024 * 1024
"""What a stream takes by default, key and payload together."""
_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 5 * 1024 * 1024
_MOST_WAITING: Final = 5_000


class Record(NamedTuple):
    """A record to send; those of one key arrive in the order in which they are given."""

    key: str
    payload: bytes


class Produced(NamedTuple):
    """What became of the records."""

    acknowledged: int
    retried: int
    """Times that a record was sent again because the stream refused it."""


class _RefusedError(TransientError):
    """The stream took a part of a batch only."""


def produce(
    client: Any,
    stream: str,
    records: Iterable[Record],
    on_progress: Callable[[int], None] = lambda _: None,
    attempts: int = 12,
) -> Produced:
    """Send all records; ``on_progress`` gets the number acknowledged since the last call.

    A batch holds one record a key at most and is complete before the next one goes out, so that a
    record that has to be sent again is never overtaken by a later one of its key. Raises
    TransientError when the stream still refuses records after the last attempt.
    """
    source = iter(records)
    waiting: deque[Record] = deque()
    acknowledged = retried = 0
    while batch := _next_batch(waiting, source):
        retried += _send(client, stream, batch, attempts, acknowledged)
        acknowledged += len(batch)
        on_progress(len(batch))
    return Produced(acknowledged, retried)


def _next_batch(waiting: deque[Record], source: Iterator[Record]) -> list[Record]:
    """Up to a batch's worth of records of different keys; the others wait, in order."""
    batch: list[Record] = []
    keys: set[str] = set()
    size = 0
    put_back: list[Record] = []
    while len(batch) < _BATCH_RECORDS and len(put_back) < _MOST_WAITING:
        record = waiting.popleft() if waiting else next(source, None)
        if record is None:
            break
        weight = len(record.key) + len(record.payload)
        if record.key in keys:
            put_back.append(record)
        elif batch and size + weight > _BATCH_BYTES:
            put_back.append(record)
            break
        else:
            batch.append(record)
            keys.add(record.key)
            size += weight
    waiting.extendleft(reversed(put_back))
    return batch


def _send(client: Any, stream: str, batch: list[Record], attempts: int, before: int) -> int:
    """Send one batch to its end; how many records had to be sent again."""
    left = batch
    retried = 0
    for attempt in Retrying(
        retry=retry_if_exception_type(_RefusedError),
        wait=wait_exponential_jitter(multiplier=0.1, max=5),
        stop=stop_after_attempt(attempts),
        reraise=True,
    ):
        with attempt:
            answer = client.put_records(
                StreamName=stream,
                Records=[{"PartitionKey": r.key, "Data": r.payload} for r in left],
            )
            if answer["FailedRecordCount"]:
                results = answer["Records"]
                reason = next(r["ErrorCode"] for r in results if "ErrorCode" in r)
                left = [r for r, result in zip(left, results, strict=True) if "ErrorCode" in result]
                retried += len(left)
                raise _RefusedError(
                    f"stream {stream} refuses {len(left)} records ({reason}) after "
                    f"{attempts} attempts; {before + len(batch) - len(left)} are acknowledged. "
                    "Give the stream more shards, or send the rest again later"
                )
    return retried


def file_records(path: Path, contract: Contract) -> list[Record]:
    """The lines of an NDJSON file as records, bytes untouched.

    A line that does not parse goes along and is rejected where it is decoded, with its reason.
    Raises InputError for a file that is missing, empty, or has a line that no stream takes.
    """
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path}: expected an NDJSON file, it is {what}")
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected one record a line, the file is empty")
    records = [Record(record_key(line, contract), line) for line in lines]
    for number, record in enumerate(records, start=1):
        if len(record.key) + len(record.payload) > MAX_RECORD_BYTES:
            raise InputError(
                f"{path}:{number}: the record has {len(record.payload):,} bytes; a stream takes "
                f"{MAX_RECORD_BYTES:,} with the key: send a reference to it instead"
            )
    return records


def record_key(payload: bytes, contract: Contract) -> str:
    """The partition key of a record: its contract's key, a hash where that cannot be read."""
    try:
        record = msgspec.json.decode(payload, type=dict[str, Any])
        key = "|".join(str(record[name]) for name in contract.deduplicate.key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        key = ""
    return key[:256] if key else hashlib.sha256(payload).hexdigest()
