from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aggregates import aggregate

from lakehouse.decoding.kpl import MAGIC, AggregateError, UserRecord, deaggregate

RECORDS = st.lists(
    st.builds(
        UserRecord,
        partition_key=st.text(max_size=256),
        explicit_hash_key=st.none() | st.integers(0, 2**128 - 1).map(str),
        data=st.binary(max_size=300),
    ),
    max_size=20,
)


def sealed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message).digest()


@given(RECORDS)
def test_what_is_aggregated_comes_out_again(records: list[UserRecord]) -> None:
    assert deaggregate(aggregate(records)) == records


def test_an_aggregate_has_the_bytes_that_the_format_asks_for() -> None:
    message = bytes.fromhex(
        "0a016b"  # partition_key_table: "k"
        "12023432"  # explicit_hash_key_table: "42"
        "1a07080010001a0161"  # records: both indexes 0, data "a"
    )  # fmt: skip
    assert aggregate([UserRecord("k", "42", b"a")]) == sealed(message)


def test_tags_and_unknown_fields_are_passed_over() -> None:
    tag = b"\x22\x04\x0a\x02ab"
    record = b"\x08\x00" + b"\x1a\x01d" + tag + b"\x78\x05"
    message = b"\x0a\x01k" + b"\x1a" + bytes([len(record)]) + record + b"\x7a\x01x"
    assert deaggregate(sealed(message)) == [UserRecord("k", None, b"d")]


@given(RECORDS, st.data())
def test_a_changed_byte_never_comes_out_as_records(
    records: list[UserRecord], data: st.DataObject
) -> None:
    whole = bytearray(aggregate(records))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AggregateError):
        deaggregate(bytes(whole))


@given(RECORDS, st.data())
def test_a_shorter_aggregate_never_comes_out_as_records(
    records: list[UserRecord], data: st.DataObject
) -> None:
    whole = aggregate(records)
    with pytest.raises(AggregateError):
        deaggregate(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(RECORDS, st.data())
def test_a_message_changed_under_its_digest_ends_in_no_other_error(
    records: list[UserRecord], data: st.DataObject
) -> None:
    message = bytearray(aggregate(records)[len(MAGIC) : -16])
    if message:
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(message)))
    with contextlib.suppress(AggregateError):
        deaggregate(sealed(bytes(message[:end])))


@given(st.binary(max_size=100))
def test_no_message_ends_in_another_error(message: bytes) -> None:
    with contextlib.suppress(AggregateError):
        deaggregate(sealed(message))


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"\x0a\x01k\x1a\x05\x08\x01\x1a\x01d", "partition_key_index below 1, got 1"),
        (b"\x0a\x01k\x1a\x07\x08\x00\x10\x00\x1a\x01d", "explicit_hash_key_index below 0, got 0"),
        (b"\x0a\x01k\x1a\x02\x08\x00", "expected data in every record"),
        (b"\x0a\x01k\x1a\x03\x1a\x01d", "expected partition_key_index in every record"),
        (b"\x0a\x01k\x1a\x7f\x08\x00", "expected 127 bytes of field 3, got 2"),
        (b"\x0a\x01k\x00", "at byte 4, got tag 0"),
        (b"\x0d\x00\x00\x00\x00", "varint or byte field at byte 1, got tag 13"),
        (b"\x0a\x02\xff\xff", "a key in UTF-8"),
        (b"\x0a\x81\x02" + b"k" * 257, "at most 256 characters, got 257"),
        (b"\x08" + b"\xff" * 10, "at most 64 bits at byte 1"),
        (b"\x08\xff", "at most 64 bits at byte 1"),
        (b"\x08\x01", "a key to be bytes, got a number"),
        (b"\x0a\x01k\x1a\x06\x0a\x01k\x1a\x01d", "partition_key_index to be a number, got bytes"),
    ],
)
def test_a_message_that_is_none_says_what_is_wrong(message: bytes, says: str) -> None:
    with pytest.raises(AggregateError, match=says):
        deaggregate(sealed(message))


def test_another_digest_is_named() -> None:
    with pytest.raises(AggregateError, match="expected the MD5 digest"):
        deaggregate(aggregate([UserRecord("k", None, b"d")]) + b"x")
