"""Rejects are decoded again as they would have been at first, at the positions that they had."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aggregates import aggregate

from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat, SourceKind
from lakehouse.decoding import again as again_module
from lakehouse.decoding.again import KEPT_BYTES, OldReject, Redecoder
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.formats import file_records
from lakehouse.decoding.kpl import UserRecord

BROKEN = Reject("malformed", "aggregate: checksum")
TYPE = Reject("type", "Expected `int`, got `str` - at `$.id`")
HEADER = Reject("header", "expected the columns id, got ID")


def contract(source: SourceKind = "stream", **fmt: Any) -> Contract:
    return Contract(
        dataset="items", version="2.0.0", description="", owner="tests",
        fields=(Field(name="id", type="integer", required=True), Field(name="n", type="integer")),
        source=source, format=FileFormat(**{"type": "json", **fmt}),
        deduplicate=Deduplicate(key=("id",)),
    )  # fmt: skip


def outcomes(of: Contract, *rejects: OldReject) -> list[tuple[int, int, str | None, str]]:
    """Of each record: the place of its reject, its index, its key and what became of it."""
    found = []
    for share in Redecoder(of).decode(rejects):
        for n, now in enumerate(share.rejects):
            became = str(share.columns[0][n].as_py()) if now is None else now.code
            found.append((share.origins[n], share.indexes[n], share.partition_keys[n], became))
        found += [(place, -1, None, "cut") for place in share.cut]
    return found


def old(payload: bytes, index: int = 0, reason: Reject = TYPE) -> OldReject:
    return OldReject(payload, index, reason)


def test_records_of_a_stream_are_decoded_by_their_own_payload() -> None:
    said = outcomes(contract(), old(b'{"id": 1}'), old(b'{"id": "x"}', 7), old(b""), old(b"{"))
    assert said == [(0, 0, None, "1"), (1, 7, None, "type"), (2, 0, None, "empty"),
                    (3, 0, None, "malformed")]  # fmt: skip
    packed = contract(compression="gzip")
    assert outcomes(packed, old(gzip.compress(b'{"id": 1}'), 3)) == [(0, 3, None, "1")]
    assert outcomes(packed, old(b'{"id": 1}')) == [(0, 0, None, "malformed")]


def test_an_aggregate_that_can_be_taken_apart_by_now_has_the_positions_of_its_records() -> None:
    users = [UserRecord("a", None, b'{"id": 1}'), UserRecord("b", None, b'{"id": "x"}')]
    assert outcomes(contract(), old(b"{", 5), old(aggregate(users), 0, BROKEN)) == [
        (0, 5, None, "malformed"), (1, 0, "a", "1"), (1, 1, "b", "type"),
    ]  # fmt: skip


def test_a_user_record_that_looks_like_an_aggregate_is_none() -> None:
    """Its siblings have the positions behind it."""
    inner = aggregate([UserRecord("a", None, b'{"id": 1}'), UserRecord("b", None, b'{"id": 2}')])
    assert outcomes(contract(), old(inner, 0, Reject("malformed", "invalid character"))) == [
        (0, 0, None, "malformed")
    ]
    assert outcomes(contract(), old(inner, 1, BROKEN)) == [(0, 1, None, "malformed")]


def test_a_csv_row_is_read_under_the_header_it_came_with() -> None:
    files = contract("files", type="csv")
    assert outcomes(files, old(b"n,id\n3,1\n", 4), old(b"id,n\nx,1\n", 5)) == [
        (0, 4, None, "1"), (1, 5, None, "type"),
    ]  # fmt: skip
    (share,) = Redecoder(files).decode([old(b"n,id\n3,1\n", 4)])
    assert [column.to_pylist() for column in share.columns] == [[1], [3]]


def test_a_csv_payload_of_several_rows_stays_a_reject() -> None:
    """The places behind it belong to the rows that followed."""
    files = contract("files", type="csv")
    (share,) = Redecoder(files).decode([old(b"id,n\n1,1\n2,2\n", 4, Reject("malformed", "row"))])
    assert share.rejects == [
        Reject("malformed", "expected one row in the payload, got 2; drop the file again")
    ]


def test_a_small_file_is_read_as_if_it_were_dropped_again() -> None:
    files = contract("files", type="csv")
    body = b"id,n\n1,1\n2,x\n"
    for reason in (HEADER, Reject("malformed", "no header: not a CSV row: unexpected quote")):
        assert outcomes(files, old(body, 0, reason)) == [(0, 0, None, "1"), (0, 1, None, "type")]
    pages = contract("pull", records="items")
    body = b'{"items": [{"id": 1}, {"id": 2}]}'
    for reason in (Reject("missing", "expected the records under 'data', got the keys items"),
                   Reject("malformed", "not a JSON document of records: x")):  # fmt: skip
        assert outcomes(pages, old(body, 0, reason)) == [(0, 0, None, "1"), (0, 1, None, "2")]


def test_a_file_whose_beginning_alone_was_kept_waits_to_be_dropped_again() -> None:
    files = contract("files", type="csv")
    beginning = (b"id,n\n" + b"1,1\n" * KEPT_BYTES)[:KEPT_BYTES]
    assert outcomes(files, old(beginning, 0, HEADER), old(b"id\n1\n", 3)) == [
        (1, 3, None, "1"), (0, -1, None, "cut"),
    ]  # fmt: skip
    assert outcomes(files, old(beginning, 0, HEADER)) == [(0, -1, None, "cut")]


def test_a_document_without_its_records_does_not_become_a_record() -> None:
    """Without required columns it would pass for one of nulls."""
    pages = contract("pull", records="items")
    loose = msgspec.structs.replace(
        pages, fields=tuple(msgspec.structs.replace(f, required=False) for f in pages.fields)
    )
    reason = Reject("missing", "expected the records under 'items', got the keys error")
    assert outcomes(loose, old(b'{"error": 1}', 0, reason)) == [(0, 0, None, "missing")]
    record = Reject("missing", "Object missing required field `id`")
    assert outcomes(pages, old(b'{"id": 3}', 0, record)) == [(0, 0, None, "3")]


def test_shares_are_bounded_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again_module, "_SHARE_RECORDS", 3)
    rejects = [old(json.dumps({"id": n}).encode(), n) for n in range(8)]
    shares = list(Redecoder(contract()).decode(rejects))
    assert [list(share.origins) for share in shares] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    monkeypatch.setattr(again_module, "_SHARE_BYTES", 1)
    assert len(list(Redecoder(contract()).decode(rejects))) == 8


def landed(of: Contract, body: bytes) -> Sequence[tuple[bytes, Any]]:
    return [(record.payload, record.values) for record in file_records(body, of)]


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_every_csv_payload_reads_as_it_did_in_its_file(values: list[tuple[str, str]]) -> None:
    files = contract("files", type="csv")
    body = "id,n\n" + "".join(f"{a},{b}\n" for a, b in values)
    try:
        encoded = body.encode()
    except UnicodeEncodeError:
        return
    if not encoded.strip():
        return
    for payload, was in landed(files, encoded):
        if isinstance(was, dict):
            assert landed(files, payload) == [(payload, was)]
