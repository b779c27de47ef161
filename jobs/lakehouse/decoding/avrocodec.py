"""What blocks of Avro container files are compressed with; none holds more than BLOCK_BYTES."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa

from lakehouse.decoding.decode import RejectError

BLOCK_BYTES: Final = 64 * 1024 * 1024
"""The most that a block may hold, compressed or not: it is read as a whole."""


def _too_large() -> RejectError:
    return RejectError("size", f"an Avro block holds more than {BLOCK_BYTES} bytes")


def _deflate(body: bytes) -> bytes:
    return _bounded(zlib.decompressobj(-15).decompress, body)


def _bzip2(body: bytes) -> bytes:
    return _bounded(bz2.BZ2Decompressor().decompress, body)


def _xz(body: bytes) -> bytes:
    return _bounded(lzma.LZMADecompressor().decompress, body)


def _bounded(decompress: Callable[[bytes, int], bytes], body: bytes) -> bytes:
    try:
        out = decompress(body, BLOCK_BYTES + 1)
    except (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise RejectError("malformed", f"an Avro block is damaged: {error}") from error
    if len(out) > BLOCK_BYTES:
        raise _too_large()
    return out


def _zstandard(body: bytes) -> bytes:
    def read(given: bytes, most: int) -> bytes:
        with pa.CompressedInputStream(pa.BufferReader(given), "zstd") as stream:
            return bytes(stream.read(most))

    return _bounded(read, body)


def _snappy(body: bytes) -> bytes:
    # Its first bytes say how much comes out, its last four are a checksum of that.
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > BLOCK_BYTES:
        raise _too_large()
    out = _bounded(
        lambda given, _: bytes(pa.decompress(given, size, "snappy", asbytes=True)), body[:-4]
    )
    if zlib.crc32(out) != int.from_bytes(body[-4:], "big"):
        raise RejectError("malformed", "an Avro block has a wrong checksum")
    return out


CODECS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "null": bytes,
    "deflate": _deflate,
    "snappy": _snappy,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstandard": _zstandard,
}
"""How a block's bytes are decompressed, by the codec's name; each may raise RejectError."""
