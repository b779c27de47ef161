"""Shares out objects to the tasks of a load: large ones in splits, small ones together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from lakehouse.contracts.model import FileFormat
from lakehouse.decoding.formats import can_split
from lakehouse.ingestion.ledger import ObjectRef, Part

SPLIT_BYTES: Final = 64 * 1024 * 1024
_PART_OBJECTS: Final = 1000
"""Objects after which a part ends; each costs a request, however small it is."""


def into_parts(
    objects: Iterable[ObjectRef], fmt: FileFormat, split_bytes: int = SPLIT_BYTES
) -> Iterator[Part]:
    """Objects in order, split and grouped so that no part reads much more than its share."""
    group: list[ObjectRef] = []
    size = 0
    for ref in objects:
        for split in into_splits(ref, fmt, split_bytes):
            share = _bytes(split)
            if group and (size + share > split_bytes or len(group) >= _PART_OBJECTS):
                yield Part(objects=tuple(group))
                group, size = [], 0
            group.append(split)
            size += share
    if group:
        yield Part(objects=tuple(group))


def into_splits(ref: ObjectRef, fmt: FileFormat, split_bytes: int) -> Iterator[ObjectRef]:
    """The splits of an object, or the object itself."""
    if ref.manifest or ref.size <= split_bytes or not can_split(ref.key, fmt):
        yield ref
        return
    for first in range(0, ref.size, split_bytes):
        yield replace(ref, first=first, last=min(first + split_bytes, ref.size))


def _bytes(split: ObjectRef) -> int:
    if split.manifest:
        return 0
    return split.size if split.last is None else split.last - split.first
