"""Takes files apart into records: CSV, JSON lines, JSON documents, Avro and Parquet.

A file that is not what the contract says yields one reject that stands for the whole file, one that
is cut or damaged a reject for the rest of it, so that nothing is lost and the other files go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakehouse.contracts.model import Contract, FileFormat
from lakehouse.decoding import avrofile, jsonfile, parquetfile
from lakehouse.decoding.csvfile import CsvReader
from lakehouse.decoding.lines import is_line_safe
from lakehouse.decoding.records import EMPTY, FileRecord
from lakehouse.decoding.source import MemorySource, Source, inflated, packing

_PACKED_NAMES: Final = (".gz", ".gzip", ".zz", ".zlib")

__all__ = ["FileRecord", "can_split", "file_records", "object_records"]


def file_records(body: bytes, contract: Contract) -> Iterator[FileRecord]:
    """The records of a file in order; the n-th has index n."""
    return object_records(MemorySource(body), contract)


def can_split(name: str, fmt: FileFormat) -> bool:
    """Whether a file can be read in parts, as far as its name and the contract tell."""
    if name.lower().endswith(_PACKED_NAMES) or fmt.compression is not None:
        return False
    if fmt.type == "csv":
        return not fmt.multiline and is_line_safe(fmt.encoding)
    return fmt.type != "json"


def object_records(
    source: Source, contract: Contract, split: tuple[int, int] | None = None
) -> Iterator[FileRecord]:
    """The records of a file, or those that begin in a split of it: from one byte to before another.

    The index of a record in a split is the byte at which it begins; in Parquet always its row; in
    Avro as avrofile has it. A file that turns out to be compressed is no less read: by its first
    split.
    """
    fmt = contract.format
    if source.size == 0:
        yield FileRecord(b"", EMPTY)
        return
    compression = packing(source, fmt)
    if compression is not None and split is not None and split[0] > 0:
        return
    chunks = inflated(source.chunks(), compression) if compression else source.chunks()
    whole = split is None or compression is not None
    if fmt.type == "parquet":
        yield from parquetfile.records(source, chunks if compression else None, split)
    elif split is None or whole:
        yield from _whole(chunks, contract)
    elif fmt.type == "csv":
        yield from CsvReader(contract).split(source, *split)
    elif fmt.type == "avro":
        yield from avrofile.split_records(source, *split)
    else:
        yield from jsonfile.split_records(source, *split)


def _whole(chunks: Iterator[bytes], contract: Contract) -> Iterator[FileRecord]:
    kind = contract.format.type
    if kind == "csv":
        yield from CsvReader(contract).records(chunks)
    elif kind == "ndjson":
        yield from jsonfile.line_records(chunks)
    elif kind == "avro":
        yield from avrofile.records(chunks)
    else:
        yield from jsonfile.document_records(chunks, contract.format)
