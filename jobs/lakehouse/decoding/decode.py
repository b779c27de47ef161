"""Decodes and validates one record in one pass, by a type made from its contract.

The contract becomes a msgspec Struct whose annotations carry the row rules, so that JSON is parsed,
typed and checked in C, and a failure says which rule broke where.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts.model import Contract, Field
from lakehouse.tables import arrow_type

if TYPE_CHECKING:
    from lakehouse.decoding.registry import SchemaRegistry

_PYTHON_TYPES: Final[dict[str, type]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "date": date,
    "timestamp": datetime,
}
# What a column cannot hold is out of range too; NaN fails both bounds.
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "integer": (-(2**63), 2**63 - 1),
    "number": (-sys.float_info.max, sys.float_info.max),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = pa.scalar(datetime.min.replace(tzinfo=UTC) - _EPOCH, pa.duration("us"))
_LAST: Final = pa.scalar(datetime.max.replace(tzinfo=UTC) - _EPOCH, pa.duration("us"))
_DETAIL_CHARACTERS: Final = 500
"""The decoder's words may quote the record, which can be long."""


class Reject(NamedTuple):
    """Why a record is no good."""

    code: str
    """``malformed``, ``missing``, ``type``, ``range``, ``length``, ``pattern``, ``enum``,
    ``format``, ``empty``, ``size`` or ``schema``."""
    detail: str
    """The decoder's own words, with the path of the value."""


class RejectError(Exception):
    """A record is no good, for a reason that is known where it is raised."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.reject = Reject(code, detail)


# Order matters: the first that fits names the reason.
_CODES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"^Object missing required field", "missing"),
        (r"^Expected `str` matching regex", "pattern"),
        (r"^Invalid enum value", "enum"),
        (r"^Expected `str` of length", "length"),
        (r"^Expected `\w+` (>=|<=|>|<)", "range"),
        (r"out of range", "range"),
        (r"^Invalid RFC3339|^Invalid ISO|timezone", "format"),
        (r"^Expected ", "type"),
    )
)


def record_type(contract: Contract) -> type[msgspec.Struct]:
    """The contract as a msgspec Struct; unknown keys are ignored and stay in the payload."""
    return _struct(contract, [f for f in contract.fields if f.required])


def _delete_type(contract: Contract) -> type[msgspec.Struct]:
    """The same of a record that deletes its key: nothing but key and event time is required."""
    needed = {*contract.deduplicate.key, contract.event_time}
    return _struct(contract, [f for f in contract.fields if f.required and f.name in needed])


def _struct(contract: Contract, required: Sequence[Field]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        contract.dataset,
        [
            (f.name, _annotation(f)) if f in required else (f.name, _annotation(f) | None, None)
            for f in contract.fields
        ],
        gc=False,
        kw_only=True,
    )


def _annotation(field: Field) -> Any:
    if field.enum:
        return Literal[field.enum]
    low, high = _BOUNDS.get(field.type, (None, None))
    convert = int if field.type == "integer" else float
    rules = {
        "ge": low if field.minimum is None else convert(field.minimum),
        "le": high if field.maximum is None else convert(field.maximum),
        "min_length": field.min_length,
        "max_length": field.max_length,
        "pattern": field.pattern,
        "tz": True if field.type == "timestamp" else None,
    }
    meta: dict[str, Any] = {name: value for name, value in rules.items() if value is not None}
    kind = _PYTHON_TYPES[field.type]
    return Annotated[kind, msgspec.Meta(**meta)] if meta else kind


UNDECODABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError, RejectError)
"""What decoding a record may end in; RecursionError comes of input nested too deep."""


_UNHELD: Final = (pa.ArrowException, UnicodeError, OverflowError)
"""What making a column may end in, when it cannot hold a value."""


def reason(error: Exception) -> Reject:
    """The reject that an error of the decoder stands for."""
    code, text = "malformed", str(error)
    if isinstance(error, RejectError):
        code = error.reject.code
    elif isinstance(error, msgspec.ValidationError):
        code = next((code for pattern, code in _CODES if pattern.search(text)), code)
    # Half of a surrogate pair cannot be written.
    text = text[:_DETAIL_CHARACTERS].encode(errors="backslashreplace").decode()
    return Reject(code, text)


class _Ways(NamedTuple):
    """How a record is decoded, and how if that fails and it may be one that deletes its key."""

    record: Callable[[Any], Any]
    delete: Callable[[Any], Any]


class RowDecoder:
    """Decodes the records of one contract into columns.

    ``registry`` has the writer schemas of Avro whose header names them.
    """

    def __init__(self, contract: Contract, registry: SchemaRegistry | None = None) -> None:
        self.fields = contract.fields
        self._deletes = contract.deduplicate.deletes
        kinds = record_type(contract), _delete_type(contract)
        self._json = _Ways(*(msgspec.json.Decoder(kind).decode for kind in kinds))
        self._text = _Ways(*(partial(self._text_row, kind) for kind in kinds))
        self._nulls = frozenset(contract.format.nulls)
        self._instants = [f.name for f in contract.fields if f.type == "timestamp"]
        empty = msgspec.defstruct("Empty", [(f.name, Any, None) for f in contract.fields])
        self._empty = empty()
        self._body = self._json
        if contract.format.type == "avro" and contract.source == "stream":
            from lakehouse.decoding.avro import AvroReader

            self._avro = AvroReader(contract, registry)
            self._body = _Ways(*(partial(self._avro_row, kind) for kind in kinds))

    def decode(self, bodies: Sequence[bytes | Reject]) -> tuple[list[Any], list[Reject | None]]:
        """One row a body in the contract's format, without values where it is rejected; and why.

        Raises TransientError while a writer schema cannot be looked up.
        """
        return self._rows(self._body, bodies)

    def json(self, payloads: Sequence[bytes]) -> tuple[list[Any], list[Reject | None]]:
        """One row a JSON payload, without values where it is rejected; and why."""
        return self._rows(self._json, payloads)

    def text(
        self, records: Sequence[Mapping[str, str] | Reject]
    ) -> tuple[list[Any], list[Reject | None]]:
        """Rows of text values by column name, as CSV has them; null texts count as absent."""
        return self._rows(self._text, records)

    def columns(
        self, rows: Sequence[Any], rejects: list[Reject | None] | None = None
    ) -> list[pa.Array]:
        """The contract's columns, in its order, of decoded rows.

        A row with a value that no column can hold is without values, and its reason is set in
        ``rejects``. Without that list it is an error.
        """
        try:
            return self._arrays(rows)
        except _UNHELD:
            if rejects is None:
                raise
        kept = list(rows)
        for at, error in self._unheld(rows, 0):
            kept[at] = self._empty
            code = "malformed" if isinstance(error, UnicodeError) else "range"
            rejects[at] = reason(RejectError(code, f"no column holds it: {error}"))
        return self._arrays(kept)

    def _unheld(self, rows: Sequence[Any], first: int) -> Iterator[tuple[int, Exception]]:
        """The places of the rows that no column can hold, found by halves."""
        try:
            self._arrays(rows)
        except _UNHELD as error:
            if len(rows) == 1:
                yield first, error
                return
            half = len(rows) // 2
            yield from self._unheld(rows[:half], first)
            yield from self._unheld(rows[half:], first + half)

    def _arrays(self, rows: Sequence[Any]) -> list[pa.Array]:
        if not rows:
            return [pa.array([], arrow_type(f)) for f in self.fields]
        # A tuple a row would be one more object for the garbage collector to go through.
        return [_array(list(map(attrgetter(f.name), rows)), f) for f in self.fields]

    def _rows(
        self, ways: _Ways, records: Sequence[object]
    ) -> tuple[list[Any], list[Reject | None]]:
        rows: list[Any] = []
        rejects: list[Reject | None] = [None] * len(records)
        rest = iter(records)
        while len(rows) < len(records):
            try:
                # An error leaves what was decoded before it in the list, and the rest to come.
                rows.extend(map(ways.record, rest))
            except (*UNDECODABLE, TypeError) as error:
                at = len(rows)
                row = self._delete(ways, records[at])
                if row is None:
                    rejects[at] = _reject(records[at], error)
                    row = self._empty
                rows.append(row)
        return rows, rejects

    def _delete(self, ways: _Ways, record: object) -> Any:
        """The row of a record that deletes its key and lacks what others must have, else None."""
        rule = self._deletes
        if rule is None or isinstance(record, Reject):
            return None
        try:
            row = ways.delete(record)
        except (*UNDECODABLE, TypeError):
            return None
        value = getattr(row, rule.field)
        said = str(value).lower() if isinstance(value, bool) else str(value)
        return row if said in rule.values else None

    def _text_row(self, kind: type[msgspec.Struct], record: Mapping[str, str] | Reject) -> Any:
        if isinstance(record, Reject):
            raise RejectError(*record)
        present = {k: v for k, v in record.items() if v not in self._nulls}
        for name in self._instants:
            # A bare number would be taken as seconds since 1970.
            if ":" not in present.get(name, ":"):
                raise RejectError("format", f"Invalid RFC3339 encoded datetime - at `$.{name}`")
        return msgspec.convert(present, kind, strict=False)

    def _avro_row(self, kind: type[msgspec.Struct], body: bytes | Reject) -> Any:
        if isinstance(body, Reject):
            raise RejectError(*body)
        return msgspec.convert(self._avro.read(body), kind)


def _reject(record: object, error: Exception) -> Reject:
    if isinstance(record, Reject):
        return record
    if isinstance(error, TypeError):
        raise error
    if type(error) is msgspec.DecodeError and isinstance(record, bytes) and not record.strip():
        return Reject("empty", f"expected a record, got {len(record)} bytes of nothing")
    return reason(error)


def _array(values: Sequence[Any], field: Field) -> pa.Array:
    kind = arrow_type(field)
    if field.type != "timestamp":
        return pa.array(values, kind)
    # Arrow takes four times as long to convert datetimes with a zone.
    spans = pa.array([v and v - _EPOCH for v in values], pa.duration("us"))
    if pc.any(pc.or_(pc.less(spans, _FIRST), pc.greater(spans, _LAST))).as_py():
        raise OverflowError(f"{field.name} is outside of the years 1 to 9999 in UTC")
    return spans.view(kind)
