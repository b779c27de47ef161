"""Rows of Parquet files; the index of a row is its number in the file.

A row group is the split's in which its first column begins.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.decoding.decode import Reject
from lakehouse.decoding.jsonrow import row_record
from lakehouse.decoding.records import EMPTY, KEPT_BYTES, CutOffError, FileRecord
from lakehouse.decoding.source import SeekableSource, Source

_BATCH_ROWS: Final = 1000
_BATCH_BYTES: Final = 32 * 1024 * 1024
"""Of the text and bytes of the rows that are taken out of their columns at a time."""
_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Read of each column at a time."""
COLUMN_BYTES: Final = 1024 * 1024 * 1024
"""The most that one column of a row group may hold, uncompressed."""


def records(
    source: Source, inflated: Iterator[bytes] | None, split: tuple[int, int] | None
) -> Iterator[FileRecord]:
    """The rows of a file, or those of the row groups that begin in a split of it.

    ``inflated`` are the bytes of one that is compressed as a whole, which is put on the disk.
    """
    with tempfile.TemporaryFile() as spool:
        opened: Any = SeekableSource(source)
        try:
            if inflated is not None:
                opened = _spooled(inflated, spool)
            file = pq.ParquetFile(opened, buffer_size=_BUFFER_BYTES, pre_buffer=False)
            why = _unfit(file.schema_arrow)
            text = [f.name for f in file.schema_arrow if _is_text(f.type)]
            if why is None and text:
                opened.seek(0)
                # A dictionary may stand for any amount of text; so it stays one.
                file = pq.ParquetFile(
                    opened, buffer_size=_BUFFER_BYTES, pre_buffer=False, read_dictionary=text
                )
        except CutOffError as error:
            why = error.reject
        except (pa.ArrowException, OSError, ValueError) as error:
            why = Reject("malformed", f"not a Parquet document: {error}"[:500])
        if why is not None:
            # All splits see it, the first one says it.
            if split is None or split[0] == 0 or inflated is not None:
                yield FileRecord(b"".join(source.chunks(0, KEPT_BYTES)), why)
            return
        yield from _rows(file, split if inflated is None else None)


def _spooled(chunks: Iterator[bytes], spool: IO[bytes]) -> IO[bytes]:
    size = sum(spool.write(piece) for piece in chunks)
    spool.seek(0)
    if not size:
        raise CutOffError(*EMPTY)
    return spool


def _unfit(schema: pa.Schema) -> Reject | None:
    if not schema.names:
        return Reject("header", "expected columns, got none")
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    if twice:
        return Reject("header", f"expected each column once, got {', '.join(twice)[:200]} twice")
    return None


def _rows(file: pq.ParquetFile, split: tuple[int, int] | None) -> Iterator[FileRecord]:
    row = 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        if _is_mine(group, split):
            yield from _group(file, number, row)
        row += group.num_rows


def _is_mine(group: Any, split: tuple[int, int] | None) -> bool:
    if split is None or not group.num_columns:
        return split is None or split[0] == 0
    column = group.column(0)
    begins = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        begins = min(begins, column.dictionary_page_offset)
    return bool(split[0] <= max(begins, 0) < split[1])


def _group(file: pq.ParquetFile, number: int, first: int) -> Iterator[FileRecord]:
    group = file.metadata.row_group(number)
    row = first
    for at in range(group.num_columns):
        column = group.column(at)
        if column.total_uncompressed_size > COLUMN_BYTES:
            why = (
                f"column {column.path_in_schema} of row group {number}, {group.num_rows} rows, "
                f"holds more than {COLUMN_BYTES} bytes; write smaller row groups"
            )
            yield FileRecord(b"", Reject("size", why), row)
            return
    try:
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], use_threads=False):
            written = [_written(column) for column in batch.columns]
            step = max(1, _BATCH_BYTES // max(1, sum(map(_widest, batch.columns))))
            for start in range(0, batch.num_rows, step):
                values = [column.slice(start, step).to_pylist() for column in written]
                for cells in zip(*values, strict=True):
                    yield row_record(dict(zip(batch.schema.names, cells, strict=True)), row)
                    row += 1
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        left = first + group.num_rows - row
        why = f"the rest of row group {number}, {left} rows, is damaged: {error}"[:500]
        yield FileRecord(b"", Reject("malformed", why), row)


_TEXT: Final = (
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_large_string,
    pa.types.is_large_binary,
)


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _TEXT)


def _widest(column: pa.Array) -> int:
    """The most bytes that one value of the column has, where those vary."""
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    if not _is_text(values.type) or not len(values):
        return 64
    return cast(int, pc.max(pc.binary_length(values)).as_py() or 0)


def _written(column: pa.Array) -> pa.Array:
    """The column with instants, dates and times as text."""
    kind = _as_text(column.type)
    if pa.types.is_timestamp(column.type):
        return _instants(column)
    return column if kind == column.type else column.cast(kind)


def _instants(column: pa.Array) -> pa.Array:
    zoned = column.type.tz is not None
    if zoned:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    return column.cast(pa.string())


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_temporal(kind):
        return pa.string()
    return _nested(kind)


def _nested(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_text(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_as_text(kind.key_type), _as_text(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    return kind
