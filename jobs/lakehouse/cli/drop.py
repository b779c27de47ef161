"""Puts files where their dataset's files arrive, after a look whether they are what they say."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import UNDECODABLE, Reject
from lakehouse.decoding.formats import FileRecord, object_records
from lakehouse.decoding.source import FileSource
from lakehouse.errors import InputError
from lakehouse.ingestion.manifest import ManifestError, is_manifest, parse_manifest
from lakehouse.naming import landing_prefix

_LOOKED_AT: Final = 100
"""Records of a file that are looked at; none of them being a record tells a wrong file."""


def drop(aws: Aws, contract: Contract, paths: list[Path]) -> list[str]:
    """Upload the files to the landing zone, manifests last; their keys in that order.

    Nothing is uploaded when one of them is not what the contract says: InputError. Of a large file
    only the beginning is looked at.
    """
    names = Counter(path.name for path in paths)
    for path in paths:
        _check_is_file(path, contract)
        if names[path.name] > 1:
            raise InputError(
                f"{path}: {names[path.name]} of the files are called {path.name!r}, and each would "
                "replace the one before it; drop them one after the other, or rename them"
            )
        _check(path, contract)
    keys = []
    for path in sorted(paths, key=lambda path: _is_manifest(path, contract)):
        key = _key(path, contract)
        aws.client("s3").upload_file(str(path), aws.bucket("landing"), key)
        keys.append(key)
    return keys


def _key(path: Path, contract: Contract) -> str:
    return landing_prefix(contract.dataset) + path.name


def _is_manifest(path: Path, contract: Contract) -> bool:
    pattern = contract.format.manifest
    return pattern is not None and is_manifest(_key(path, contract), contract.dataset, pattern)


def _check_is_file(path: Path, contract: Contract) -> None:
    if path.is_dir():
        raise InputError(
            f"{path}: expected a {contract.format.type} file, it is a directory; name the files in "
            f"it, such as {path / '*'}"
        )
    if not path.is_file():
        raise InputError(f"{path}: expected a {contract.format.type} file, it is not there")


def _check(path: Path, contract: Contract) -> None:
    if _is_manifest(path, contract):
        try:
            parse_manifest(path.read_bytes(), _key(path, contract), contract.dataset)
        except ManifestError as error:
            raise InputError(f"{path}: {error}") from error
        return
    wrong = _why_none(list(islice(object_records(FileSource(path), contract), _LOOKED_AT)))
    if wrong:
        raise InputError(
            f"{path}: not the {contract.format.type} that {contract.dataset} takes: {wrong}"
        )


def _why_none(records: list[FileRecord]) -> str | None:
    """Why a file has no record at all; None when it has any, however bad the others are."""
    why = None
    for record in records:
        if isinstance(record.values, Reject):
            why = why or record.values.detail
            continue
        if record.values is not None:
            return None
        try:
            msgspec.json.decode(record.payload, type=dict[str, msgspec.Raw])
        except UNDECODABLE as error:
            why = why or f"not a JSON object: {error}"
        else:
            return None
    return why or "no record"
