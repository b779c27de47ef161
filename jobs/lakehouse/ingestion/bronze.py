"""Writes deliveries to the data files of a bronze table, and describes the files for a claim."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import Reject
from lakehouse.ingestion.ledger import Claim, ClaimedFile, Plan, ShardEnd

_TARGET_BYTES: Final = 128 * 1024 * 1024
"""Payload bytes after which a file is ended."""
_GROUP_BYTES: Final = 32 * 1024 * 1024
"""Payload bytes after which a row group is ended; about what a writer holds in memory."""
_EPOCH: Final = date(1970, 1, 1)
_UNMEASURED: Final = {"write.metadata.metrics.column._payload": "none"}
_DISTINCT: Final = {"_payload", "_sequence", "_index", "_arrived_at"}


class BronzeWriter:
    """The data files of one part of one load; every file is named anew, so no attempt collides.

    Memory is bounded by the batch that is added. ``claim`` ends the files and says what they hold;
    ``abort`` removes what was written.
    """

    def __init__(self, table: Table, contract: Contract, plan: Plan, part: int) -> None:
        self._table = table
        self._contract = contract
        self._plan = plan
        self._part = part
        self._stem = f"{plan.load:012d}-{part:05d}"
        self._day = (plan.made_at.astimezone(UTC).date() - _EPOCH).days
        self._schema = schema_to_pyarrow(table.schema(), include_field_ids=True)
        self._columns = _leaves(self._schema)
        self._writer: pq.ParquetWriter | None = None
        self._path = ""
        self._footers: list[Any] = []
        self._paths: list[str] = []
        self._files: list[ClaimedFile] = []
        self._buffer: list[pa.RecordBatch] = []
        self._buffered = 0
        self._written = 0
        self._good = 0
        self._rejected: Counter[str] = Counter()
        self._payload_bytes = 0

    def add(
        self,
        *,
        columns: Sequence[pa.Array],
        rejects: Sequence[Reject | None],
        payloads: Sequence[bytes],
        source: pa.Array | str,
        sequences: pa.Array | Sequence[str] | str,
        indexes: pa.Array | int,
        partition_keys: Sequence[str | None] | None,
        arrived_at: pa.Array | datetime,
        attempts: pa.Array | None = None,
    ) -> int:
        """Append deliveries; a single value stands for all rows. The payloads' bytes.

        ``columns`` are the contract's, in its order; ``indexes`` as one number counts on from it.
        """
        count = len(payloads)
        if not count:
            return 0
        bad = [reject for reject in rejects if reject is not None]
        self._good += count - len(bad)
        self._rejected.update(reject.code for reject in bad)
        size = sum(map(len, payloads))
        self._payload_bytes += size
        by_name = dict(zip((f.name for f in self._contract.fields), columns, strict=True))
        timestamp = pa.timestamp("us", tz="UTC")
        by_name |= {
            "_payload": pa.array(payloads, pa.binary()),
            "_source": _fill(source, count, pa.string()),
            "_sequence": _fill(sequences, count, pa.string()),
            "_index": pa.array(range(indexes, indexes + count), pa.int64())
            if isinstance(indexes, int)
            else indexes,
            "_partition_key": pa.nulls(count, pa.string())
            if partition_keys is None
            else pa.array(partition_keys, pa.string()),
            "_arrived_at": _fill(arrived_at, count, timestamp),
            "_ingested_at": _repeat(self._plan.made_at, count, timestamp),
            "_load": _repeat(self._plan.load, count, pa.int64()),
            "_attempt": _repeat(0, count, pa.int32()) if attempts is None else attempts,
            "_contract_version": _repeat(self._contract.version, count, pa.string()),
            "_reject": _reject_column(rejects, len(bad)),
        }
        arrays = [
            (by_name[field.name] if field.name in by_name else pa.nulls(count, field.type)).cast(
                field.type
            )
            for field in self._schema
        ]
        self._buffer.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._buffered += size
        if self._buffered >= _GROUP_BYTES:
            self._write_group()
        if self._written >= _TARGET_BYTES:
            self._finish_file()
        return size

    def claim(self, shards: tuple[ShardEnd, ...] = (), through: datetime | None = None) -> Claim:
        """End the last file, and claim the part: what was read, where it is, how much was good."""
        self._finish_file()
        return Claim(
            load=self._plan.load,
            part=self._part,
            files=tuple(self._files),
            good=self._good,
            rejected=dict(self._rejected),
            payload_bytes=self._payload_bytes,
            shards=shards,
            through=through,
        )

    def abort(self) -> None:
        """Remove every file of this writer, as far as the store allows."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        remove_files(self._table, self._paths)

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            name = f"{self._stem}-{uuid.uuid4().hex}.parquet"
            day = date.fromordinal(_EPOCH.toordinal() + self._day)
            location = self._table.location()
            self._path = f"{location}/data/_ingested_at_day={day}/{name}"
            self._paths.append(self._path)
            self._footers = []
            self._sink = self._table.io.new_output(self._path).create()
            self._writer = pq.ParquetWriter(
                self._sink,
                self._schema,
                compression="zstd",
                # Nobody looks for a payload by its bounds, and hardly a value of these comes twice.
                write_statistics=[n for n in self._columns if n != "_payload"],
                use_dictionary=[n for n in self._columns if n not in _DISTINCT],
                metadata_collector=self._footers,
                store_decimal_as_integer=True,
            )
        return self._writer

    def _write_group(self) -> None:
        rows = pa.Table.from_batches(self._buffer, self._schema)
        if rows.num_rows:
            self._open().write_table(rows, row_group_size=rows.num_rows)
        self._written += self._buffered
        self._buffer.clear()
        self._buffered = 0

    def _finish_file(self) -> None:
        self._write_group()
        if self._writer is None:
            return
        self._writer.close()
        self._sink.close()
        self._writer = None
        self._written = 0
        size = len(self._table.io.new_input(self._path))
        self._files.append(self._describe(self._footers[-1], size))

    def _describe(self, footer: Any, size: int) -> ClaimedFile:
        schema = self._table.schema()
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=footer,
            stats_columns=compute_statistics_plan(schema, self._table.properties | _UNMEASURED),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        ).to_serialized_dict()
        return ClaimedFile(
            path=self._path,
            size=size,
            records=statistics.pop("record_count"),
            day=self._day,
            **statistics,
        )


def data_file(table: Table, claimed: ClaimedFile) -> DataFile:
    """The file of a claim as Iceberg commits it."""
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=claimed.path,
        file_format=FileFormat.PARQUET,
        partition=Record(claimed.day),
        file_size_in_bytes=claimed.size,
        record_count=claimed.records,
        column_sizes=claimed.column_sizes,
        value_counts=claimed.value_counts,
        null_value_counts=claimed.null_value_counts,
        nan_value_counts=claimed.nan_value_counts,
        lower_bounds=claimed.lower_bounds,
        upper_bounds=claimed.upper_bounds,
        split_offsets=claimed.split_offsets,
        sort_order_id=None,
        spec_id=table.spec().spec_id,
        equality_ids=None,
        key_metadata=None,
    )


def remove_files(table: Table, paths: Sequence[str]) -> None:
    """Remove files that no claim names; what cannot be removed is left to orphan removal."""
    for path in paths:
        with contextlib.suppress(OSError):
            table.io.delete(path)


def _leaves(schema: pa.Schema) -> list[str]:
    """The columns as Parquet names them: a struct's by its path."""
    return [
        f"{field.name}.{inner.name}" if inner is not field else field.name
        for field in schema
        for inner in (field.type if pa.types.is_struct(field.type) else [field])
    ]


def _repeat(value: Any, count: int, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), count)


def _fill(value: Any, count: int, kind: pa.DataType) -> pa.Array:
    if isinstance(value, str | datetime):
        return _repeat(value, count, kind)
    return value if isinstance(value, pa.Array) else pa.array(value, kind)


def _reject_column(rejects: Sequence[Reject | None], bad: int) -> pa.Array:
    kind = pa.struct([("code", pa.string()), ("detail", pa.string())])
    if not bad:
        return pa.nulls(len(rejects), kind)
    return pa.array([r and {"code": r.code, "detail": r.detail} for r in rejects], kind)
