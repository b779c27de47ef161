from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding.decode import Reject, RowDecoder

FLIGHTS = load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["flights"]
GOOD = {
    "event_id": "0" * 32,
    "flight_date": "2013-01-01",
    "scheduled_departure": "2013-01-01T10:15:00Z",
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "dep_delay": 2.0,
    "arr_delay": None,
    "air_time": 227,
    "distance": 1400,
}


def decode(payload: bytes) -> tuple[dict[str, object], Reject | None]:
    decoder = RowDecoder(FLIGHTS)
    rows, rejects = decoder.json([payload])
    columns = decoder.columns(rows)
    names = [f.name for f in FLIGHTS.fields]
    return {n: c[0].as_py() for n, c in zip(names, columns, strict=True)}, rejects[0]


def test_a_good_record_becomes_typed_columns() -> None:
    row, reject = decode(msgspec.json.encode(GOOD))
    assert reject is None
    assert row["flight_date"] == date(2013, 1, 1)
    assert row["scheduled_departure"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert row["air_time"] == 227.0
    assert row["arr_delay"] is None


def test_a_key_the_contract_does_not_know_is_ignored() -> None:
    assert decode(msgspec.json.encode(GOOD | {"gate": "B12"}))[1] is None


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"flight": "1545"}, "type", "$.flight"),
        ({"flight": 0}, "range", "$.flight"),
        ({"flight": 10**30}, "range", "$.flight"),
        ({"dep_delay": 99999}, "range", "$.dep_delay"),
        ({"carrier": "ua"}, "pattern", "$.carrier"),
        ({"origin": "LAX"}, "enum", "$.origin"),
        ({"flight_date": "01/02/2013"}, "format", "$.flight_date"),
        ({"scheduled_departure": "2013-01-01T10:15:00"}, "format", "$.scheduled_departure"),
        ({"carrier": None}, "type", "$.carrier"),
    ],
)
def test_a_broken_rule_is_a_reject_with_its_reason_and_place(
    change: dict[str, object], code: str, where: str
) -> None:
    row, reject = decode(msgspec.json.encode(GOOD | change))
    assert reject is not None
    assert reject.code == code
    assert where in reject.detail
    assert set(row.values()) == {None}


def test_a_missing_required_field_is_named() -> None:
    record = {k: v for k, v in GOOD.items() if k != "dest"}
    reject = decode(msgspec.json.encode(record))[1]
    assert reject is not None
    assert reject.code == "missing"
    assert "dest" in reject.detail


@pytest.mark.parametrize(
    "payload",
    [b"{", b"not json", b'{"carrier": NaN}', b"\xff\xfe", b"\x00", b'{"a":' + b"[" * 100_000],
)
def test_what_is_no_json_is_malformed(payload: bytes) -> None:
    reject = decode(payload)[1]
    assert reject is not None
    assert reject.code == "malformed"


@given(st.binary(max_size=200))
def test_no_payload_stops_the_decoder(payload: bytes) -> None:
    _, reject = decode(payload)
    assert reject is not None


def test_text_values_follow_the_same_rules() -> None:
    planes = load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["planes"]
    decoder = RowDecoder(planes)
    good = {
        "tailnum": "N10156", "year": "2004", "type": "Fixed wing", "manufacturer": "EMBRAER",
        "model": "EMB-145XR", "engines": "2", "seats": "55", "speed": "NA", "engine": "",
    }  # fmt: skip
    rows, rejects = decoder.text([good, good | {"seats": "many"}, Reject("malformed", "x")])
    assert [r and r.code for r in rejects] == [None, "type", "malformed"]
    assert rows[0].seats == 55
    assert rows[0].speed is None


@pytest.mark.parametrize("written", ["1357034400", "1357034400.5", "1e9", "1.5e-5"])
def test_a_bare_number_in_text_is_no_timestamp(written: str) -> None:
    decoder = RowDecoder(FLIGHTS)
    record = {name: str(value) for name, value in GOOD.items() if value is not None}
    good, _ = decoder.text([record])
    assert good[0].scheduled_departure == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    _, rejects = decoder.text([record | {"scheduled_departure": written}])
    assert rejects[0] is not None
    assert rejects[0].code == "format"
    assert "$.scheduled_departure" in rejects[0].detail


@pytest.mark.parametrize("written", ["nan", "inf", "-Infinity", "1e400"])
def test_a_text_that_is_no_finite_number_is_out_of_range(written: str) -> None:
    record = {name: str(value) for name, value in GOOD.items() if value is not None}
    _, rejects = RowDecoder(FLIGHTS).text([record | {"air_time": written}])
    assert rejects[0] is not None
    assert rejects[0].code == "range"


@given(st.lists(st.sampled_from(["good", "bad", "reject"]), max_size=30))
def test_good_and_bad_records_keep_their_places(kinds: list[str]) -> None:
    given_reject = Reject("size", "too much")
    made: dict[str, bytes | Reject] = {
        "good": msgspec.json.encode(GOOD),
        "bad": b"{",
        "reject": given_reject,
    }
    decoder = RowDecoder(FLIGHTS)
    rows, rejects = decoder.decode([made[kind] for kind in kinds])
    codes = {"good": None, "bad": "malformed", "reject": "size"}
    assert [reject and reject.code for reject in rejects] == [codes[kind] for kind in kinds]
    carriers = decoder.columns(rows, rejects)[3].to_pylist()
    assert carriers == ["UA" if kind == "good" else None for kind in kinds]


def test_rows_that_no_column_holds_are_found_among_the_others() -> None:
    decoder = RowDecoder(FLIGHTS)
    late = msgspec.json.encode(GOOD | {"scheduled_departure": "9999-12-31T23:59:59-01:00"})
    page = [msgspec.json.encode(GOOD)] * 1_000
    for at in (0, 499, 999):
        page[at] = late
    rows, rejects = decoder.decode(page)
    carriers = decoder.columns(rows, rejects)[3]
    assert {at: r.code for at, r in enumerate(rejects) if r} == dict.fromkeys(
        (0, 499, 999), "range"
    )
    assert [at for at, carrier in enumerate(carriers) if not carrier.is_valid] == [0, 499, 999]


def test_no_records_are_columns_of_no_rows() -> None:
    decoder = RowDecoder(FLIGHTS)
    rows, rejects = decoder.decode([])
    assert [len(column) for column in decoder.columns(rows, rejects)] == [0] * len(FLIGHTS.fields)
    assert rejects == []


def test_a_mistake_of_the_caller_is_no_reject() -> None:
    with pytest.raises(TypeError):
        RowDecoder(FLIGHTS).json([None])  # type: ignore[list-item]  # what the test is about
