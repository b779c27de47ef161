from __future__ import annotations

import io
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.contracts.odcs import parse_contract
from lakehouse.decoding.avroschema import SchemaError, WriterSchema
from lakehouse.decoding.decode import Reject, RowDecoder
from lakehouse.decoding.unpack import unpack
from lakehouse.errors import ContractError, TransientError

V1, V2 = uuid.UUID(int=1), uuid.UUID(int=2)
FIELDS = (
    Field(name="id", type="integer", required=True, primary_key=True, minimum=0),
    Field(name="price", type="number"),
    Field(name="note", type="string", max_length=5),
    Field(name="ok", type="boolean"),
    Field(name="day", type="date"),
    Field(name="at", type="timestamp"),
)


class Registry:
    def __init__(self, schemas: Mapping[uuid.UUID, Any]) -> None:
        self.schemas = schemas
        self.asked: list[uuid.UUID] = []

    def schema(self, schema_id: uuid.UUID) -> Any | None:
        self.asked.append(schema_id)
        return self.schemas.get(schema_id)


def contract(fields: Sequence[Field] = FIELDS, schema: str | None = None) -> Contract:
    return Contract(
        dataset="things",
        version="1.0.0",
        description="",
        owner="o",
        fields=tuple(fields),
        source="stream",
        format=FileFormat(type="avro", schema=schema),
        deduplicate=Deduplicate(key=("id",)),
    )


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "com.example.Thing",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }


def datum(schema: Any, values: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), values)
    return out.getvalue()


def frame(schema_id: uuid.UUID, body: bytes) -> bytes:
    return b"\x03\x00" + schema_id.bytes + body


def decode(
    decoder: RowDecoder, payloads: Sequence[bytes]
) -> tuple[list[dict[str, Any]], list[Reject | None]]:
    (share,) = unpack(payloads, FileFormat(type="avro"))
    rows, rejects = decoder.decode(share.bodies)
    columns = decoder.columns(rows, rejects)
    names = [f.name for f in decoder.fields]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], rejects


def one(schema: Any, body: bytes, fields: Sequence[Field] = FIELDS) -> tuple[Any, str | None]:
    """The row and the code of one framed record."""
    rows, rejects = decode(RowDecoder(contract(fields), Registry({V1: schema})), [frame(V1, body)])
    return {k: v.as_py() for k, v in rows[0].items()}, rejects[0] and rejects[0].code


LONG = record(("id", "long"))
GOOD = record(
    ("id", "long"),
    ("price", ["null", "double"]),
    ("note", ["null", "string"]),
    ("ok", "boolean"),
    ("day", {"type": "int", "logicalType": "date"}),
    ("at", {"type": "long", "logicalType": "timestamp-micros"}),
)
VALUES = {
    "id": 7,
    "price": 1.5,
    "note": "abc",
    "ok": True,
    "day": date(2026, 1, 2),
    "at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
}


def test_a_framed_record_becomes_typed_columns() -> None:
    assert one(GOOD, datum(GOOD, VALUES)) == (VALUES, None)


def test_the_contracts_rules_hold_as_for_json() -> None:
    broken: tuple[tuple[dict[str, Any], str], ...] = (
        ({"id": -1}, "range"),
        ({"note": "abcdef"}, "length"),
    )
    for change, code in broken:
        row, got = one(GOOD, datum(GOOD, VALUES | change))
        assert got == code
        assert set(row.values()) == {None}
    price = record(("price", "double"))
    assert one(price, datum(price, {"price": 1.0}))[1] == "missing"


@pytest.mark.parametrize(
    ("name", "kind", "value", "expected"),
    [
        ("at", {"type": "long", "logicalType": "timestamp-millis"}, 1_000, "1970-01-01T00:00:01Z"),
        ("at", {"type": "long", "logicalType": "timestamp-micros"}, 0, "1970-01-01T00:00:00Z"),
        ("at", {"type": "long", "logicalType": "timestamp-nanos"}, 1, "type"),
        ("at", {"type": "long", "logicalType": "local-timestamp-micros"}, 1, "format"),
        ("at", {"type": "long", "logicalType": "timestamp-micros"}, 2**62, "range"),
        ("at", {"type": "long", "logicalType": "timestamp-millis"}, -(2**63), "range"),
        ("at", {"type": "int", "logicalType": "date"}, 1, "type"),
        ("at", "long", 1, "type"),
        ("at", "string", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("day", {"type": "int", "logicalType": "date"}, -719_162, "0001-01-01"),
        ("day", {"type": "int", "logicalType": "date"}, -719_163, "range"),
        ("day", {"type": "int", "logicalType": "date"}, 2**31 - 1, "range"),
        ("price", "int", 3, 3.0),
        ("price", "float", 0.5, 0.5),
        ("price", "double", float("nan"), "range"),
        ("price", "double", float("inf"), "range"),
        ("price", "string", "1", "type"),
        ("id", "double", 1.0, "type"),
        ("note", {"type": "string", "logicalType": "uuid"}, "a-b-c", "a-b-c"),
        ("note", {"type": "enum", "name": "E", "symbols": ["X", "Y"]}, "Y", "Y"),
        ("note", "bytes", b"abc", "type"),
        ("note", {"type": "fixed", "name": "F", "size": 1}, b"a", "type"),
        ("note", {"type": "int", "logicalType": "time-millis"}, 1, "type"),
        ("note", ["null", "long", "string"], "s", "s"),
        ("note", "string", "a\0b", "a\0b"),
    ],
)  # fmt: skip
def test_each_avro_type_has_a_defined_answer(
    name: str, kind: Any, value: Any, expected: object
) -> None:
    # Written as plain values, since the library's writer refuses what a hostile one would send.
    bare = {k: v for k, v in kind.items() if k != "logicalType"} if isinstance(kind, dict) else kind
    bare = bare["type"] if isinstance(bare, dict) and set(bare) == {"type"} else bare
    body = datum(record((name, bare)), {name: value})
    row, code = one(record((name, kind)), body, [f for f in FIELDS if f.name == name])
    got = row[name]
    if isinstance(got, date):
        got = got.isoformat().replace("+00:00", "Z")
    assert (code or got) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x01\x00", 2.56),
        (b"\xff", -0.01),
        (b"", 0.0),
        (b"\x27\x0f", 99.99),
        (b"\x27\x10", "range"),
        (b"\x00" * 32, 0.0),
        (b"\x00" * 33, "range"),
        (b"\x7f" * 1_000_000, "range"),
    ],
)
def test_a_decimal_is_a_number_of_its_precision(raw: bytes, expected: object) -> None:
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
    body = datum(record(("price", ["null", "bytes"])), {"price": raw})
    row, code = one(record(("price", ["null", kind])), body, [FIELDS[1]])
    assert (code or row["price"]) == expected


def test_a_decimal_may_be_fixed_and_named() -> None:
    fixed = {"type": "fixed", "name": "Money", "size": 3, "logicalType": "decimal", "precision": 6}
    schema = record(("id", "long"), ("other", fixed), ("price", "com.example.Money"))
    body = b"\x02" + b"\x00\x00\x05" + b"\x00\x00\x07"
    assert one(schema, body)[0]["price"] == 7.0
    assert datum(schema, {"id": 1, "other": Decimal(5), "price": Decimal(7)}) == body


def test_logical_types_of_other_fields_do_not_matter() -> None:
    schema = record(("id", "long"), ("x", {"type": "long", "logicalType": "timestamp-micros"}))
    bare = record(("id", "long"), ("x", "long"))
    assert one(schema, datum(bare, {"id": 1, "x": 2**63 - 1}))[1] is None


def test_writers_of_several_versions_stand_in_one_batch() -> None:
    newer = record(("note", ["null", "string"]), ("id", "long"))
    registry = Registry({V1: LONG, V2: newer})
    page = [
        frame(V1, datum(LONG, {"id": 1})),
        frame(V2, datum(newer, {"id": 2, "note": "two"})),
        frame(V1, datum(LONG, {"id": 3})),
    ]
    rows, rejects = decode(RowDecoder(contract(), registry), page)
    assert [(row["id"].as_py(), row["note"].as_py()) for row in rows] == [
        (1, None), (2, "two"), (3, None),
    ]  # fmt: skip
    assert rejects == [None, None, None]
    assert registry.asked == [V1, V2]


def test_a_new_writers_field_waits_for_the_contract_and_the_payload_keeps_it() -> None:
    newer = record(("id", "long"), ("grade", ["null", "string"]))
    registry = Registry({V1: LONG, V2: newer})
    page = [frame(V1, datum(LONG, {"id": 1})), frame(V2, datum(newer, {"id": 2, "grade": "A"}))]
    before = contract(FIELDS[:1])
    rows, rejects = decode(RowDecoder(before, registry), page)
    assert [list(row) for row in rows] == [["id"], ["id"]]
    assert rejects == [None, None]
    (share,) = unpack(page, before.format)
    after = contract([*FIELDS[:1], Field(name="grade", type="string")])
    rows, rejects = decode(RowDecoder(after, registry), list(share.payloads))
    assert [row["grade"].as_py() for row in rows] == [None, "A"]
    assert rejects == [None, None]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "empty"),
        (b"\x03", "malformed"),
        (b"\x03\x00" + V1.bytes[:-1], "malformed"),
        (b"\x02\x00" + V1.bytes + b"\x02", "malformed"),
        (b"\x03\x01" + V1.bytes + b"\x02", "malformed"),
        (frame(V1, b""), "malformed"),
        (frame(V1, b"\x02\x00"), "malformed"),
        (frame(V1, b"\xff\xff"), "malformed"),
        (frame(V2, b"\x02"), "schema"),
        (b'{"id": 1}', "malformed"),
    ],
)
def test_a_frame_that_cannot_be_read_is_a_reject(payload: bytes, code: str) -> None:
    _, rejects = decode(RowDecoder(contract(), Registry({V1: LONG})), [payload, frame(V1, b"\x02")])
    assert [reject and reject.code for reject in rejects] == [code, None]


@pytest.mark.parametrize(
    "body",
    [
        b"\x02" + b"\x01\x02A" + b"\x00",  # a negative branch
        b"\x02" + b"\x04" + b"\x00",  # a branch too far
        b"\x02" + b"\x00" + b"\x01",  # a negative symbol
        b"\x02" + b"\x02\x01abc" + b"\x00",  # a negative length
        b"\x02" + b"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01abc",  # a length of 2^63-1
        b"\x02" + b"\x02\x02\xff" + b"\x00",  # not UTF-8
    ],
)
def test_bytes_that_break_the_encoding_are_malformed(body: bytes) -> None:
    symbols = {"type": "enum", "name": "E", "symbols": ["X", "Y"]}
    schema = record(("id", "long"), ("note", ["null", "string"]), ("e", symbols))
    assert one(schema, b"\x02\x00\x00")[1] is None
    assert one(schema, body)[1] == "malformed"


class Recorder(Registry):
    def schema(self, schema_id: uuid.UUID) -> Any | None:
        raise TransientError(f"schema {schema_id}: busy")


def test_a_registry_that_cannot_be_asked_stops_the_load() -> None:
    with pytest.raises(TransientError):
        RowDecoder(contract(), Recorder({})).decode([frame(V1, b"\x02")])


def nested(levels: int, kind: Any = "long") -> Any:
    for _ in range(levels):
        kind = {"type": "array", "items": kind}
    return kind


def doubling(levels: int) -> Any:
    kind: Any = "null"
    for level in range(levels):
        again = f"N{level - 1}" if level else kind
        pair = [{"name": "a", "type": kind}, {"name": "b", "type": again}]
        kind = {"type": "record", "name": f"N{level}", "fields": pair}
    return kind


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]},
        {"type": "array", "items": "null"},
        {"type": "map", "values": {"type": "fixed", "name": "F", "size": 0}},
        {"type": "array", "items": {"type": "record", "name": "E", "fields": []}},
        nested(40),
        nested(5_000),
        doubling(30),
        {"type": "array"},
        {"type": "fixed", "name": "F", "size": "x"},
        "nosuch",
        7,
    ],
)
def test_a_schema_that_does_not_bound_its_records_is_refused(kind: Any) -> None:
    assert one(record(("id", "long"), ("x", kind)), b"\x02" * 1_000_000)[1] == "schema"


@pytest.mark.parametrize(
    "schema",
    [
        "long",
        ["null", "long"],
        {},
        [],
        record(("id", nested(1))),
        record(("id", ["null", nested(1)])),
        record(("note", ["bytes", "string"])),
        record(("price", {"type": "bytes", "logicalType": "decimal", "precision": 10**9})),
        LONG | {"__fastavro_parsed": True, "__named_schemas": {}, "fields": [{"name": 1}]},
    ],
)
def test_a_schema_that_does_not_fit_the_columns_is_refused(schema: Any) -> None:
    assert one(schema, b"\x02\x02")[1] == "schema"


def test_a_count_claimed_beyond_the_bytes_is_malformed() -> None:
    schema = record(("x", nested(1)), ("id", "long"))
    huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    assert one(schema, huge + b"\x02" * 1_000)[1] == "malformed"


def test_values_the_contract_has_no_field_for_are_not_built() -> None:
    maps = {"type": "array", "items": {"type": "map", "values": "long"}}
    schema = record(("x", maps), ("id", ["float", "double", "long", "int"]), ("y", ["null", maps]))
    writer = WriterSchema(schema, {"id"})
    body = b"\x04\x02\x02a\x02\x00\x00\x00" + b"\x04\x0a" + b"\x02\x02\x00\x00"
    read = writer.read(io.BytesIO(body))
    assert read == {"id": 5}
    assert isinstance(read["id"], int)


def test_a_schema_of_the_contract_reads_records_without_header() -> None:
    own = contract(schema=msgspec.json.encode(GOOD).decode())
    body = datum(GOOD, VALUES)
    rows, rejects = RowDecoder(own).decode([body, body + b"\x00", b"", body[:-1]])
    codes = [reject and reject.code for reject in rejects]
    assert codes == [None, "malformed", "empty", "malformed"]
    assert rows[0].at == VALUES["at"]


def test_a_header_without_a_registry_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ContractError, match="got no schema registry"):
        RowDecoder(contract())


@given(st.binary(max_size=60))
def test_no_body_stops_the_page(body: bytes) -> None:
    inner = record(("s", "string"), ("m", {"type": "map", "values": ["null", "double"]}))
    schema = GOOD | {"fields": [*GOOD["fields"], {"name": "z", "type": inner | {"name": "Inner"}}]}
    writer = RowDecoder(contract(), Registry({V1: schema}))
    rows, rejects = writer.decode([frame(V1, body)])
    writer.columns(rows, rejects)


@given(st.recursive(
    st.none() | st.integers() | st.sampled_from(["long", "null", "string", "record", "array", "R"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "name", "fields", "items", "values", "symbols", "size",
                         "logicalType", "precision", "scale"]), inner),
))  # fmt: skip
def test_no_schema_ends_in_another_error(kind: Any) -> None:
    for schema in (kind, record(("id", "long"), ("x", kind)), record(("id", kind))):
        try:
            WriterSchema(schema, {"id"})
        except SchemaError:
            continue


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: things
version: 1.0.0
status: active
team: {name: plant}
customProperties:
  - {property: source, value: stream}
  - {property: format, value: {type: avro, schema: SCHEMA}}
schema:
  - name: things
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
"""


def test_a_contract_names_the_schema_by_path_or_has_it_inside(tmp_path: Any) -> None:
    text = msgspec.json.encode(LONG).decode()
    (tmp_path / "thing.avsc").write_text(text)
    path = str(tmp_path / "things.yaml")
    for written in ("thing.avsc", text, f"'{text}'"):
        parsed = parse_contract(CONTRACT.replace("SCHEMA", written), path)
        assert RowDecoder(parsed).decode([b"\x0a"])[0][0].id == 5


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("other.avsc", "other.avsc cannot be read"),
        ("'{'", "format.schema: Input data was truncated; expected an Avro record"),
        ("{type: long}", "format.schema: expected a record"),
        ("{type: record, name: R, fields: [{name: id, type: nosuch}]}", "not an Avro schema"),
    ],
)
def test_a_contract_with_a_schema_that_is_none_is_refused(
    written: str, says: str, tmp_path: Any
) -> None:
    with pytest.raises(ContractError) as caught:
        parse_contract(CONTRACT.replace("SCHEMA", written), str(tmp_path / "things.yaml"))
    assert says in str(caught.value)
