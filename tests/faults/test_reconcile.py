"""The comparison finds what is lost, repeated, out of order or wrongly marked."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from faults.reconcile import Finding, compare
from faults.traffic import BAD, KEYS, event

SENT = 2 * KEYS


def row(number: int, **change: object) -> dict[str, Any]:
    record = event(number)
    return {
        "_payload": record.payload,
        "_source": "shardId-000000000000",
        "_sequence": str(10**20 + number),
        "_index": 0,
        "_partition_key": record.key,
        "_load": number // 100,
        "_reject": None if number % BAD else {"code": "range", "detail": ""},
        **change,
    }


def found(rows: list[dict[str, Any]]) -> Finding:
    finding, _ = compare(pa.Table.from_pylist(rows), range(SENT), {})
    return finding


def test_all_of_it_once_and_in_order_is_clean() -> None:
    assert found([row(n) for n in reversed(range(SENT))]).clean


def test_a_record_that_is_not_there_is_lost() -> None:
    assert found([row(n) for n in range(SENT) if n != 7]) == Finding(lost=1)


def test_a_record_that_is_there_twice_is_repeated() -> None:
    again = row(7, _sequence=str(10**20 + SENT), _load=9)
    finding = found([*(row(n) for n in range(SENT)), again])
    assert (finding.lost, finding.repeated) == (0, 1)


def test_a_record_that_nobody_sent_is_strange() -> None:
    assert found([*(row(n) for n in range(SENT)), row(1, _payload=b"x")]) == Finding(strange=1)


def test_a_reject_that_is_not_marked_is_strange_and_so_is_a_good_record_that_is() -> None:
    rows = [row(n) for n in range(SENT)]
    rows[0] = row(0, _reject=None)
    rows[1] = row(1, _reject={"code": "type", "detail": ""})
    assert found(rows) == Finding(strange=2)


def test_records_of_a_key_that_changed_places_are_out_of_order() -> None:
    rows = [row(n) for n in range(SENT)]
    rows[3] = row(3, _sequence=str(10**20 + KEYS + 3))
    rows[KEYS + 3] = row(KEYS + 3, _sequence=str(10**20 + 3))
    assert found(rows).disordered == ("key-3",)


def test_a_later_record_in_an_earlier_load_is_out_of_order() -> None:
    rows = [row(n) for n in range(SENT)]
    rows[KEYS + 3] = row(KEYS + 3, _load=-1)
    assert found(rows) == Finding(disordered=("key-3",))


def test_order_holds_from_one_look_to_the_next() -> None:
    first, last = compare(pa.Table.from_pylist([row(n) for n in range(KEYS)]), range(KEYS), {})
    assert first.clean
    rows = [row(n) for n in range(KEYS, SENT)]
    second, _ = compare(pa.Table.from_pylist(rows), range(KEYS, SENT), last)
    assert second.clean
    rows[0] = row(KEYS, _sequence="1")
    third, _ = compare(pa.Table.from_pylist(rows), range(KEYS, SENT), last)
    assert third == Finding(disordered=("key-0",))
