"""Every hostile record has one defined answer, and none of them takes its page down."""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.aggregates import aggregate

from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.decoding.decode import Reject, RowDecoder, reason
from lakehouse.decoding.kpl import UserRecord
from lakehouse.decoding.unpack import INFLATED_BYTES, unpack

CORPUS = Path(__file__).parents[1] / "fixtures" / "hostile"
EXPECTED: dict[str, Any] = yaml.safe_load((CORPUS / "expected.yaml").read_text(encoding="utf-8"))
CONTRACT = Contract(
    dataset="hostile",
    version="1.0.0",
    description="",
    owner="o",
    fields=(
        Field(name="id", type="integer", required=True, primary_key=True),
        Field(name="number", type="number"),
        Field(name="text", type="string"),
        Field(name="kind", type="string", enum=("a", "b")),
        Field(name="flag", type="boolean"),
        Field(name="day", type="date"),
        Field(name="at", type="timestamp"),
    ),
    source="stream",
    format=FileFormat(type="json"),
    deduplicate=Deduplicate(key=("id",)),
)
SCHEMAS: dict[int, Any] = yaml.safe_load((CORPUS / "schemas.yaml").read_text(encoding="utf-8"))
JSON = [name for name in EXPECTED if name.endswith(".json")]
AVRO = [name for name in EXPECTED if name.endswith(".avro")]
REJECT = pa.struct([("code", pa.string()), ("detail", pa.string())])


class Registry:
    def schema(self, schema_id: uuid.UUID) -> Any | None:
        return SCHEMAS.get(schema_id.int)


def payload(name: str) -> bytes:
    if EXPECTED[name].get("recipe") == "zlib-bomb":
        return b"\x03\x05" + uuid.UUID(int=1).bytes + zlib.compress(bytes(INFLATED_BYTES + 1))
    parts = EXPECTED[name].get("parts")
    if parts is None:
        return (CORPUS / name).read_bytes()
    return b"".join(text.encode() * times for text, times in parts)


def table(page: Sequence[bytes], fmt: FileFormat) -> pa.Table:
    """The page as a table: the contract's columns, the payload and the reject."""
    decoder = RowDecoder(msgspec.structs.replace(CONTRACT, format=fmt), Registry())
    tables = []
    for share in unpack(page, fmt):
        rows, rejects = decoder.decode(share.bodies)
        columns = decoder.columns(rows, rejects)
        reasons = [r and {"code": r.code, "detail": r.detail} for r in rejects]
        names = [*(f.name for f in CONTRACT.fields), "payload", "reject"]
        arrays = [*columns, pa.array(share.payloads, pa.binary()), pa.array(reasons, REJECT)]
        tables.append(pa.table(arrays, names=names))
    return pa.concat_tables(tables)


def answers(rows: pa.Table) -> list[str]:
    return [reject["code"] if reject else "good" for reject in rows["reject"].to_pylist()]


def test_the_corpus_and_its_answers_name_the_same_files() -> None:
    made = {name for name, entry in EXPECTED.items() if "parts" in entry or "recipe" in entry}
    stored = {path.name for path in CORPUS.iterdir() if path.suffix in {".json", ".avro"}}
    assert stored == set(EXPECTED) - made
    assert set(EXPECTED) == {*JSON, *AVRO}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_record_has_its_answer(name: str) -> None:
    fmt = FileFormat(type="avro") if name in AVRO else CONTRACT.format
    (row,) = (rows := table([payload(name)], fmt)).to_pylist()
    assert answers(rows) == [EXPECTED[name]["answer"]]
    values = {row[f.name] for f in CONTRACT.fields}
    if row["reject"] is None:
        assert row["id"] is not None
    else:
        assert values == {None}
        assert row["reject"]["detail"]
        assert len(row["reject"]["detail"]) <= 500


@pytest.mark.parametrize("packed", ["plain", "gzip", "aggregate", "avro"])
def test_the_whole_corpus_is_one_page_and_one_file(packed: str, tmp_path: Path) -> None:
    names = AVRO if packed == "avro" else JSON
    page, fmt = [payload(name) for name in names], FileFormat(type="json")
    if packed == "avro":
        fmt = FileFormat(type="avro")
    elif packed == "gzip":
        page, fmt = [gzip.compress(p) for p in page], FileFormat(type="json", compression="gzip")
    elif packed == "aggregate":
        page = [aggregate([UserRecord("k", None, p) for p in page])]
    pq.write_table(table(page, fmt), tmp_path / "page.parquet")
    written = pq.read_table(tmp_path / "page.parquet")
    assert dict(zip(names, answers(written), strict=True)) == {
        name: EXPECTED[name]["answer"] for name in names
    }


def test_values_are_what_the_corpus_says() -> None:
    def value(name: str, field: str) -> Any:
        return table([payload(name)], CONTRACT.format)[field][0].as_py()

    assert value("duplicate-key.json", "id") == 1
    assert value("integer-minus-zero.json", "id") == 0
    assert str(value("number-minus-zero.json", "number")) == "-0.0"
    assert value("number-1e-400.json", "number") == 0.0
    assert value("number-from-integer.json", "number") == 2.0**53
    assert value("nul-escaped.json", "text") == "a\0b"
    assert value("time-nanoseconds.json", "at").microsecond == 123457
    assert value("time-offset.json", "at").isoformat() == "2026-01-31T06:30:00+00:00"
    assert value("time-before-1677.json", "at").year == 1600
    assert len(value("text-of-1-mib.json", "text")) == 1024 * 1024


@pytest.mark.parametrize("name", ["text", "kind"])
def test_half_a_surrogate_pair_from_text_is_its_rows_reject(name: str) -> None:
    decoder = RowDecoder(CONTRACT)
    good = {"id": "1", "text": "x", "kind": "a"}
    rows, rejects = decoder.text([good, good | {name: "\ud800"}, good])
    columns = decoder.columns(rows, rejects)
    assert [column.null_count for column in columns[:4]] == [1, 3, 1, 1]
    assert [reject is None for reject in rejects] == [True, False, True]
    assert isinstance(rejects[1], Reject)
    assert rejects[1].code == "malformed"
    pa.array([rejects[1].detail], pa.string()).validate(full=True)


def test_a_value_that_no_column_holds_is_an_error_where_no_reject_can_be_told() -> None:
    decoder = RowDecoder(CONTRACT)
    rows, _ = decoder.decode([payload("time-year-10000-in-utc.json")])
    with pytest.raises(OverflowError, match="outside of the years 1 to 9999"):
        decoder.columns(rows)


def test_a_reason_can_be_written_whatever_it_quotes() -> None:
    quoting = reason(msgspec.ValidationError("Invalid enum value '\ud800" + "x" * 1_000))
    assert quoting.code == "enum"
    assert "\\ud800" in quoting.detail
    assert len(quoting.detail) < 600
