"""Manifests: objects that say which others belong together, and by which a set is known as whole.

A manifest is a JSON list of names, or of objects with ``name`` and maybe ``size``, ``etag`` and
``rows``, or ``{"files": [...]}`` with such a list, or plain lines of names. Names are relative to
the folder of the manifest.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from lakehouse.aws import Aws
from lakehouse.ingestion.ledger import ObjectRef
from lakehouse.ingestion.objects import ObjectSource
from lakehouse.naming import landing_prefix

_MANIFEST_BYTES: Final = 16 * 1024 * 1024
_NAMED: Final = 5
"""Names that a message lists."""


class Listed(msgspec.Struct, frozen=True):
    """One object as a manifest has it; what it does not say is not compared."""

    name: str
    size: int | None = None
    etag: str | None = None
    rows: int | None = None


class _Files(msgspec.Struct, frozen=True):
    files: list[str | Listed]


class Waiting(msgspec.Struct, frozen=True):
    """A set, or an object without one, that is not landed yet, since when, and what it lacks."""

    key: str
    since: datetime
    why: str
    objects: int = 1


class ManifestError(ValueError):
    """A manifest that cannot be followed; says why."""


def is_manifest(key: str, dataset: str, pattern: str) -> bool:
    """Whether an object is a manifest; a pattern without slash is of the last part of its name."""
    name = key.removeprefix(landing_prefix(dataset))
    return fnmatchcase(name if "/" in pattern else posixpath.basename(name), pattern)


def read_manifest(aws: Aws, ref: ObjectRef, dataset: str) -> Mapping[str, Listed]:
    """What a manifest lists, by key; ManifestError if it is none."""
    if ref.size > _MANIFEST_BYTES:
        raise ManifestError(f"expected at most {_MANIFEST_BYTES} bytes, got {ref.size}")
    return parse_manifest(b"".join(ObjectSource(aws, ref).chunks()), ref.key, dataset)


def parse_manifest(body: bytes, key: str, dataset: str) -> Mapping[str, Listed]:
    """See read_manifest."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    found: dict[str, Listed] = {}
    for entry in _entries(body):
        listed = Listed(entry) if isinstance(entry, str) else entry
        named = posixpath.normpath(posixpath.join(posixpath.dirname(key), listed.name))
        inside = named.startswith(landing_prefix(dataset)) and not listed.name.startswith("/")
        if not inside or named == key:
            raise ManifestError(
                f"it names {listed.name!r}; expected files below {landing_prefix(dataset)}, "
                "relative to the folder of the manifest"
            )
        if found.setdefault(named, listed) != listed:
            raise ManifestError(f"it names {listed.name!r} twice, with different sizes or counts")
    return found


def _entries(body: bytes) -> Iterable[str | Listed]:
    if body.lstrip()[:1] in (b"[", b"{"):
        try:
            found = msgspec.json.decode(body, type=list[str | Listed] | _Files)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ManifestError(f"not a manifest: {error}") from error
        return found.files if isinstance(found, _Files) else found
    try:
        return [line.strip() for line in body.decode().splitlines() if line.strip()]
    except UnicodeError as error:
        raise ManifestError(f"not a manifest: {error}") from error


def lacking(listed: Mapping[str, Listed], there: Mapping[str, ObjectRef]) -> str | None:
    """What a set lacks of what its manifest lists; None where it is whole."""
    missing = [entry.name for key, entry in listed.items() if key not in there]
    wrong = [
        why
        for key, entry in listed.items()
        if key in there and (why := _difference(entry, there[key]))
    ]
    said = [f"{len(missing)} of {len(listed)} files are missing: {_some(missing)}"] * bool(missing)
    said += [f"{_some(wrong)}; send the file again, or a manifest that fits it"] * bool(wrong)
    return "; ".join(said) or None


def _difference(entry: Listed, ref: ObjectRef) -> str | None:
    if entry.size is not None and entry.size != ref.size:
        return f"{entry.name} has {ref.size} bytes, the manifest says {entry.size}"
    if entry.etag is not None and entry.etag.strip('"') != ref.etag:
        return f"{entry.name} has the ETag {ref.etag}, the manifest says {entry.etag}"
    return None


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
