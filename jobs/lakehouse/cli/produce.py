"""Sends records to a stream: batched, in order per key, each acknowledged or reported."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lakehouse.contracts.model import Contract
from lakehouse.errors import EstateError, InputError, TransientError

MAX_RECORD_BYTES: Final = 1024 * 1024
"""What a stream takes by default, key and payload together."""
_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 5 * 1024 * 1024
_MOST_WAITING: Final = 5_000


class Record(NamedTuple):
    """A record to send; those of one key arrive in the order in which they are given."""

    key: str
    payload: bytes

    @property
    def weight(self) -> int:
        """Bytes that count against the limits of a record and of a batch."""
        return len(self.key.encode()) + len(self.payload)


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
    TransientError when the stream still refuses records after the last attempt, and EstateError
    when it is not there or does not answer; both say how many records are acknowledged.
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
        weight = record.weight
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
            answer = _put(client, stream, left, before + len(batch) - len(left))
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


def _put(client: Any, stream: str, records: list[Record], acknowledged: int) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = client.put_records(
            StreamName=stream,
            Records=[{"PartitionKey": r.key, "Data": r.payload} for r in records],
        )
    except (BotoCoreError, ClientError) as error:
        told = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        if told == "ResourceNotFoundException":
            raise EstateError(f"there is no stream {stream}; deploy the estate first") from error
        raise EstateError(
            f"stream {stream} took {acknowledged:,} records, then: {error}; send the rest again"
        ) from error
    return answer


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file that can be read twice; ``-`` is standard input, kept aside until its end.

    Raises InputError for what is no file.
    """
    if path == Path("-"):
        with SpooledTemporaryFile(max_size=_BATCH_BYTES) as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.seek(0)
            yield kept  # type: ignore[misc]  # typeshed knows it as IO[bytes] only
        return
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path}: expected an NDJSON file, it is {what}")
    with path.open("rb") as lines:
        yield lines


def read_records(lines: BinaryIO, name: str, contract: Contract) -> Iterator[Record]:
    """The lines of an NDJSON file as records, bytes untouched.

    A line that does not parse goes along and is rejected where it is decoded, with its reason.
    Raises InputError at a line that no stream takes; ``name`` is the file's, for the message.
    """
    for number, line in enumerate(lines, start=1):
        payload = line.removesuffix(b"\n").removesuffix(b"\r")
        if not payload.strip():
            continue
        record = Record(record_key(payload, contract), payload)
        if record.weight > MAX_RECORD_BYTES:
            raise InputError(
                f"{name}:{number}: the record has {len(payload):,} bytes; a stream takes "
                f"{MAX_RECORD_BYTES:,} with the key: send a reference to it instead"
            )
        yield record


def count_records(lines: BinaryIO, name: str, contract: Contract) -> int:
    """How many records a file has, read to its end and back, so that it is sent whole or not.

    Raises InputError for an empty file, or one with a line that no stream takes.
    """
    count = sum(1 for _ in read_records(lines, name, contract))
    if not count:
        raise InputError(f"{name}: expected one record a line, it is empty")
    lines.seek(0)
    return count


def record_key(payload: bytes, contract: Contract) -> str:
    """The partition key of a record: its contract's key, a hash where that cannot be read."""
    try:
        record = msgspec.json.decode(payload, type=dict[str, Any])
        key = "|".join(str(record[name]) for name in contract.deduplicate.key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        key = ""
    return key[:256] if key else hashlib.sha256(payload).hexdigest()
