"""Records of Avro container files, block by block.

The index of a record is its number; in a split file it is the byte at which its block begins,
shifted by 20 bits, plus its number in the block. A block is the split's in which it begins: right
behind a synchronization marker.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from lakehouse.decoding.avrocodec import BLOCK_BYTES, CODECS
from lakehouse.decoding.avroschema import SchemaError, WriterSchema
from lakehouse.decoding.decode import Reject, RejectError
from lakehouse.decoding.jsonrow import row_record
from lakehouse.decoding.records import KEPT_BYTES, CutOffError, FileRecord
from lakehouse.decoding.source import Source

ROW_BITS: Final = 20
"""A block may have 2^20 records, a file 2^43 bytes: together the index of a record."""
_HEADER_BYTES: Final = 4 * 1024 * 1024
_MAGIC: Final = b"Obj\x01"
_SYNC_BYTES: Final = 16
_READ_ERRORS: Final = (EOFError, LookupError, UnicodeDecodeError, RecursionError, MemoryError)


class _Header(NamedTuple):
    schema: WriterSchema
    plain: WriterSchema
    """The same without dates, timestamps and decimals: takes what those cannot hold."""
    codec: str
    sync: bytes
    size: int
    """Bytes up to the first block."""


class _Bytes:
    """The bytes of a file from one on, as they are needed; ``cut`` says why there are no more."""

    def __init__(self, chunks: Iterator[bytes], at: int) -> None:
        self._chunks = chunks
        self._data = bytearray()
        self.at = at
        self.cut: Reject | None = None

    def peek(self, count: int) -> bytes:
        """The next bytes, fewer only at the end."""
        try:
            while len(self._data) < count and (piece := next(self._chunks, None)) is not None:
                self._data += piece
        except CutOffError as error:
            self.cut = error.reject
        return bytes(self._data[:count])

    def skip(self, count: int) -> None:
        """Go past bytes that were peeked at."""
        del self._data[:count]
        self.at += count

    def skip_past(self, mark: bytes) -> bytes:
        """Go past the next mark, or to the end; the first bytes of what was skipped."""
        kept = b""
        while True:
            seen = self.peek(KEPT_BYTES)
            found = seen.find(mark)
            step = found + len(mark) if found >= 0 else len(seen) - len(mark) + 1
            if found < 0 and len(seen) < KEPT_BYTES:
                step = len(seen)
            kept += seen[: min(step, KEPT_BYTES - len(kept))]
            self.skip(step)
            if found >= 0 or len(seen) < KEPT_BYTES:
                return kept


def records(chunks: Iterator[bytes]) -> Iterator[FileRecord]:
    """The records of a whole file."""
    data = _Bytes(chunks, 0)
    header = _header(data)
    if isinstance(header, FileRecord):
        yield header
        return
    data.skip(header.size)
    number = -1
    for number, (_, record) in enumerate(_blocks(data, header, None)):
        yield record._replace(place=number)


def split_records(source: Source, start: int, end: int) -> Iterator[FileRecord]:
    """The records of the blocks that begin from byte ``start`` to before ``end``."""
    header = _header(_Bytes(source.chunks(), 0))
    if isinstance(header, FileRecord):
        # All splits see it, the first one says it.
        if start == 0:
            yield header
        return
    if start <= header.size:
        first = header.size
        data = _Bytes(source.chunks(first), first)
    else:
        first = start - _SYNC_BYTES
        data = _Bytes(source.chunks(first), first)
        data.skip_past(header.sync)
    block, row = -1, 0
    for at, record in _blocks(data, header, end):
        block, row = at, row + 1 if at == block else 0
        yield record._replace(place=(at << ROW_BITS) + row)


def _header(data: _Bytes) -> _Header | FileRecord:
    head = data.peek(_HEADER_BYTES)

    def wrong(code: str, why: str) -> FileRecord:
        return FileRecord(head[:KEPT_BYTES], Reject(code, why))

    if not head.startswith(_MAGIC):
        return wrong("malformed", f"expected an Avro container file, got {head[:4].hex()} first")
    body = io.BytesIO(head)
    body.seek(len(_MAGIC))
    try:
        meta = _metadata(body)
        schema = msgspec.json.decode(meta["avro.schema"])
        codec = meta.get("avro.codec", b"null").decode()
        made = WriterSchema(schema, None), WriterSchema(schema, ())
    except SchemaError as error:
        return wrong("schema", str(error))
    except (EOFError, KeyError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        why = data.cut.detail if data.cut else repr(error)
        return wrong("malformed", f"the header of the Avro file is damaged or cut off: {why}")
    sync = body.read(_SYNC_BYTES)
    if len(sync) < _SYNC_BYTES:
        return wrong("malformed", "the Avro file is cut off in its header")
    if codec not in CODECS:
        return wrong("schema", f"codec {codec!r}; expected one of {', '.join(CODECS)}")
    return _Header(*made, codec, sync, body.tell())


def _metadata(body: io.BytesIO) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    while count := _long(body):
        if count < 0:
            _long(body)
        for _ in range(abs(count)):
            key = _take(body, _long(body)).decode()
            found[key] = _take(body, _long(body))
    return found


def _blocks(data: _Bytes, header: _Header, end: int | None) -> Iterator[tuple[int, FileRecord]]:
    """The records of the blocks that begin before ``end``, each with the byte of its block."""
    while end is None or data.at < end:
        begins = data.at
        prefix = io.BytesIO(data.peek(20))
        if not prefix.getbuffer().nbytes:
            if data.cut:
                yield begins, FileRecord(b"", data.cut)
            return
        try:
            count, size = _long(prefix), _long(prefix)
        except EOFError:
            count = size = -1
        whole = prefix.tell() + size + _SYNC_BYTES
        good = count >= 0 and 0 <= size <= BLOCK_BYTES
        block = data.peek(whole) if good else b""
        if not good or len(block) < whole or not block.endswith(header.sync):
            kept = data.skip_past(header.sync)
            why = data.cut or Reject("malformed", "an Avro block is damaged or cut off")
            yield begins, FileRecord(kept, why)
            continue
        data.skip(whole)
        for record in _block(block[prefix.tell() : -_SYNC_BYTES], count, header):
            yield begins, record


def _block(body: bytes, count: int, header: _Header) -> Iterator[FileRecord]:
    if count >= 1 << ROW_BITS:
        why = Reject("size", f"an Avro block of {count} records; write smaller ones")
        yield FileRecord(body[:KEPT_BYTES], why)
        return
    try:
        unpacked = CODECS[header.codec](body)
    except RejectError as error:
        yield FileRecord(body[:KEPT_BYTES], error.reject)
        return
    data = io.BytesIO(unpacked)
    for _ in range(count):
        begins = data.tell()
        reject = None
        try:
            try:
                row = header.schema.read(data)
            except UnicodeDecodeError:
                raise
            except (RejectError, OverflowError, ValueError) as error:
                reject = Reject("range", f"a date, timestamp or decimal out of range: {error}")
                data.seek(begins)
                row = header.plain.read(data)
        except _READ_ERRORS as error:
            # Where one record ends is known by reading it alone, so the block's others go with it.
            why = Reject("malformed", f"the rest of an Avro block is damaged: {error!r}")
            yield FileRecord(unpacked[begins:][:KEPT_BYTES], why)
            return
        yield row_record(row, 0, reject)
    if data.tell() != len(unpacked):
        why = Reject("malformed", f"{len(unpacked) - data.tell()} bytes after an Avro block's end")
        yield FileRecord(unpacked[data.tell() :][:KEPT_BYTES], why)


def _long(data: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = data.read(1)
        if not byte or shift > 63:
            raise EOFError("no number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7


def _take(data: io.BytesIO, count: int) -> bytes:
    taken = data.read(count) if count >= 0 else b""
    if len(taken) != count:
        raise EOFError(f"expected {count} bytes")
    return taken
