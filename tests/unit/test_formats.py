from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lakehouse.contracts.model import Contract, Field, FileFormat
from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding import jsonfile
from lakehouse.decoding.decode import Reject, RowDecoder
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


def test_a_file_without_header_has_the_contract_s_columns() -> None:
    (first, second) = records(b"AA,American\nUA\n", header=False)
    assert first.values == {"carrier": "AA", "name": "American"}
    assert first.payload == b"AA,American\n"
    assert code(second) == "malformed"


def test_a_column_that_comes_twice_tells_a_wrong_header() -> None:
    (whole,) = records(b"carrier,name,carrier\nAA,American,UA\n")
    assert isinstance(whole.values, Reject)
    assert whole.values == Reject("header", "expected each column once, got carrier twice")
    (row,) = records(b"carrier,name,,\nAA,American,,\n")
    assert isinstance(row.values, dict)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-be", "cp037"])
def test_any_encoding_is_read_and_kept(encoding: str) -> None:
    body = "carrier,name\nAA,Zürich\n".encode(encoding)
    (row,) = records(body, encoding=encoding)
    assert row.values == {"carrier": "AA", "name": "Zürich"}
    (again,) = records(row.payload, encoding=encoding)
    assert (again.values, again.payload) == (row.values, row.payload)


def test_text_that_ends_in_half_a_character_is_marked() -> None:
    body = "carrier,name\nAA,Zürich\n".encode("utf-16")
    row, last = records(body + b"\xd8", encoding="utf-16")
    assert row.values == {"carrier": "AA", "name": "Zürich"}
    assert code(last) == "malformed"


def test_a_line_that_is_no_text_is_rejected_alone() -> None:
    bad, good = records(b"carrier,name\nAA,\xff\nUA,United\n")
    assert (code(bad), bad.payload) == ("malformed", b"carrier,name\nAA,\xff\n")
    assert good.values == {"carrier": "UA", "name": "United"}


def test_the_escape_and_the_quote_are_the_contract_s() -> None:
    (row,) = records(b"carrier;name\nAA;'it\\'s'\n", delimiter=";", quote="'", escape="\\")
    assert row.values == {"carrier": "AA", "name": "it's"}
    (row,) = records(b'carrier,name\nAA,5" pipe\n', quote="")
    assert row.values == {"carrier": "AA", "name": '5" pipe'}


@pytest.mark.parametrize("header", [True, False])
def test_what_is_left_of_a_cut_row_never_reads_as_a_row(*, header: bool) -> None:
    packed = gzip.compress(b"carrier,name\n" * header + b"AA,American Airlines\n" * 200)
    rejects = 0
    for cut in range(40, len(packed) - 1):
        last = records(packed[:cut], header=header)[-1]
        assert isinstance(last.values, Reject)
        again = records(last.payload, header=header)
        assert not any(isinstance(record.values, dict) for record in again)
        rejects += 1
    assert rejects


def test_a_path_leads_to_the_records_of_a_document() -> None:
    body = b'\xef\xbb\xbf{"a": {"b": [{"x": 1}]}}'
    assert [r.payload for r in records(body, type="json", records="a.b")] == [b'{"x": 1}']
    (whole,) = records(body, type="json", records="a.c")
    assert isinstance(whole.values, Reject)
    assert whole.values.detail == "expected the records under 'a.c', got the keys b"


def test_a_document_that_is_too_large_is_one_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonfile, "DOCUMENT_BYTES", 10)
    (whole,) = records(b'[{"a": 1}, {"a": 2}]', type="json")
    assert code(whole) == "size"


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_a_parquet_row_is_kept_with_all_its_columns() -> None:
    table = pa.table(
        {
            "carrier": ["AA"],
            "at": pa.array([1_000_000_001], pa.timestamp("ns", "Europe/Berlin")),
            "local": pa.array([1_000_000], pa.timestamp("us")),
            "day": pa.array([19000], pa.date32()),
            "amount": pa.array([Decimal("12345678901234567890.12")], pa.decimal128(22, 2)),
            "share": [float("nan")],
            "raw": [b"\xff"],
            "inner": [{"at": datetime(2020, 1, 1, tzinfo=UTC), "list": [1, None]}],
            "far": pa.array([2**55], pa.timestamp("ms", "UTC")),
        }
    )
    (row,) = records(parquet(table), type="parquet")
    assert row.payload == (
        b'{"carrier":"AA","at":"1970-01-01 00:00:01.000000001Z",'
        b'"local":"1970-01-01 00:00:01.000000",'
        b'"day":"2022-01-08","amount":12345678901234567890.12,"share":"NaN","raw":"/w==",'
        b'"inner":{"at":"2020-01-01 00:00:00.000000Z","list":[1,null]},'
        + f'"far":"{pc.cast(table["far"], pa.string())[0]}"'.encode()
        + b"}"
    )


def test_what_parquet_has_is_decoded_as_the_contract_wants() -> None:
    fields = (
        Field(name="at", type="timestamp", required=True),
        Field(name="day", type="date"),
        Field(name="amount", type="number"),
        Field(name="n", type="integer"),
    )
    contract = msgspec.structs.replace(AIRLINES, fields=fields, format=FileFormat(type="parquet"))
    table = pa.table(
        {
            "at": pa.array([0, 1], pa.timestamp("ms", "UTC")),
            "day": pa.array([0, None], pa.date32()),
            "amount": pa.array([Decimal("1.5"), None], pa.decimal128(5, 2)),
            "n": pa.array([2**63 - 1, 2**63], pa.uint64()),
        }
    )
    decoder = RowDecoder(contract)
    payloads = [record.payload for record in file_records(parquet(table), contract)]
    rows, rejects = decoder.json(payloads)
    assert [reject and reject.code for reject in rejects] == [None, "range"]
    assert (rows[0].at, rows[0].day, rows[0].amount) == (
        datetime(1970, 1, 1, tzinfo=UTC),
        date(1970, 1, 1),
        1.5,
    )


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_text_that_swells_out_of_a_dictionary_is_taken_in_small_steps(kind: pa.DataType) -> None:
    values = pa.array(["x" * 1_500_000], kind)
    table = pa.table({"carrier": pa.DictionaryArray.from_arrays([0] * 60, values)})
    body = parquet(table)
    assert len(body) < 3_000_000
    found = file_records(body, msgspec.structs.replace(AIRLINES, format=FileFormat(type="parquet")))
    size = 2_000_000 if kind == pa.binary() else 1_500_000
    assert [len(r.payload) for r in found] == [size + len(b'{"carrier":""}')] * 60


def test_large_text_is_read() -> None:
    table = pa.table({"carrier": pa.array(["AA", None, "AA"], pa.large_string())})
    found = [json.loads(r.payload)["carrier"] for r in records(parquet(table), type="parquet")]
    assert found == ["AA", None, "AA"]


def test_rows_without_columns_are_one_reject() -> None:
    table = pa.table({"carrier": ["AA"]}).select([])
    (whole,) = records(parquet(table), type="parquet")
    assert code(whole) == "header"


def test_a_parquet_file_with_a_column_twice_is_one_reject() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["carrier", "carrier"])
    (whole,) = records(parquet(table), type="parquet")
    assert code(whole) == "header"


def test_an_avro_value_out_of_range_rejects_its_record_alone() -> None:
    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "carrier", "type": "string"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "more", "type": {"type": "map", "values": "int"}},
        ],
    }
    plain = {
        **schema,
        "fields": [schema["fields"][0], {"name": "at", "type": "long"}, schema["fields"][2]],
    }  # type: ignore[index]  # a schema as JSON has it
    out = io.BytesIO()
    found = [{"carrier": "A", "at": at, "more": {"k": 1}} for at in (0, 2**62, 1)]
    fastavro.writer(out, plain, found)
    body = out.getvalue()
    head = io.BytesIO()
    fastavro.writer(head, schema, [])
    header, blocks = head.getvalue()[:-16], body[body.index(body[-16:]) + 16 :]
    first, bad, last = records(header + body[-16:] + blocks, type="avro")
    assert first.payload == b'{"carrier":"A","at":"1970-01-01T00:00:00Z","more":{"k":1}}'
    assert code(bad) == "range"
    assert json.loads(bad.payload)["at"] == 2**62
    assert last.values is None


def test_a_strange_avro_schema_is_one_reject() -> None:
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "r", "fields": []}, [{}])
    (whole,) = records(out.getvalue(), type="avro")
    assert code(whole) == "schema"
