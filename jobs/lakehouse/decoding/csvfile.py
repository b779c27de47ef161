"""Rows of CSV files.

A row only means something under its header, so the payload of each carries both, as they are in the
file, and reads alone as it did there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lakehouse.contracts.model import Contract, FileFormat
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.lines import Line, is_line_safe, lines, split_lines, transcoded
from lakehouse.decoding.records import EMPTY, KEPT_BYTES, RECORD_BYTES, FileRecord, too_large
from lakehouse.decoding.source import Source, peeked

_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 200
"""Characters of a header that a reject quotes."""

# The limit is the process's. Rows are bounded here, by their bytes.
csv.field_size_limit(2 * RECORD_BYTES)


class _Header(NamedTuple):
    names: list[str]
    raw: bytes
    """As it is in the file, with the end of its line; empty where the file has none."""


class CsvReader:
    """Takes the CSV files of one contract apart."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._format = contract.format
        self._safe = is_line_safe(self._format.encoding)
        self._encoding = self._format.encoding if self._safe else "utf-8"
        self._dialect = _dialect(self._format)

    @property
    def splits(self) -> bool:
        """Whether a row can be found from any byte on."""
        return self._safe and not self._format.multiline

    def records(self, chunks: Iterator[bytes]) -> Iterator[FileRecord]:
        """The rows of a whole file by number."""
        head, chunks = peeked(chunks, KEPT_BYTES)
        text = chunks if self._safe else transcoded(chunks, self._format.encoding)
        rows = self._rows(lines(text))
        first = next(rows, None)
        if first is None or not (head.strip() or first.why):
            yield FileRecord(head, EMPTY)
            return
        header = self._header(first)
        if isinstance(header, Reject):
            yield FileRecord(head, header)
            return
        if not self._format.header:
            yield self._record(header, first, 0)
        for number, row in enumerate(rows, start=0 if self._format.header else 1):
            yield self._record(header, row, number)

    def split(self, source: Source, start: int, end: int) -> Iterator[FileRecord]:
        """The rows that begin from byte ``start`` to before ``end``, by the byte."""
        head = b"".join(source.chunks(0, KEPT_BYTES))
        first = next(self._rows(lines([head])), None)
        header = self._header(first) if first is not None else EMPTY
        if first is None or isinstance(header, Reject):
            # All splits see it, the first one says it.
            if start == 0:
                yield FileRecord(head, header if isinstance(header, Reject) else EMPTY)
            return
        for row in self._rows(split_lines(source, start, end)):
            if not self._format.header or row.offset > first.offset:
                yield self._record(header, row, row.offset)

    def _header(self, row: _Row) -> _Header | Reject:
        if not self._format.header:
            return _Header([f.name for f in self._contract.fields], b"")
        if row.why is not None:
            return row.why if isinstance(row.why, Reject) else _malformed(f"no header: {row.why}")
        absent = [f.name for f in self._contract.fields if f.required and f.name not in row.values]
        got = ", ".join(row.values)[:_SHOWN]
        if absent:
            return Reject("header", f"expected the columns {', '.join(absent)}, got {got}")
        twice = [f.name for f in self._contract.fields if row.values.count(f.name) > 1]
        if twice:
            return Reject("header", f"expected each column once, got {', '.join(twice)} twice")
        ended = row.raw.endswith((b"\n", b"\r"))
        return _Header(row.values, row.raw if ended else row.raw + b"\n")

    def _record(self, header: _Header, row: _Row, index: int) -> FileRecord:
        payload = self._as_written(header.raw + row.raw)
        values: Mapping[str, str] | Reject
        if isinstance(row.why, Reject):
            # What is left of a row must not read as a row.
            left = row.raw if header.raw else b""
            payload = payload[:KEPT_BYTES] if len(payload) >= KEPT_BYTES else left
            values = row.why
        elif row.why is not None:
            values = _malformed(row.why)
        elif len(row.values) != len(header.names):
            values = _malformed(f"expected {len(header.names)} values, got {len(row.values)}")
        else:
            values = dict(zip(header.names, row.values, strict=True))
        return FileRecord(payload, values, index)

    def _as_written(self, raw: bytes) -> bytes:
        return raw if self._safe else raw.decode(errors="replace").encode(self._format.encoding)

    def _rows(self, found: Iterator[Line]) -> Iterator[_Row]:
        feed = _Feed(found, self._encoding)
        reader = csv.reader(feed, **self._dialect)
        while True:
            feed.begin()
            values: list[str] = []
            why: Reject | str | None = None
            try:
                if self._format.multiline:
                    values = next(reader)
                else:
                    values = next(csv.reader([next(feed)], **self._dialect))
            except StopIteration:
                return
            except csv.Error as error:
                why = f"not a CSV row: {error}"
            except _BrokenError as error:
                why = error.reject
            why = why or feed.why
            if values or why:
                yield _Row(values, feed.offset, feed.raw(), why)


class _Row(NamedTuple):
    values: list[str]
    offset: int
    raw: bytes
    why: Reject | str | None
    """Why it is none; a Reject where not all of it is in ``raw``."""


class _BrokenError(Exception):
    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.detail)
        self.reject = reject


class _Feed:
    """Decoded lines for a CSV reader, with the bytes of the row it is on."""

    def __init__(self, found: Iterator[Line], encoding: str) -> None:
        self._lines = found
        self._encoding = encoding
        self.begin()

    def begin(self) -> None:
        """The next line begins a row."""
        self._raw: list[bytes] = []
        self._size = 0
        self.offset = -1
        self.why: str | None = None
        """Why a line of the row is no text."""

    def raw(self) -> bytes:
        """The bytes of the row so far."""
        return b"".join(self._raw)

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        raw = line.raw.removeprefix(_BOM) if line.offset == 0 else line.raw
        if self.offset < 0:
            self.offset = line.offset
        self._raw.append(raw)
        self._size += len(raw)
        if line.reject or self._size > RECORD_BYTES:
            raise _BrokenError(line.reject or too_large())
        try:
            return raw.decode(self._encoding)
        except UnicodeError as error:
            self.why = f"not {self._encoding} text: {error}"
            return raw.decode(self._encoding, errors="replace")


def _malformed(detail: str) -> Reject:
    return Reject("malformed", detail)


def _dialect(fmt: FileFormat) -> dict[str, Any]:
    quoting = csv.QUOTE_MINIMAL if fmt.quote else csv.QUOTE_NONE
    return {
        "delimiter": fmt.delimiter,
        "quotechar": fmt.quote or None,
        "escapechar": fmt.escape,
        "quoting": quoting,
        "strict": True,
    }
