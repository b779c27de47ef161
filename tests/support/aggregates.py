"""Packs records as the Kinesis Producer Library does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lakehouse.decoding.kpl import MAGIC, UserRecord


def aggregate(records: Sequence[UserRecord]) -> bytes:
    """One Kinesis record of many user records."""
    keys: dict[str, int] = {}
    hash_keys: dict[str, int] = {}
    body = bytearray()
    for record in records:
        message = bytearray(b"\x08")
        message += _varint(keys.setdefault(record.partition_key, len(keys)))
        if record.explicit_hash_key is not None:
            message += b"\x10"
            message += _varint(hash_keys.setdefault(record.explicit_hash_key, len(hash_keys)))
        message += _delimited(3, record.data)
        body += _delimited(3, bytes(message))
    head = b"".join(_delimited(1, key.encode()) for key in keys)
    head += b"".join(_delimited(2, key.encode()) for key in hash_keys)
    message_bytes = head + bytes(body)
    return MAGIC + message_bytes + hashlib.md5(message_bytes).digest()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value
