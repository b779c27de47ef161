from __future__ import annotations

import gzip
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
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


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"carrier": ["AA"], "name": ["American"]}), out)
    return out.getvalue()


def avro() -> bytes:
    out = io.BytesIO()
    fields = [{"name": "carrier", "type": "string"}]
    fastavro.writer(out, {"type": "record", "name": "r", "fields": fields}, [{"carrier": "AA"}])
    return out.getvalue()


@pytest.mark.parametrize(("kind", "body"), [("parquet", parquet()), ("avro", avro())])
def test_typed_files_are_looked_into_packed_or_not(
    tmp_path: Path, kind: Literal["parquet", "avro"], body: bytes
) -> None:
    contract = msgspec.structs.replace(AIRLINES, format=FileFormat(type=kind))
    path = tmp_path / "a"
    aws: Any = FakeAws()
    for good in (body, gzip.compress(body)):
        path.write_bytes(good)
        assert drop(aws, contract, [path]) == ["airlines/a"]
    for bad in (body[:15], b"carrier,name\n"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=f"not the {kind} that airlines takes"):
            drop(aws, contract, [path])


def test_a_directory_is_refused(tmp_path: Path) -> None:
    aws: Any = FakeAws()
    with pytest.raises(InputError, match="it is a directory; name the files in it"):
        drop(aws, AIRLINES, [tmp_path])
    with pytest.raises(InputError, match="it is not there"):
        drop(aws, AIRLINES, [tmp_path / "none.csv"])


def test_manifests_go_last(tmp_path: Path) -> None:
    form = FileFormat(type="csv", manifest="*.list")
    contract = msgspec.structs.replace(AIRLINES, format=form)
    listing, data = tmp_path / "a.list", tmp_path / "b.csv"
    listing.write_bytes(b"b.csv\n")
    data.write_bytes(b"carrier,name\nAA,American\n")
    aws: Any = FakeAws()
    assert drop(aws, contract, [listing, data]) == ["airlines/b.csv", "airlines/a.list"]
    listing.write_bytes(b"../b.csv\n")
    with pytest.raises(InputError, match="expected files below airlines/"):
        drop(aws, contract, [listing, data])
