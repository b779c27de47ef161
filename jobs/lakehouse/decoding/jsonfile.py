"""Records of JSON lines and of JSON documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from lakehouse.contracts.model import FileFormat
from lakehouse.decoding.decode import UNDECODABLE, Reject
from lakehouse.decoding.lines import Line, lines, split_lines
from lakehouse.decoding.records import (
    EMPTY,
    KEPT_BYTES,
    RECORD_BYTES,
    CutOffError,
    FileRecord,
    too_large,
)
from lakehouse.decoding.source import Source

DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""The most that a JSON document may hold, which is read as a whole."""
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 200


def line_records(chunks: Iterator[bytes]) -> Iterator[FileRecord]:
    """The records of JSON lines by number; blank lines are none."""
    number = -1
    for number, record in enumerate(_records(lines(chunks))):
        yield record._replace(place=number)
    if number < 0:
        yield FileRecord(b"", EMPTY)


def split_records(source: Source, start: int, end: int) -> Iterator[FileRecord]:
    """The records that begin from byte ``start`` to before ``end``, by the byte."""
    return _records(split_lines(source, start, end))


def _records(found: Iterator[Line]) -> Iterator[FileRecord]:
    for offset, raw, reject in found:
        payload = raw.removeprefix(_BOM) if offset == 0 else raw
        if reject is not None:
            yield FileRecord(payload[:KEPT_BYTES], reject, offset)
        elif payload.strip():
            yield FileRecord(payload.rstrip(b"\r\n"), None, offset)


def document_records(chunks: Iterator[bytes], fmt: FileFormat) -> Iterator[FileRecord]:
    """The records of a JSON document by number; of one that is none, one reject for all of it."""
    body = bytearray()
    try:
        for piece in chunks:
            body += piece
            if len(body) > DOCUMENT_BYTES:
                why = (
                    f"expected a JSON document of at most {DOCUMENT_BYTES} bytes, got a larger one"
                )
                yield FileRecord(
                    bytes(body[:KEPT_BYTES]), Reject("size", f"{why}; write JSON lines")
                )
                return
        if not body.strip():
            yield FileRecord(bytes(body[:KEPT_BYTES]), EMPTY)
            return
        records = _listed(bytes(body.removeprefix(_BOM)), fmt.records)
    except CutOffError as error:
        yield FileRecord(bytes(body[:KEPT_BYTES]), error.reject)
        return
    except UNDECODABLE as error:
        detail = f"not a JSON document of records: {error}"[: 3 * _SHOWN]
        yield FileRecord(bytes(body[:KEPT_BYTES]), Reject("malformed", detail))
        return
    for number, record in enumerate(records):
        if len(payload := bytes(record)) > RECORD_BYTES:
            yield FileRecord(payload[:KEPT_BYTES], too_large(), number)
        else:
            yield FileRecord(payload, None, number)


def _listed(document: bytes, path: str | None) -> list[msgspec.Raw]:
    inner = msgspec.Raw(document)
    for key in path.split(".") if path else ():
        level = msgspec.json.decode(inner, type=dict[str, msgspec.Raw])
        if key not in level:
            got = ", ".join(sorted(level))[:_SHOWN] or "none"
            raise CutOffError("missing", f"expected the records under {path!r}, got the keys {got}")
        inner = level[key]
    return msgspec.json.decode(inner, type=list[msgspec.Raw])
