"""The aggregates of the Kinesis Producer Library: many user records in one Kinesis record.

Magic bytes, a protobuf message, the MD5 digest of the message. Format:
https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

MAGIC: Final = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES: Final = 16
_KEY_CHARACTERS: Final = 256
"""The longest partition key that Kinesis takes."""
_VARINT: Final = 0
_BYTES: Final = 2
_UINT64: Final = 2**64


class AggregateError(ValueError):
    """A record that begins as an aggregate and is none; says what was found, and expected."""


class UserRecord(NamedTuple):
    """One record as its producer put it."""

    partition_key: str
    explicit_hash_key: str | None
    data: bytes


def deaggregate(data: bytes) -> list[UserRecord]:
    """The user records of an aggregate, in order; AggregateError when it is not intact."""
    if not data.startswith(MAGIC):
        raise AggregateError(f"expected the magic bytes {MAGIC.hex()}, got {data[:4].hex()!r}")
    if len(data) < len(MAGIC) + _DIGEST_BYTES:
        raise AggregateError(
            f"expected at least {len(MAGIC) + _DIGEST_BYTES} bytes, got {len(data)}"
        )
    message, digest = data[len(MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if _digest(message) != digest:
        raise AggregateError(
            f"expected the MD5 digest {_digest(message).hex()}, got {digest.hex()}"
        )
    keys: list[str] = []
    hash_keys: list[str] = []
    records: list[bytes] = []
    for number, value in _fields(message):
        if number == 1:
            keys.append(_key(value))
        elif number == 2:
            hash_keys.append(_key(value))
        elif number == 3:
            records.append(_bytes(value, "records"))
    return [_user_record(record, keys, hash_keys) for record in records]


def _user_record(message: bytes, keys: Sequence[str], hash_keys: Sequence[str]) -> UserRecord:
    key = hash_key = data = None
    for number, value in _fields(message):
        if number == 1:
            key = _entry(value, keys, "partition_key_index")
        elif number == 2:
            hash_key = _entry(value, hash_keys, "explicit_hash_key_index")
        elif number == 3:
            data = _bytes(value, "data")
    if key is None or data is None:
        absent = "partition_key_index" if key is None else "data"
        raise AggregateError(f"expected {absent} in every record, got one without")
    return UserRecord(key, hash_key, data)


def _entry(index: int | bytes, table: Sequence[str], name: str) -> str:
    if isinstance(index, bytes):
        raise AggregateError(f"expected {name} to be a number, got bytes")
    if index >= len(table):
        raise AggregateError(f"expected {name} below {len(table)}, got {index}")
    return table[index]


def _bytes(value: int | bytes, name: str) -> bytes:
    if isinstance(value, int):
        raise AggregateError(f"expected {name} to be bytes, got a number")
    return value


def _key(value: int | bytes) -> str:
    try:
        key = _bytes(value, "a key").decode()
    except UnicodeDecodeError as error:
        raise AggregateError(f"expected a key in UTF-8: {error}") from error
    if len(key) > _KEY_CHARACTERS:
        raise AggregateError(
            f"expected a key of at most {_KEY_CHARACTERS} characters, got {len(key)}"
        )
    return key


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protobuf message of varints and byte strings."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in {_VARINT, _BYTES}:
            raise AggregateError(f"expected a varint or byte field at byte {at}, got tag {tag}")
        value, at = _read_varint(message, at)
        if wire == _VARINT:
            yield number, value
            continue
        end = at + value
        if end > len(message):
            raise AggregateError(
                f"expected {value} bytes of field {number}, got {len(message) - at}"
            )
        yield number, message[at:end]
        at = end


def _read_varint(message: bytes, start: int) -> tuple[int, int]:
    if start < len(message) and message[start] < 0x80:  # as tags, indexes and most lengths are
        return message[start], start + 1
    value = 0
    for place, byte in enumerate(message[start : start + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80 and value < _UINT64:
            return value, start + place + 1
    raise AggregateError(f"expected a number of at most 64 bits at byte {start}")


def _digest(message: bytes) -> bytes:
    return hashlib.md5(message, usedforsecurity=False).digest()
