"""However a file is split, packed or broken into pieces, it holds the same records."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.model import Contract, FileFormat
from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding.decode import Reject
from lakehouse.decoding.formats import FileRecord, can_split, file_records, object_records
from lakehouse.decoding.source import MemorySource

AIRLINES = load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["airlines"]
SCHEMA = {
    "type": "record",
    "name": "airline",
    "fields": [{"name": "carrier", "type": "string"}, {"name": "name", "type": "string"}],
}
CELLS = st.text(st.characters(codec="utf-8", exclude_characters='",\r\n'), min_size=1, max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
UNHURRIED = settings(max_examples=50, deadline=None)
STEPS = st.integers(1, 60)


class Drips(MemorySource):
    """A file that arrives in small pieces."""

    def __init__(self, body: bytes, piece: int) -> None:
        super().__init__(body)
        self._piece = piece

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        for chunk in super().chunks(start, end):
            for at in range(0, len(chunk), self._piece):
                yield chunk[at : at + self._piece]


def contract(**form: Any) -> Contract:
    return msgspec.structs.replace(AIRLINES, format=FileFormat(**form))


def in_splits(body: bytes, of: Contract, step: int, piece: int = 7) -> list[FileRecord]:
    source = Drips(body, piece)
    starts = range(0, len(body), step)
    splits = [object_records(source, of, (at, min(at + step, len(body)))) for at in starts]
    return [record for split in splits for record in split]


def check(body: bytes, of: Contract, step: int) -> None:
    """Split anywhere, in pieces, and packed, a file has the records that it has as a whole."""
    whole = list(file_records(body, of))
    said = [(record.payload, record.values) for record in whole]
    assert [record.place for record in whole] == list(range(len(whole)))
    parts = in_splits(body, of, step)
    assert [(record.payload, record.values) for record in parts] == said
    places = [record.place for record in parts]
    assert sorted(set(places)) == places
    assert list(object_records(Drips(body, step), of)) == whole
    packed = gzip.compress(body)
    assert list(file_records(packed, of)) == whole
    assert in_splits(packed, of, step) == whole


def test_formats_that_split() -> None:
    assert can_split("a.csv", FileFormat(type="csv", multiline=False))
    assert not can_split("a.csv", FileFormat(type="csv"))
    assert not can_split("a.csv.gz", FileFormat(type="csv", multiline=False))
    assert not can_split("a", FileFormat(type="csv", multiline=False, encoding="utf-16"))
    assert not can_split("a", FileFormat(type="ndjson", compression="gzip"))
    assert not can_split("a", FileFormat(type="json"))
    assert all(can_split("a", FileFormat(type=kind)) for kind in ("ndjson", "avro", "parquet"))


@UNHURRIED
@given(rows=ROWS, end=ENDS, step=STEPS, last=st.booleans(), mark=st.booleans())
def test_lines_of_csv(
    rows: list[tuple[str, str]], end: str, step: int, *, last: bool, mark: bool
) -> None:
    text = end.join(["carrier,name", *(f"{a},{b}" for a, b in rows)]) + end * last
    body = b"\xef\xbb\xbf" * mark + text.encode()
    of = contract(type="csv", multiline=False)
    check(body, of, step)
    assert [r.values for r in file_records(body, of)] == [
        {"carrier": a, "name": b} for a, b in rows
    ]


@UNHURRIED
@given(rows=ROWS, end=ENDS, step=STEPS, last=st.booleans())
def test_lines_of_json(rows: list[tuple[str, str]], end: str, step: int, *, last: bool) -> None:
    lines = [json.dumps({"carrier": a, "name": b}) for a, b in rows]
    check((end.join(lines) + end * last).encode(), contract(type="ndjson"), step)


@UNHURRIED
@given(st.binary(max_size=80), STEPS)
def test_any_bytes_as_lines(body: bytes, step: int) -> None:
    of = contract(type="ndjson")
    if not body.removeprefix(b"\xef\xbb\xbf").strip() or body.startswith(b"\x1f\x8b"):
        return
    check(body, of, step)


@UNHURRIED
@given(st.binary(max_size=80), STEPS)
def test_any_bytes_as_lines_of_csv(tail: bytes, step: int) -> None:
    check(b"carrier,name\n" + tail, contract(type="csv", multiline=False), step)


@UNHURRIED
@given(st.binary(max_size=120))
def test_any_bytes_are_taken_apart_as_anything(body: bytes) -> None:
    for form in ({"type": "csv"}, {"type": "csv", "encoding": "utf-16"}, {"type": "json"}):
        whole = list(file_records(body, contract(**form)))
        assert list(object_records(Drips(body, 3), contract(**form))) == whole
    for kind in ("avro", "parquet"):
        (record,) = file_records(body, contract(type=kind))
        assert isinstance(record.values, Reject)


@UNHURRIED
@given(ROWS, STEPS, st.sampled_from(["null", "deflate", "bzip2", "xz"]), st.integers(1, 100))
def test_blocks_of_avro(rows: list[tuple[str, str]], step: int, codec: str, block: int) -> None:
    out = io.BytesIO()
    records = [{"carrier": a, "name": b} for a, b in rows]
    fastavro.writer(out, SCHEMA, records, codec=codec, sync_interval=block)
    of = contract(type="avro")
    check(out.getvalue(), of, step)
    assert [json.loads(r.payload) for r in file_records(out.getvalue(), of)] == records


@UNHURRIED
@given(ROWS, STEPS, st.integers(1, 5))
def test_row_groups_of_parquet(rows: list[tuple[str, str]], step: int, group: int) -> None:
    out = io.BytesIO()
    records = [{"carrier": a, "name": b} for a, b in rows]
    pq.write_table(pa.Table.from_pylist(records), out, row_group_size=group)
    of = contract(type="parquet")
    check(out.getvalue(), of, 40 * step)
    assert [json.loads(r.payload) for r in file_records(out.getvalue(), of)] == records


@UNHURRIED
@given(ROWS, st.data())
def test_a_damaged_or_cut_avro_file_keeps_its_other_blocks(
    rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    out = io.BytesIO()
    records = [{"carrier": a, "name": b} for a, b in rows]
    fastavro.writer(out, SCHEMA, records, sync_interval=1)
    body = out.getvalue()
    of = contract(type="avro")
    first = body.rindex(body[-16:], 0, body.index(body[-16:]) + 16) + 16
    cut = data.draw(st.integers(first, len(body)))
    whole = [r.payload for r in file_records(body, of)]
    kept = list(file_records(body[:cut], of))
    good = [r.payload for r in kept if r.values is None]
    assert good == whole[: len(good)]
    assert len(kept) - len(good) in {0, 1}
    assert len(kept) > len(good) or body[:cut].endswith(body[-16:])


@UNHURRIED
@given(st.integers(0, 400), st.integers(1, 50))
def test_what_a_cut_gzip_file_gives_depends_on_the_cut_alone(cut: int, piece: int) -> None:
    body = "carrier,name\n" + "".join(f"A{n},name {n * n}\n" for n in range(100))
    packed = gzip.compress(body.encode())
    cut = min(cut, len(packed) - 1)
    if cut < 2:
        return
    for form in ({"type": "csv"}, {"type": "csv", "multiline": False}, {"type": "ndjson"}):
        of = contract(**form)
        whole = list(file_records(packed[:cut], of))
        assert list(object_records(Drips(packed[:cut], piece), of)) == whole
        *before, last = whole
        assert isinstance(last.values, Reject)
        assert "ends early" in last.values.detail
        assert before == list(file_records(packed, of))[: len(before)]


def test_a_wrong_checksum_marks_the_end_and_keeps_the_rest() -> None:
    packed = bytearray(gzip.compress(b"carrier,name\nAA,American\nUA,United\n"))
    packed[-6] ^= 1
    *before, last = file_records(bytes(packed), contract(type="csv"))
    assert [r.values for r in before] == [
        {"carrier": "AA", "name": "American"},
        {"carrier": "UA", "name": "United"},
    ]
    assert isinstance(last.values, Reject)
    assert "incorrect data check" in last.values.detail


def test_several_members_and_padding_are_one_file() -> None:
    packed = gzip.compress(b"carrier,name\nAA,Am") + gzip.compress(b"erican\n") + b"\0" * 20
    (row,) = file_records(packed, contract(type="csv"))
    assert row.values == {"carrier": "AA", "name": "American"}


def test_zlib_is_read_where_the_contract_names_it() -> None:
    body = b"carrier,name\nAA,American\n"
    of = contract(type="csv", compression="zlib")
    for given_body in (zlib.compress(body), body, gzip.compress(body)):
        (row,) = file_records(given_body, of)
        assert row.values == {"carrier": "AA", "name": "American"}


def test_a_bomb_is_stopped() -> None:
    packed = gzip.compress(b'{"carrier":"AA"}\n' + b" " * (80 * 1024 * 1024))
    *before, last = file_records(packed, contract(type="ndjson"))
    assert len(before) == 1
    assert isinstance(last.values, Reject)
    assert (last.values.code, len(last.payload)) == ("size", 1024 * 1024)


def snappy(body: bytes) -> bytes:
    return bytes(pa.compress(body, "snappy", asbytes=True)) + zlib.crc32(body).to_bytes(4, "big")


def zstandard(body: bytes) -> bytes:
    return bytes(pa.compress(body, "zstd", asbytes=True))


@pytest.mark.parametrize("compress", [snappy, zstandard])
def test_codecs_that_the_standard_library_lacks(compress: Callable[[bytes], bytes]) -> None:
    def long(number: int) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, "long", number)
        return out.getvalue()

    def text(value: bytes) -> bytes:
        return long(len(value)) + value

    meta = {b"avro.schema": json.dumps(SCHEMA).encode(), b"avro.codec": compress.__name__.encode()}
    head = b"Obj\x01" + long(2) + b"".join(text(k) + text(v) for k, v in meta.items()) + long(0)
    sync = bytes(range(16))
    data = compress(text(b"AA") + text(b"American"))
    body = head + sync + long(1) + text(data) + sync
    (row,) = file_records(body, contract(type="avro"))
    assert row.payload == b'{"carrier":"AA","name":"American"}'
    damaged = head + sync + long(1) + text(data[:-3]) + sync
    (bad,) = file_records(damaged, contract(type="avro"))
    assert isinstance(bad.values, Reject)
    assert bad.values.code == "malformed"
