"""Bytes of a file by range, wherever it lies; compressed ones are inflated as they are read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, Literal, Protocol

from lakehouse.contracts.model import FileFormat
from lakehouse.decoding.records import CutOffError

CHUNK_BYTES: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_WBITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS}
_FREE_BYTES: Final = 64 * 1024 * 1024
"""Inflated bytes up to which no file is taken for a decompression bomb."""
_MOST_RATIO: Final = 200
"""Inflated bytes for each stored one beyond that; text seldom has more than 30."""

Compression = Literal["gzip", "zlib"]


class Source(Protocol):
    """One immutable file."""

    @property
    def size(self) -> int:
        """Bytes as they are stored."""

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``, or to the end of the file, piece by piece."""


class MemorySource:
    """A file in memory."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def size(self) -> int:
        """See Source."""
        return len(self._body)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Source."""
        stop = self.size if end is None else min(end, self.size)
        for at in range(start, stop, CHUNK_BYTES):
            yield self._body[at : min(at + CHUNK_BYTES, stop)]


class FileSource:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """See Source."""
        return self._path.stat().st_size

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Source."""
        stop = self.size if end is None else min(end, self.size)
        with self._path.open("rb") as file:
            file.seek(start)
            while piece := file.read(max(0, min(CHUNK_BYTES, stop - file.tell()))):
                yield piece


class SeekableSource(io.RawIOBase):
    """A source as a file to seek in, for libraries that want one."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See RawIOBase."""
        return True

    def tell(self) -> int:
        """See RawIOBase."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See RawIOBase."""
        self._at = {0: 0, 1: self._at, 2: self._source.size}[whence] + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """See RawIOBase."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed has no buffer here
        done = 0
        for piece in self._source.chunks(self._at, self._at + len(view)):
            view[done : done + len(piece)] = piece
            done += len(piece)
        self._at += done
        return done


def packing(source: Source, fmt: FileFormat) -> Compression | None:
    """What a file is compressed with, told by its first bytes.

    No format begins as gzip does, so its mark alone decides; that of zlib is weak and counts only
    where the contract names zlib.
    """
    head = b"".join(source.chunks(0, 2))
    if head == _GZIP:
        return "gzip"
    weak = len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head, "big") % 31 == 0
    return "zlib" if fmt.compression == "zlib" and weak else None


def inflated(chunks: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """The bytes that compressed ones stand for, of all members where gzip has several.

    Raises CutOffError after the last good byte: ``malformed`` where the data ends early or is
    damaged, ``size`` where it swells like a decompression bomb.
    """
    member = zlib.decompressobj(_WBITS[compression])
    taken = given = 0
    for piece in chunks:
        rest = piece
        taken += len(piece)
        while rest:
            if member.eof:
                # Some writers fill up with zeros.
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                if compression == "zlib":
                    raise CutOffError("malformed", "bytes after the end of the zlib data")
                member = zlib.decompressobj(_WBITS[compression])
            try:
                before = member.copy()
                out = member.decompress(rest, CHUNK_BYTES)
            except zlib.error:
                yield from _to_the_damage(before, rest, compression)
                return
            rest = member.unused_data if member.eof else member.unconsumed_tail
            given += len(out)
            if given > _FREE_BYTES and given > _MOST_RATIO * taken:
                raise CutOffError(
                    "size", f"{taken} bytes of {compression} data hold more than {given} bytes"
                )
            if out:
                yield out
    if not member.eof:
        raise CutOffError("malformed", f"{compression} data ends early, after {taken} bytes")


def _to_the_damage(member: zlib._Decompress, rest: bytes, compression: str) -> Iterator[bytes]:
    """What comes out before damaged bytes, however many were read at a time."""
    try:
        for at in range(len(rest)):
            out = member.decompress(rest[at : at + 1])
            if out:
                yield out
    except zlib.error as error:
        raise CutOffError("malformed", f"not {compression}: {error}") from error


def peeked(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first ``count`` bytes, fewer where there are no more, and all bytes with these."""
    pieces: list[bytes] = []
    failed: list[CutOffError] = []
    size = 0
    try:
        while size < count and (piece := next(chunks, None)) is not None:
            pieces.append(piece)
            size += len(piece)
    except CutOffError as error:
        failed.append(error)

    def again() -> Iterator[bytes]:
        yield from pieces
        if failed:
            raise failed[0]

    return b"".join(pieces)[:count], chain(again(), chunks)
