"""Rows of typed columns as JSON objects, so that they can be decoded again by any contract.

What JSON lacks is written as text: instants and dates as in RFC 3339, bytes in base64, NaN and the
infinities by their names. Decimals are numbers with all their digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakehouse.decoding.decode import Reject
from lakehouse.decoding.records import KEPT_BYTES, RECORD_BYTES, FileRecord, too_large

_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


def row_record(row: Mapping[str, Any], index: int, reject: Reject | None = None) -> FileRecord:
    """The record of a row."""
    try:
        payload = _encode(_written(row))
    except (UnicodeError, RecursionError, ValueError) as error:
        return FileRecord(b"", Reject("malformed", f"not writable as JSON: {error}"), index)
    if len(payload) > RECORD_BYTES:
        return FileRecord(payload[:KEPT_BYTES], too_large(), index)
    return FileRecord(payload, reject, index)


def _written(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {k if isinstance(k, str) else str(k): _written(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value
