"""Lines of a file with where each begins, from the start or from any byte on.

A line ends with LF, CR LF or CR alone. It belongs to the split in which it begins.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from lakehouse.decoding.decode import Reject
from lakehouse.decoding.records import KEPT_BYTES, RECORD_BYTES, CutOffError, too_large
from lakehouse.decoding.source import Source


class Line(NamedTuple):
    """A line with its end; its beginning and a reject where it is too long or the file is cut."""

    offset: int
    raw: bytes
    reject: Reject | None = None


def lines(chunks: Iterable[bytes], offset: int = 0) -> Iterator[Line]:
    """All lines; where the file is cut, what was read of the last one is a reject."""
    kept: list[bytes] = []
    size = 0
    at = offset
    try:
        for end, piece in _pieces(chunks):
            size += len(piece)
            if size <= RECORD_BYTES:
                kept.append(piece)
            elif len(kept) != 1 or len(kept[0]) != KEPT_BYTES:
                kept = [b"".join([*kept, piece])[:KEPT_BYTES]]
            if end:
                yield _line(at, kept, size)
                at, size, kept = at + size, 0, []
    except CutOffError as error:
        yield Line(at, b"".join(kept)[:KEPT_BYTES], error.reject)
        return
    if size:
        yield _line(at, kept, size)


def _line(offset: int, kept: list[bytes], size: int) -> Line:
    raw = kept[0] if len(kept) == 1 else b"".join(kept)
    return Line(offset, raw) if size <= RECORD_BYTES else Line(offset, raw, too_large())


def _pieces(chunks: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Lines and pieces of lines, and whether a line ends there."""
    held = b""
    for chunk in chunks:
        # A CR at the end of a chunk may be half of a CR LF.
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        for piece in data[: len(data) - len(held)].splitlines(keepends=True):
            yield piece.endswith((b"\n", b"\r")), piece
    if held:
        yield True, held


def split_lines(source: Source, start: int, end: int) -> Iterator[Line]:
    """The lines that begin from ``start`` to before ``end``."""
    if start == 0:
        found = lines(source.chunks())
    else:
        # The line that holds the byte before is the split's before it, with its end.
        found = lines(source.chunks(start - 1), start - 1)
        next(found, None)
    for line in found:
        if line.offset >= end:
            return
        yield line


def is_line_safe(encoding: str) -> bool:
    """Whether lines can be told apart in an encoding before they are decoded."""
    return "\r\n".encode(encoding) == b"\r\n"


def transcoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Text of any encoding as UTF-8; CutOffError from where on it is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for piece in chain(filter(None, chunks), [b""]):
        before = decoder.getstate()
        try:
            yield decoder.decode(piece, not piece).encode(errors="replace")
        except UnicodeError:
            decoder.setstate(before)
            yield from _to_the_damage(decoder, piece, encoding)


def _to_the_damage(
    decoder: codecs.IncrementalDecoder, piece: bytes, encoding: str
) -> Iterator[bytes]:
    """What is text before bytes that are none, however many were read at a time."""
    try:
        for at in range(len(piece)):
            yield decoder.decode(piece[at : at + 1]).encode(errors="replace")
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise CutOffError("malformed", f"not {encoding} text: {error}") from error
