"""Takes files apart into records: CSV, JSON lines and JSON documents.

Pure: bytes in, records out. A file that is not what the contract says yields one reject that stands
for the whole file, so that nothing is lost and the other files go on.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from lakehouse.contracts.model import Contract, FileFormat
from lakehouse.decoding.decode import UNDECODABLE, Reject

_KEPT_BYTES: Final = 1024 * 1024
"""How much of a file that cannot be taken apart is kept as the payload of its reject."""


class FileRecord(NamedTuple):
    """One record of a file: its payload, and its text values where the format is not JSON."""

    payload: bytes
    values: Mapping[str, str] | Reject | None = None


def file_records(body: bytes, contract: Contract) -> Iterator[FileRecord]:
    """The records of a file in order; the n-th has row n."""
    fmt = contract.format
    if not body.strip():
        yield _whole(body, "empty", "expected at least one record, got an empty file")
    elif fmt.type == "csv":
        yield from _csv(body, fmt, contract)
    elif fmt.type == "ndjson":
        yield from (FileRecord(line) for line in body.splitlines() if line.strip())
    else:
        yield from _document(body, fmt)


def _whole(body: bytes, code: str, detail: str) -> FileRecord:
    return FileRecord(body[:_KEPT_BYTES], Reject(code, detail))


def _document(body: bytes, fmt: FileFormat) -> Iterator[FileRecord]:
    try:
        if fmt.records is None:
            records = msgspec.json.decode(body, type=list[msgspec.Raw])
        else:
            document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            if fmt.records not in document:
                yield _whole(
                    body,
                    "missing",
                    f"expected the records under {fmt.records!r}, got the keys "
                    f"{', '.join(sorted(document)) or 'none'}",
                )
                return
            records = msgspec.json.decode(document[fmt.records], type=list[msgspec.Raw])
    except UNDECODABLE as error:
        yield _whole(body, "malformed", f"not a JSON document of records: {error}")
        return
    for record in records:
        yield FileRecord(bytes(record))


def _csv(body: bytes, fmt: FileFormat, contract: Contract) -> Iterator[FileRecord]:
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode(fmt.encoding)
    except UnicodeDecodeError as error:
        yield _whole(body, "malformed", f"not {fmt.encoding} text: {error}")
        return
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=fmt.delimiter, strict=True)
    try:
        header = next(reader)
    except csv.Error as error:
        yield _whole(body, "malformed", f"no CSV header: {error}")
        return
    absent = [f.name for f in contract.fields if f.required and f.name not in header]
    if absent:
        yield _whole(
            body,
            "header",
            f"expected the columns {', '.join(absent)}, got {', '.join(header)[:200]}",
        )
        return
    head = lines.taken()
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRecord((head + lines.taken()).encode(fmt.encoding), _not_csv(error))
            continue
        # A row only means something under its header, so its payload carries both.
        payload = (head + lines.taken()).encode(fmt.encoding)
        if len(row) == len(header):
            yield FileRecord(payload, dict(zip(header, row, strict=True)))
        elif row:
            yield FileRecord(
                payload,
                Reject("malformed", f"expected {len(header)} values, got {len(row)}"),
            )


def _not_csv(error: csv.Error) -> Reject:
    return Reject("malformed", f"not a CSV row: {error}")


class _Lines:
    """Lines for a CSV reader that remembers the raw text of the row it is on."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._raw: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._raw.append(line)
        return line

    def taken(self) -> str:
        """The text read since the last call."""
        raw, self._raw = "".join(self._raw), []
        return raw
