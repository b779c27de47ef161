from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest

from lakehouse.cli.drop import drop
from lakehouse.contracts.model import FileFormat
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import InputError

AIRLINES = load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["airlines"]


class FakeAws:
    """Remembers what is uploaded."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def client(self, service: str) -> Any:
        assert service == "s3"
        return SimpleNamespace(upload_file=lambda _path, _bucket, key: self.keys.append(key))

    def bucket(self, purpose: str) -> str:
        return purpose


def test_files_go_below_their_dataset(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"carrier,name\nAA,American\n")
    aws: Any = FakeAws()
    assert drop(aws, AIRLINES, [path]) == ["airlines/a.csv"]
    assert aws.keys == ["airlines/a.csv"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "got an empty file"),
        (b"PK\x03\x04\xff", "not utf-8 text"),
        (b"code,title\nAA,American\n", "expected the columns carrier, name, got code, title"),
        (b"carrier,name\n", "no record"),
    ],
)
def test_one_file_that_is_not_what_it_says_holds_all_of_them_back(
    tmp_path: Path, body: bytes, says: str
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(b"carrier,name\nAA,American\n")
    bad.write_bytes(body)
    aws: Any = FakeAws()
    with pytest.raises(InputError, match=says):
        drop(aws, AIRLINES, [good, bad])
    assert aws.keys == []


def test_two_files_of_one_name_would_replace_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.csv" for folder in ("x", "y")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"carrier,name\nAA,American\n")
    aws: Any = FakeAws()
    with pytest.raises(InputError, match=r"2 of the files are called 'a\.csv'"):
        drop(aws, AIRLINES, paths)
    assert aws.keys == []


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("json", b"{oops", "not a JSON document of records"),
        ("ndjson", b"carrier,name\nAA,American\n", "not a JSON object"),
    ],
)
def test_json_has_to_parse(
    tmp_path: Path, kind: Literal["json", "ndjson"], body: bytes, says: str
) -> None:
    contract = msgspec.structs.replace(AIRLINES, format=FileFormat(type=kind))
    path = tmp_path / "a.json"
    path.write_bytes(body)
    aws: Any = FakeAws()
    with pytest.raises(InputError, match=says):
        drop(aws, contract, [path])
    path.write_bytes(b'[{"carrier": "AA"}]' if kind == "json" else b'{oops\n{"carrier": "AA"}\n')
    assert drop(aws, contract, [path]) == ["airlines/a.json"]


def test_a_row_that_breaks_the_contract_goes_along(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"carrier,name\nAA\nUA,United\n")
    aws: Any = FakeAws()
    assert drop(aws, AIRLINES, [path]) == ["airlines/a.csv"]
