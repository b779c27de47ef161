"""Decodes the payloads of rejects once more, as today's contract would have them.

Pure. The payload is what the reject kept: a user record of a stream, a CSV row under its header, or
one JSON object of any other file. A reject that stands for a whole file kept the beginning of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from lakehouse.contracts.model import Contract
from lakehouse.decoding import kpl
from lakehouse.decoding.decode import Reject, RowDecoder
from lakehouse.decoding.formats import file_records
from lakehouse.decoding.records import KEPT_BYTES
from lakehouse.decoding.registry import SchemaRegistry
from lakehouse.decoding.unpack import body_of, unpack

_SHARE_BYTES: Final = 64 * 1024 * 1024
"""Bytes to decode after which a share ends; a few hundred can stand for megabytes."""
_SHARE_RECORDS: Final = 10_000

_Body = bytes | Mapping[str, str] | Reject
_Record = tuple[str | None, bytes, _Body]
"""A record's own partition key, its payload, and what is to be decoded of it."""


class OldReject(msgspec.Struct, frozen=True):
    """A reject to be decoded again."""

    payload: bytes
    index: int
    reason: Reject


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Some rejects decoded again; all sequences but ``cut`` are of the same length.

    Where a reject stood for several records, an aggregate or a file, they have the positions that
    they would have had at first: counted on from its own.
    """

    origins: Sequence[int]
    """Place of the old reject among those that were given."""
    indexes: Sequence[int]
    partition_keys: Sequence[str | None]
    """Each record's own key; None: that of its reject."""
    payloads: Sequence[bytes]
    columns: Sequence[pa.Array]
    rejects: Sequence[Reject | None]
    cut: Sequence[int]
    """Places of the rejects of files, or of records in them, that kept the beginning alone: nothing
    can be made of them before the file is dropped again."""


class Redecoder:
    """Decodes rejects by a contract; ``registry`` as RowDecoder takes it."""

    def __init__(self, contract: Contract, registry: SchemaRegistry | None = None) -> None:
        self._stream = contract.source == "stream"
        self._csv = contract.format.type == "csv"
        self._contract = contract if self._stream else unpacked(contract)
        # What files of the other formats are taken apart into is JSON.
        kind = msgspec.structs.replace(contract.format, type="json")
        decoded = contract if self._stream else msgspec.structs.replace(contract, format=kind)
        self._decoder = RowDecoder(decoded, registry)

    def decode(self, rejects: Sequence[OldReject]) -> Iterator[Again]:
        """What becomes of them, in order and in shares of at most about 64 MiB.

        Raises TransientError while a writer schema cannot be looked up.
        """
        share = _Share()
        for place, old in enumerate(rejects):
            if self._is_cut(old):
                share.cut.append(place)
                continue
            for index, record in enumerate(self._records(old), start=old.index):
                share.add(place, index, record)
                if share.is_full():
                    yield share.decoded(self._decoder, self._rows)
                    share = _Share()
        if share.bodies or share.cut:
            yield share.decoded(self._decoder, self._rows)

    def _is_cut(self, old: OldReject) -> bool:
        return not self._stream and len(old.payload) == KEPT_BYTES

    def _records(self, old: OldReject) -> Iterator[_Record]:
        fmt = self._contract.format
        if not self._stream:
            yield from self._file_records(old)
        elif _is_aggregate(old):
            for share in unpack([old.payload], fmt):
                keys = share.partition_keys or [None] * len(share.payloads)
                yield from zip(keys, share.payloads, share.bodies, strict=True)
        else:
            yield None, old.payload, body_of(old.payload, fmt)

    def _file_records(self, old: OldReject) -> Iterator[_Record]:
        if _is_file(old):
            for record in file_records(old.payload, self._contract):
                body = record.payload if record.values is None else record.values
                yield None, record.payload, body
        elif not self._csv:
            yield None, old.payload, old.payload
        else:
            rows = list(file_records(old.payload, self._contract))
            values = rows[0].values if len(rows) == 1 else None
            # The places behind it belong to the rows that followed it in its file.
            several = f"expected one row in the payload, got {len(rows)}; drop the file again"
            yield None, old.payload, values or Reject("malformed", several)

    def _rows(self, bodies: Sequence[Any]) -> tuple[list[Any], list[Reject | None]]:
        if self._stream:
            return self._decoder.decode(bodies)
        return self._decoder.text(bodies) if self._csv else self._decoder.json(bodies)


def unpacked(contract: Contract) -> Contract:
    """The contract of files as their payloads are kept: decompressed."""
    plain = msgspec.structs.replace(contract.format, compression=None)
    return msgspec.structs.replace(contract, format=plain)


def _is_aggregate(old: OldReject) -> bool:
    """Whether a reject stands for a whole aggregate, rather than for a user record in one."""
    words = old.reason.detail
    return old.index == 0 and old.payload.startswith(kpl.MAGIC) and "aggregate" in words


def _is_file(old: OldReject) -> bool:
    """Whether a reject stands for a whole file, rather than for a record in one."""
    code, detail = old.reason
    return old.index == 0 and (
        code in {"header", "empty"}
        or (code == "missing" and not detail.startswith("Object missing"))
        or (code == "malformed" and detail.startswith(("not a JSON document", "no header")))
    )


class _Share:
    def __init__(self) -> None:
        self.bodies: list[_Body] = []
        self.cut: list[int] = []
        self._origins: list[int] = []
        self._indexes: list[int] = []
        self._keys: list[str | None] = []
        self._payloads: list[bytes] = []
        self._size = 0

    def add(self, origin: int, index: int, record: _Record) -> None:
        key, payload, body = record
        self.bodies.append(body)
        self._origins.append(origin)
        self._indexes.append(index)
        self._keys.append(key)
        self._payloads.append(payload)
        self._size += len(body) if isinstance(body, bytes) else len(payload)

    def is_full(self) -> bool:
        return self._size >= _SHARE_BYTES or len(self.bodies) >= _SHARE_RECORDS

    def decoded(
        self,
        decoder: RowDecoder,
        decode: Callable[[Sequence[_Body]], tuple[list[Any], list[Reject | None]]],
    ) -> Again:
        rows, rejects = decode(self.bodies)
        columns = decoder.columns(rows, rejects)
        return Again(
            origins=self._origins,
            indexes=self._indexes,
            partition_keys=self._keys,
            payloads=self._payloads,
            columns=columns,
            rejects=rejects,
            cut=self.cut,
        )
