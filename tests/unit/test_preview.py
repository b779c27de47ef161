"""What is shown of a reject never shows a classified value."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat, SourceKind
from lakehouse.decoding.decode import Reject, RowDecoder
from lakehouse.decoding.preview import detail_preview, payload_preview

SECRET = "ada@example.com"


def contract(
    *classified: str, source: SourceKind = "stream", fmt: FileFormat | None = None
) -> Contract:
    def field(name: str, **rules: Any) -> Field:
        kind = "confidential" if name in classified else "internal"
        return Field(name=name, classification=kind, **rules)

    return Contract(
        dataset="people", version="1.0.0", description="", owner="tests",
        fields=(
            field("email", type="string", required=True, enum=("a", "b")),
            field("age", type="integer", maximum=150),
        ),
        source=source, format=fmt or FileFormat(type="json"),
        deduplicate=Deduplicate(key=("email",)),
    )  # fmt: skip


def test_without_classified_fields_the_beginning_is_shown_on_one_line() -> None:
    assert payload_preview(b'{"email": "x"}', contract()) == '{"email": "x"}'
    assert payload_preview(b"a\nb\xff\x1b[31m", contract()) == r"a\nb\\xff\x1b[31m"
    assert payload_preview(b"x" * 1000, contract(), 10) == "xxxxxxxxx…"
    packed = contract(fmt=FileFormat(type="json", compression="gzip"))
    assert payload_preview(gzip.compress(b'{"email": 1}'), packed) == '{"email": 1}'


def test_classified_and_undeclared_values_are_masked() -> None:
    payload = json.dumps({"email": SECRET, "age": 200, "note": SECRET, SECRET: 1}).encode()
    assert payload_preview(payload, contract("email")) == '{"email":"***","age":200,"***":"***"}'
    nested = json.dumps({"age": {"of": SECRET}}).encode()
    assert payload_preview(nested, contract("email")) == '{"age":"***"}'
    files = contract("email", source="files", fmt=FileFormat(type="csv"))
    row = f"email,age,note\n{SECRET},200,{SECRET}\n".encode()
    assert payload_preview(row, files) == '{"email":"***","age":"200","***":"***"}'


@pytest.mark.parametrize(
    "payload",
    [
        f'{{"email": "{SECRET}"'.encode(), SECRET.encode(), f'["{SECRET}"]'.encode(),
        b"\xff" + SECRET.encode(), b"",
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_withheld(payload: bytes) -> None:
    said = payload_preview(payload, contract("email"))
    assert said == f"withheld: {len(payload)} bytes that cannot be taken apart"
    files = contract("email", source="files", fmt=FileFormat(type="csv"))
    assert SECRET not in payload_preview(b"email,age\n" + payload + b",1,2,3\n", files)


@pytest.mark.parametrize(
    ("reject", "shown"),
    [
        (Reject("enum", f"Invalid enum value '{SECRET}' - at `$.email`"),
         "Invalid enum value *** - at `$.email`"),
        (Reject("enum", "Invalid enum value 'O'Brien's' - at `$.email`"),
         "Invalid enum value *** - at `$.email`"),
        (Reject("range", "Expected `int` <= 150 - at `$.age`"),
         "Expected `int` <= 150 - at `$.age`"),
        (Reject("range", f"no column holds it: {SECRET}"), "no column holds it: ***"),
        (Reject("header", f"expected the columns email, got {SECRET}, x"),
         "expected the columns email, got ***"),
        (Reject("malformed", "JSON is malformed: invalid character (byte 0)"),
         "JSON is malformed: invalid character (byte 0)"),
        (Reject("enum", f"Invalid enum value '{SECRET}' " + "x" * 470 + "- at `$.age`"),
         "Invalid enum value ***"),
        (Reject("malformed", "expected 2 values, got 3"), "expected 2 values, got 3"),
    ],
)  # fmt: skip
def test_a_detail_is_shown_without_what_it_quotes(reject: Reject, shown: str) -> None:
    assert detail_preview(reject, contract("email")) == shown
    assert detail_preview(reject, contract()) == reject.detail


@given(st.dictionaries(st.sampled_from(["email", "age", "other"]), st.none() | st.integers()
                       | st.text().map(lambda text: f"<{text}>")
                       | st.lists(st.just("<x>")) | st.just("<'y' - at `$.age`>")))  # fmt: skip
def test_no_value_of_a_classified_record_gets_through(record: dict[str, Any]) -> None:
    both = contract("email", "age")
    payload = msgspec.json.encode(record)
    _, (reject,) = RowDecoder(both).json([payload])
    assert "<" not in payload_preview(payload, both).removeprefix("<")
    if reject is not None:
        assert "<" not in detail_preview(reject, both).replace("` <=", "")
