"""From the records of a page to what is decoded: aggregates taken apart, compression undone.

Pure. What came stays beside what is decoded, so that a delivery can be decoded again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from lakehouse.contracts.model import FileFormat
from lakehouse.decoding import kpl
from lakehouse.decoding.decode import Reject, RejectError

INFLATED_BYTES: Final = 10 * 1024 * 1024
"""The most that one record may hold once decompressed; what Kinesis takes at most as it is."""
_SHARE_BYTES: Final = 64 * 1024 * 1024
"""Bytes to decode after which a page goes on in another share."""
_SHARE_RECORDS: Final = 10_000
"""Records after which a page goes on in another share; the most that Kinesis answers with."""
_WBITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS}

_HEADER_BYTES: Final = 18
"""Bytes of a Glue Schema Registry header: its version 3, the compression, the schema's id."""
_ZLIB_FRAME: Final = b"\x03\x05"
_PLAIN_FRAME: Final = b"\x03\x00"


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a page, record by record; all sequences have the length of ``payloads``."""

    payloads: Sequence[bytes]
    """Each record as its producer put it."""
    bodies: Sequence[bytes | Reject]
    """What is to be decoded, or why there is nothing."""
    origins: Sequence[int] | None = None
    """Place in the page of the Kinesis record that each came in; None: the page one to one."""
    indexes: Sequence[int]
    """Place within that record; 0 where it is no aggregate."""
    partition_keys: Sequence[str | None] | None = None
    """Each record's own key; None: that of its Kinesis record."""


def unpack(data: Sequence[bytes], fmt: FileFormat) -> Iterator[Unpacked]:
    """The user records of a page, in order: one share, and more only where it swells.

    A few hundred bytes can stand for megabytes, so no share holds much more than 64 MiB.
    """
    if fmt.compression or _any_aggregate(data) or (_is_framed(fmt) and _any_zlib_frame(data)):
        yield from _shares(data, fmt)
    elif data:
        yield Unpacked(payloads=data, bodies=data, indexes=[0] * len(data))


def body_of(payload: bytes, fmt: FileFormat) -> bytes | Reject:
    """What is to be decoded of one user record."""
    try:
        if fmt.compression and payload:
            return inflate(payload, fmt.compression)
        if _is_framed(fmt) and payload.startswith(_ZLIB_FRAME):
            return (
                _PLAIN_FRAME + payload[2:_HEADER_BYTES] + inflate(payload[_HEADER_BYTES:], "zlib")
            )
    except RejectError as error:
        return error.reject
    return payload


def inflate(data: bytes, compression: str, most: int = INFLATED_BYTES) -> bytes:
    """Decompressed bytes, of all members where gzip has several.

    Raises RejectError: ``size`` once more than ``most`` bytes come out, ``malformed`` otherwise.
    """
    out: list[bytes] = []
    size = 0
    rest = data
    while rest or not out:
        member = zlib.decompressobj(_WBITS[compression])
        try:
            chunk = member.decompress(rest, most - size + 1)
        except zlib.error as error:
            raise RejectError("malformed", f"not {compression}: {error}") from error
        size += len(chunk)
        if size > most:
            raise RejectError(
                "size", f"expected at most {most} bytes after decompression, {len(data)} hold more"
            )
        if not member.eof:
            raise RejectError(
                "malformed", f"{compression} data ends early, after {len(data)} bytes"
            )
        out.append(chunk)
        rest = member.unused_data
        if rest and compression == "zlib":
            raise RejectError("malformed", f"{len(rest)} bytes after the end of the zlib data")
    return b"".join(out)


def _any_aggregate(data: Sequence[bytes]) -> bool:
    # max() compares in C: pages below the magic bytes, as JSON and Avro are, cost next to nothing.
    return max(data, default=b"") >= kpl.MAGIC and any(r.startswith(kpl.MAGIC) for r in data)


def _is_framed(fmt: FileFormat) -> bool:
    return fmt.type == "avro" and fmt.schema is None


def _any_zlib_frame(data: Sequence[bytes]) -> bool:
    return any(record.startswith(_ZLIB_FRAME) for record in data)


def _shares(data: Sequence[bytes], fmt: FileFormat) -> Iterator[Unpacked]:
    share = _Share()
    for origin, record in enumerate(data):
        for index, (key, payload, body) in enumerate(_user_records(record, fmt)):
            share.add(origin, index, key, payload, body)
            if share.is_full():
                yield share.unpacked()
                share = _Share()
    if share.payloads:
        yield share.unpacked()


def _user_records(
    record: bytes, fmt: FileFormat
) -> Iterator[tuple[str | None, bytes, bytes | Reject]]:
    if not record.startswith(kpl.MAGIC):
        yield None, record, body_of(record, fmt)
        return
    try:
        users = kpl.deaggregate(record)
    except kpl.AggregateError as error:
        yield None, record, Reject("malformed", f"aggregate: {error}")
        return
    if not users:
        yield None, record, Reject("empty", "expected a record in the aggregate, got none")
    for user in users:
        yield user.partition_key, user.data, body_of(user.data, fmt)


class _Share:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._bodies: list[bytes | Reject] = []
        self._origins: list[int] = []
        self._indexes: list[int] = []
        self._keys: list[str | None] = []
        self._size = 0

    def add(
        self, origin: int, index: int, key: str | None, payload: bytes, body: bytes | Reject
    ) -> None:
        self.payloads.append(payload)
        self._bodies.append(body)
        self._origins.append(origin)
        self._indexes.append(index)
        self._keys.append(key)
        self._size += 0 if isinstance(body, Reject) else len(body)

    def is_full(self) -> bool:
        return self._size >= _SHARE_BYTES or len(self.payloads) >= _SHARE_RECORDS

    def unpacked(self) -> Unpacked:
        return Unpacked(
            payloads=self.payloads,
            bodies=self._bodies,
            origins=self._origins,
            indexes=self._indexes,
            partition_keys=self._keys if any(key is not None for key in self._keys) else None,
        )
