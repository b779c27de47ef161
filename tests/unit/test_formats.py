from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lakehouse.contracts.model import Contract, FileFormat
from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.formats import FileRecord, file_records

AIRLINES = load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["airlines"]


def records(body: bytes, **form: object) -> list[FileRecord]:
    contract: Contract = msgspec.structs.replace(
        AIRLINES,
        format=FileFormat(**({"type": "csv"} | form)),  # type: ignore[arg-type]  # a test's keyword arguments
    )
    return list(file_records(body, contract))


def code(record: FileRecord) -> str:
    assert isinstance(record.values, Reject)
    return record.values.code


def test_a_csv_row_carries_its_header_and_its_own_text() -> None:
    (first, second) = records(b'carrier,name\r\nAA,"American\nAirlines"\r\nUA,United\r\n')
    assert first.values == {"carrier": "AA", "name": "American\nAirlines"}
    assert first.payload == b'carrier,name\r\nAA,"American\nAirlines"\r\n'
    assert second.payload == b"carrier,name\r\nUA,United\r\n"


def test_the_dialect_and_encoding_come_from_the_contract() -> None:
    (row,) = records(
        "carrier;name\nAA;Zürich\n".encode("latin-1"), delimiter=";", encoding="latin-1"
    )
    assert row.values == {"carrier": "AA", "name": "Zürich"}


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    (row,) = records(b"\xef\xbb\xbfcarrier,name\nAA,American\n")
    assert row.values == {"carrier": "AA", "name": "American"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"PK\x03\x04\xff\xfe", "malformed"),
        (b"code,title\nAA,American\n", "header"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_one_reject(body: bytes, expected: str) -> None:
    (whole,) = records(body)
    assert code(whole) == expected
    assert whole.payload == body


def test_a_row_of_the_wrong_length_is_rejected_alone() -> None:
    bad, good = records(b"carrier,name\nAA\nUA,United\n")
    assert code(bad) == "malformed"
    assert good.values == {"carrier": "UA", "name": "United"}


def test_json_records_stay_as_they_came() -> None:
    body = b'{"page": 1, "rows": [{"a": 1.0}, {"a":2}]}'
    assert [r.payload for r in records(body, type="json", records="rows")] == [
        b'{"a": 1.0}',
        b'{"a":2}',
    ]
    assert [r.payload for r in records(b"[1, 2]", type="json")] == [b"1", b"2"]
    assert [r.payload for r in records(b'{"a":1}\n\n{', type="ndjson")] == [b'{"a":1}', b"{"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"other": []}', "missing"), (b'{"rows": 3}', "malformed"), (b'{"rows": [', "malformed")],
)
def test_a_document_without_its_records_is_one_reject(body: bytes, expected: str) -> None:
    (whole,) = records(body, type="json", records="rows")
    assert code(whole) == expected
