"""Records that delete their key are good without what other records must have."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import msgspec
import pytest

from lakehouse.contracts.model import Contract, Deduplicate, Deletes, Field, FileFormat
from lakehouse.decoding.decode import Reject, RowDecoder

AVRO = {
    "type": "record",
    "name": "order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": ["null", "double"]},
        {"name": "op", "type": ["null", "string"]},
    ],
}
MOMENT = "2026-03-01T10:00:00Z"


def contract(kind: Any = "json", deletes: Deletes | None = None) -> Contract:
    return Contract(
        dataset="orders",
        version="1.0.0",
        description="",
        owner="tests",
        source="stream",
        format=FileFormat(type=kind, schema=msgspec.json.encode(AVRO).decode()),
        fields=(
            Field(name="id", type="string", required=True, primary_key=True),
            Field(name="at", type="timestamp", required=True),
            Field(name="amount", type="number", required=True, minimum=0),
            Field(name="op", type="string"),
        ),
        event_time="at",
        deduplicate=Deduplicate(key=("id",), deletes=deletes or Deletes("op", ("D",))),
    )


def datum(values: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, AVRO, values)
    return body.getvalue()


def decode(decoder: RowDecoder, bodies: list[Any]) -> tuple[list[Any], list[Reject | None]]:
    rows, rejects = decoder.decode(bodies)
    columns = decoder.columns(rows)
    return list(zip(*(column.to_pylist() for column in columns), strict=True)), rejects


def codes(payload: dict[str, Any], deletes: Deletes | None = None) -> str | None:
    _, rejects = decode(RowDecoder(contract(deletes=deletes)), [msgspec.json.encode(payload)])
    return rejects[0].code if rejects[0] else None


def test_a_delete_needs_its_key_and_event_time_alone() -> None:
    assert codes({"id": "a", "at": MOMENT, "op": "D"}) is None
    assert codes({"id": "a", "at": MOMENT, "op": "D", "amount": None}) is None
    assert codes({"at": MOMENT, "op": "D"}) == "missing"
    assert codes({"id": "a", "op": "D"}) == "missing"


@pytest.mark.parametrize("op", [{"op": "U"}, {"op": None}, {}])
def test_any_other_record_must_have_all_of_it(op: dict[str, Any]) -> None:
    assert codes({"id": "a", "at": MOMENT, **op}) == "missing"


def test_what_a_delete_does_say_keeps_the_rules() -> None:
    assert codes({"id": "a", "at": MOMENT, "op": "D", "amount": -1}) == "range"


def test_the_records_about_a_delete_are_decoded_as_ever() -> None:
    good = {"id": "a", "at": MOMENT, "amount": 1.5}
    bodies = [good, {"id": "b", "at": MOMENT, "op": "D"}, {"id": "c"}, good | {"id": "d"}]
    rows, rejects = decode(RowDecoder(contract()), [msgspec.json.encode(b) for b in bodies])
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("a", 1.5, None),
        ("b", None, "D"),
        (None, None, None),
        ("d", 1.5, None),
    ]
    assert [reject and reject.code for reject in rejects] == [None, None, "missing", None]


def test_a_delete_in_a_row_of_text() -> None:
    decoder = RowDecoder(contract("csv"))
    rows, rejects = decoder.text(
        [
            {"id": "a", "at": MOMENT, "amount": "", "op": "D"},
            {"id": "a", "at": MOMENT, "amount": "", "op": ""},
        ]
    )
    assert rejects[0] is None
    assert rejects[1] is not None
    assert rejects[1].code == "missing"
    assert decoder.columns(rows)[0].to_pylist() == ["a", None]


def test_a_delete_in_avro() -> None:
    record = {"id": "a", "at": 1_772_359_200_000, "amount": None}
    rows, rejects = decode(
        RowDecoder(contract("avro")), [datum(record | {"op": "D"}), datum(record | {"op": "U"})]
    )
    assert rows[0][0] == "a"
    assert rejects[0] is None
    assert rejects[1] is not None


@pytest.mark.parametrize(
    ("kind", "said", "value"), [("boolean", "true", True), ("integer", "7", 7)]
)
def test_a_value_that_deletes_may_be_no_text(kind: Any, said: str, value: Any) -> None:
    base = contract(deletes=Deletes("op", (said,)))
    fields = (*base.fields[:-1], Field(name="op", type=kind))
    decoder = RowDecoder(msgspec.structs.replace(base, fields=fields))
    _, rejects = decode(decoder, [msgspec.json.encode({"id": "a", "at": MOMENT, "op": value})])
    assert rejects == [None]
