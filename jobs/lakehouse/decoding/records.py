"""What files are taken apart into, and the limits that bound the memory it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from lakehouse.decoding.decode import Reject, RejectError

KEPT_BYTES: Final = 1024 * 1024
"""How much of a file, or of a record that is too large, is kept as the payload of its reject."""
RECORD_BYTES: Final = 10 * 1024 * 1024
"""The most that one record of a file may hold, as one of a stream."""
EMPTY: Final = Reject("empty", "expected at least one record, got an empty file")


class FileRecord(NamedTuple):
    """One record of a file: its payload, and its text values where the format is CSV."""

    payload: bytes
    values: Mapping[str, str] | Reject | None = None
    """None: the payload is a JSON object with all the values."""
    place: int = 0
    """Where it stands in its file: its number, or the byte at which it begins in a split file."""


class CutOffError(RejectError):
    """A file cannot be read any further; what was read of it before is good."""


def too_large() -> Reject:
    """The reject of a record that holds more than RECORD_BYTES."""
    return Reject("size", f"expected a record of at most {RECORD_BYTES} bytes, got a larger one")
