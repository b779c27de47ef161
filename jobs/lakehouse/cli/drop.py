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
from lakehouse.decoding.formats import FileRecord, file_records
from lakehouse.errors import InputError
from lakehouse.naming import landing_prefix

_LOOKED_AT: Final = 100
"""Records of a file that are looked at; none of them being a record tells a wrong file."""


def drop(aws: Aws, contract: Contract, paths: list[Path]) -> list[str]:
    """Upload the files to the landing zone; their keys.

    Nothing is uploaded when one of them is not what the contract says: InputError.
    """
    names = Counter(path.name for path in paths)
    for path in paths:
        if names[path.name] > 1:
            raise InputError(
                f"{path}: {names[path.name]} of the files are called {path.name!r}, and each would "
                "replace the one before it; drop them one after the other, or rename them"
            )
        _check(path, contract)
    keys = []
    for path in paths:
        key = landing_prefix(contract.dataset) + path.name
        aws.client("s3").upload_file(str(path), aws.bucket("landing"), key)
        keys.append(key)
    return keys


def _check(path: Path, contract: Contract) -> None:
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path}: expected a {contract.format.type} file, it is {what}")
    body = path.read_bytes()
    records = list(islice(file_records(body, contract), _LOOKED_AT))
    wrong = _why_none(body, records)
    if wrong:
        raise InputError(
            f"{path}: not the {contract.format.type} that {contract.dataset} takes: {wrong}"
        )


def _why_none(body: bytes, records: list[FileRecord]) -> str | None:
    """Why a file has no record at all; None when it has any, however bad the others are."""
    if not records:
        return "no record"
    first = records[0]
    if isinstance(first.values, Reject) and len(records) == 1 and first.payload == body[: 1 << 20]:
        return first.values.detail
    why = None
    for record in records:
        if record.values is not None:
            return None
        try:
            msgspec.json.decode(record.payload, type=dict[str, msgspec.Raw])
        except UNDECODABLE as error:
            why = why or f"not a JSON object: {error}"
        else:
            return None
    return why
