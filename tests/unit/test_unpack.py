from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import pytest
from support.aggregates import aggregate

from lakehouse.contracts.model import FileFormat
from lakehouse.contracts.odcs import parse_contract
from lakehouse.decoding.decode import Reject, RejectError
from lakehouse.decoding.kpl import MAGIC, UserRecord
from lakehouse.decoding.unpack import INFLATED_BYTES, Unpacked, body_of, inflate, unpack
from lakehouse.errors import ContractError

JSON = FileFormat(type="json")
GZIP = FileFormat(type="json", compression="gzip")
ZLIB = FileFormat(type="json", compression="zlib")
AVRO = FileFormat(type="avro")
ID = bytes(range(16))


def whole(data: list[bytes], fmt: FileFormat) -> Unpacked:
    (share,) = unpack(data, fmt)
    return share


def codes(share: Unpacked) -> list[str | None]:
    return [body.code if isinstance(body, Reject) else None for body in share.bodies]


def test_a_plain_page_is_handed_on_as_it_is() -> None:
    page = [b'{"a":1}', b"", b"\xff\xff", b"\xf3\x89\x9a"]
    share = whole(page, JSON)
    assert share.payloads is page
    assert share.bodies is page
    assert share.origins is None
    assert share.partition_keys is None
    assert share.indexes == [0, 0, 0, 0]


def test_no_records_are_no_shares() -> None:
    assert list(unpack([], JSON)) == []
    assert list(unpack([], GZIP)) == []


def test_each_record_of_an_aggregate_has_its_own_place_and_key() -> None:
    users = [UserRecord("k1", None, b"a"), UserRecord("k2", "7", b"b"), UserRecord("k1", None, b"")]
    share = whole([b"first", aggregate(users), b"last"], JSON)
    assert share.payloads == [b"first", b"a", b"b", b"", b"last"]
    assert share.bodies == share.payloads
    assert share.origins == [0, 1, 1, 1, 2]
    assert share.indexes == [0, 0, 1, 2, 0]
    assert share.partition_keys == [None, "k1", "k2", "k1", None]


@pytest.mark.parametrize(
    "broken",
    [
        aggregate([UserRecord("k", None, b"a")])[:-1],
        aggregate([UserRecord("k", None, b"a")]).replace(b"k", b"j"),
        MAGIC,
        MAGIC + bytes(16),
    ],
)
def test_a_broken_aggregate_is_one_reject_with_all_its_bytes(broken: bytes) -> None:
    share = whole([b"first", broken, b"last"], JSON)
    assert share.payloads == [b"first", broken, b"last"]
    assert codes(share) == [None, "malformed", None]
    assert share.origins == [0, 1, 2]
    assert share.indexes == [0, 0, 0]


def test_an_aggregate_of_nothing_is_not_lost() -> None:
    empty = aggregate([])
    share = whole([empty], JSON)
    assert share.payloads == [empty]
    assert codes(share) == ["empty"]


@pytest.mark.parametrize(("fmt", "compress"), [(GZIP, gzip.compress), (ZLIB, zlib.compress)])
def test_compressed_records_are_kept_as_they_came(fmt: FileFormat, compress: Any) -> None:
    page = [compress(b'{"a":1}'), compress(b""), b"", b"{}", compress(b"{}")[:-1]]
    share = whole(page, fmt)
    assert share.payloads == page
    assert [b for b in share.bodies if isinstance(b, bytes)] == [b'{"a":1}', b"", b""]
    assert codes(share) == [None, None, None, "malformed", "malformed"]
    assert share.partition_keys is None


def test_records_of_an_aggregate_are_decompressed_each() -> None:
    users = [UserRecord("k", None, gzip.compress(b"{}")), UserRecord("k", None, b"{}")]
    share = whole([aggregate(users)], GZIP)
    assert share.payloads == [user.data for user in users]
    assert share.bodies[0] == b"{}"
    assert codes(share) == [None, "malformed"]


def test_gzip_members_are_joined() -> None:
    assert inflate(gzip.compress(b'{"a":') + gzip.compress(b"1}"), "gzip") == b'{"a":1}'


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"{}", mtime=0) + b"rubbish",
        gzip.compress(b"{}", mtime=0) + gzip.compress(b"{}", mtime=0)[:-4],
        gzip.compress(b"{}", mtime=0)[:-8] + bytes(8),
        zlib.compress(b"{}"),
    ],
)
def test_gzip_that_is_not_whole_is_malformed(data: bytes) -> None:
    with pytest.raises(RejectError) as caught:
        inflate(data, "gzip")
    assert caught.value.reject.code == "malformed"


def test_bytes_after_zlib_are_malformed() -> None:
    with pytest.raises(RejectError, match="2 bytes after the end"):
        inflate(zlib.compress(b"{}") + b"{}", "zlib")


def test_a_record_may_fill_the_limit_and_no_more() -> None:
    assert len(inflate(gzip.compress(bytes(INFLATED_BYTES)), "gzip")) == INFLATED_BYTES
    over = gzip.compress(bytes(INFLATED_BYTES + 1))
    for bomb in (over, gzip.compress(bytes(INFLATED_BYTES)) + gzip.compress(b"x")):
        body = body_of(bomb, GZIP)
        assert isinstance(body, Reject)
        assert body.code == "size"


def test_a_bomb_is_not_inflated_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    inflated = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._of = real(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal inflated
            out = self._of.decompress(data, most)
            inflated += len(out)
            return out

        def __getattr__(self, name: str) -> object:
            return getattr(self._of, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(RejectError):
        inflate(zlib.compress(bytes(100 * 1024 * 1024)), "zlib")
    assert inflated == INFLATED_BYTES + 1


def test_a_page_of_bombs_comes_in_shares_of_bounded_size() -> None:
    bomb = gzip.compress(bytes(INFLATED_BYTES))
    shares = list(unpack([bomb] * 20, GZIP))
    assert [origin for share in shares for origin in share.origins or ()] == list(range(20))
    sizes = [sum(map(len, share.bodies)) for share in shares]
    assert max(sizes) <= 64 * 1024 * 1024 + INFLATED_BYTES
    assert len(shares) == 3


def test_a_great_aggregate_comes_in_shares_and_counts_on() -> None:
    users = [UserRecord("k", None, b"%d" % n) for n in range(25_000)]
    shares = list(unpack([aggregate(users), b"next"], JSON))
    assert [len(share.payloads) for share in shares] == [10_000, 10_000, 5_001]
    assert [n for share in shares for n in share.indexes] == [*range(25_000), 0]


def test_the_datum_of_an_avro_frame_is_decompressed_behind_its_header() -> None:
    page = [b"\x03\x00" + ID + b"plain", b"\x03\x05" + ID + zlib.compress(b"datum"), b"\x03\x05"]
    share = whole(page, AVRO)
    assert share.payloads == page
    assert share.bodies[:2] == [page[0], b"\x03\x00" + ID + b"datum"]
    assert codes(share) == [None, None, "malformed"]
    assert whole(page[:1], AVRO).origins is None
    own = FileFormat(type="avro", schema="{}")
    assert whole(page, own).bodies is page


def test_no_bytes_stop_a_page() -> None:
    draw = random.Random(5)
    starts = [MAGIC, b"\x03\x05", b"\x1f\x8b\x08", b"x\x9c", b""]
    page = [draw.choice(starts) + draw.randbytes(draw.randrange(40)) for _ in range(2_000)]
    for fmt in (JSON, GZIP, ZLIB, AVRO):
        shares = list(unpack(page, fmt))
        assert [p for share in shares for p in share.payloads] == page


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: sensors
version: 1.0.0
status: active
team: {name: plant}
customProperties:
  - {property: source, value: SOURCE}
  - {property: format, value: {FORMAT}}
schema:
  - name: sensors
    properties:
      - {name: sensor, logicalType: string, primaryKey: true}
"""


def parsed(source: str, fmt: str) -> FileFormat:
    text = CONTRACT.replace("SOURCE", source).replace("FORMAT", fmt)
    return parse_contract(text, "sensors.yaml").format


def test_a_contract_says_how_a_streams_records_are_packed() -> None:
    assert parsed("stream", "type: json, compression: gzip") == GZIP
    assert parsed("stream", "type: avro") == AVRO
    assert parsed("files", "type: csv, delimiter: ';'").delimiter == ";"


@pytest.mark.parametrize(
    ("source", "fmt", "says"),
    [
        ("stream", "type: csv", "format.type 'csv' for source 'stream'; expected json or avro"),
        ("files", "type: avro, schema: '{}'", "an Avro file has its own, remove it"),
        ("files", "type: json, delimiter: ';'", "format.delimiter is of CSV"),
        ("files", "type: csv, records: data", "format.records is of JSON documents"),
        ("files", "type: csv, delimiter: '||'", "format.delimiter is '||'; expected one character"),
        ("files", "type: csv, escape: '\"'", "expected different characters"),
        ("files", "type: csv, encoding: ebcdic", "format.encoding 'ebcdic': unknown encoding"),
        ("files", "type: csv, encoding: base64", "format.encoding 'base64'"),
        ("stream", "type: json, manifest: m.json", "format.manifest is of files, not of streams"),
        ("stream", "type: json, compression: lz4", "Invalid enum value 'lz4'"),
        ("stream", "type: json, compresion: gzip", "did you mean 'compression'?"),
        ("stream", "type: json, schema: a.avsc", "format.schema is the schema of Avro"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(source: str, fmt: str, says: str) -> None:
    with pytest.raises(ContractError) as caught:
        parsed(source, fmt)
    assert says in str(caught.value)
