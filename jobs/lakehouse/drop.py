"""Puts files where their dataset's files arrive, after a look whether they are what they say."""

from __future__ import annotations

from pathlib import Path

from lakehouse.aws import Aws
from lakehouse.contract import Contract
from lakehouse.decode import Reject
from lakehouse.errors import InputError
from lakehouse.formats import file_records
from lakehouse.naming import landing_prefix


def drop(aws: Aws, contract: Contract, paths: list[Path]) -> list[str]:
    """Upload the files to the landing zone; their keys.

    Nothing is uploaded when one of them is not what the contract says: InputError.
    """
    bodies = [(path, _checked(path, contract)) for path in paths]
    keys = []
    for path, body in bodies:
        key = landing_prefix(contract.dataset) + path.name
        aws.client("s3").put_object(Bucket=aws.bucket("landing"), Key=key, Body=body)
        keys.append(key)
    return keys


def _checked(path: Path, contract: Contract) -> bytes:
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path}: expected a {contract.format.type} file, it is {what}")
    body = path.read_bytes()
    first = next(file_records(body, contract), None)
    whole = (
        first is not None and isinstance(first.values, Reject) and len(first.payload) >= len(body)
    )
    if first is None or whole:
        why = first.values.detail if first and isinstance(first.values, Reject) else "no record"
        raise InputError(
            f"{path}: not the {contract.format.type} that {contract.dataset} takes: {why}"
        )
    return body
