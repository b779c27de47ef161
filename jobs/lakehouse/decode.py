"""Decodes and validates one record in one pass, by a type made from its contract.

The contract becomes a msgspec Struct whose annotations carry the row rules, so that JSON is parsed,
typed and checked in C, and a failure says which rule broke where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import pyarrow as pa

from lakehouse.contract import Contract, Field
from lakehouse.tables import arrow_type

_PYTHON_TYPES: Final[dict[str, type]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "date": date,
    "timestamp": datetime,
}
_INT64: Final = (-(2**63), 2**63 - 1)


class Reject(NamedTuple):
    """Why a record is no good."""

    code: str
    """``malformed``, ``missing``, ``type``, ``range``, ``length``, ``pattern``, ``enum`` or
    ``format``."""
    detail: str
    """The decoder's own words, with the path of the value."""


# Order matters: the first that fits names the reason.
_CODES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"missing required field", "missing"),
        (r"matching regex", "pattern"),
        (r"Invalid enum value", "enum"),
        (r"of length", "length"),
        (r"Expected `\w+` (>=|<=|>|<)", "range"),
        (r"out of range", "range"),
        (r"Invalid RFC3339|Invalid ISO|timezone", "format"),
        (r"Expected ", "type"),
    )
)


def record_type(contract: Contract) -> type[msgspec.Struct]:
    """The contract as a msgspec Struct; unknown keys are ignored and stay in the payload."""
    required = [f for f in contract.fields if f.required]
    optional = [f for f in contract.fields if not f.required]
    return msgspec.defstruct(
        contract.dataset,
        [
            *((f.name, _annotation(f)) for f in required),
            *((f.name, _annotation(f) | None, None) for f in optional),
        ],
        gc=False,
        kw_only=True,
    )


def _annotation(field: Field) -> Any:
    if field.enum:
        return Literal[field.enum]
    # What the column's type cannot hold is out of range too.
    low, high = _INT64 if field.type == "integer" else (None, None)
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


UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a record may end in; RecursionError comes of input nested too deep."""


def reason(error: Exception) -> Reject:
    """The reject that an error of the decoder stands for."""
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        for pattern, code in _CODES:
            if pattern.search(text):
                return Reject(code, text)
    return Reject("malformed", text)


class RowDecoder:
    """Decodes the records of one contract into columns."""

    def __init__(self, contract: Contract) -> None:
        self.fields = contract.fields
        self._type = record_type(contract)
        self._json: Callable[[bytes], Any] = msgspec.json.Decoder(self._type).decode
        self._nulls = frozenset(contract.format.nulls)
        empty = msgspec.defstruct("Empty", [(f.name, Any, None) for f in contract.fields])
        self._empty = empty()

    def json(self, payloads: Sequence[bytes]) -> tuple[list[Any], list[Reject | None]]:
        """One row a payload, without values where it is rejected; and why."""
        rows: list[Any] = []
        rejects: list[Reject | None] = []
        decode, empty = self._json, self._empty
        for payload in payloads:
            try:
                rows.append(decode(payload))
                rejects.append(None)
            except UNDECODABLE as error:
                rows.append(empty)
                rejects.append(reason(error))
        return rows, rejects

    def text(
        self, records: Sequence[Mapping[str, str] | Reject]
    ) -> tuple[list[Any], list[Reject | None]]:
        """Rows of text values by column name, as CSV has them; null texts count as absent."""
        rows: list[Any] = []
        rejects: list[Reject | None] = []
        for record in records:
            if isinstance(record, Reject):
                rows.append(self._empty)
                rejects.append(record)
                continue
            present = {k: v for k, v in record.items() if v not in self._nulls}
            try:
                rows.append(msgspec.convert(present, self._type, strict=False))
                rejects.append(None)
            except msgspec.ValidationError as error:
                rows.append(self._empty)
                rejects.append(reason(error))
        return rows, rejects

    def columns(self, rows: Sequence[Any]) -> list[pa.Array]:
        """The contract's columns, in its order, of decoded rows."""
        return [
            pa.array([getattr(row, f.name) for row in rows], type=arrow_type(f))
            for f in self.fields
        ]
