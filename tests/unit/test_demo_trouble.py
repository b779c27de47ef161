from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo import data, trouble
from lakehouse.contracts.odcs import load_contract
from lakehouse.decoding.decode import RowDecoder

CONTRACT = Path(__file__).parents[2] / "quality" / "contracts" / "flights.yaml"
seeds = st.integers(min_value=0, max_value=2**32 - 1)


def make_flights(count: int) -> pd.DataFrame:
    start = pd.Timestamp("2013-01-01T10:00:00Z")
    when = pd.Series([start + pd.Timedelta(minutes=7 * n) for n in range(count)])
    return pd.DataFrame(
        {
            "scheduled_departure": when,
            "flight_date": [dt.date(2013, 1, 1)] * count,
            "carrier": ["UA", "9E"] * (count // 2) + ["B6"] * (count % 2),
            "flight": range(1, count + 1),
            "tailnum": [None if n % 5 == 0 else f"N{n:04d}" for n in range(count)],
            "origin": "EWR",
            "dest": "IAH",
            "dep_delay": [None if n % 7 == 0 else float(n % 90) for n in range(count)],
            "arr_delay": [None if n % 7 == 0 else float(n % 60) for n in range(count)],
            "air_time": [None if n % 7 == 0 else 100.0 for n in range(count)],
            "distance": 1400,
            "event_id": [data.event_id(data.instant(w), "UA", n) for n, w in enumerate(when)],
        }
    )


FLIGHTS = make_flights(2000)


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_shares_are_the_stated_ones(seed: int) -> None:
    counts = trouble.tally(trouble.deliveries(FLIGHTS, seed))
    lost = round(trouble.LOST * 2000)
    assert counts["flight"] + counts["late"] == 2000 - lost
    assert counts["late"] == round(trouble.LATE * 2000)
    assert counts["repeat"] == round(trouble.REPEATED * 2000)
    assert counts["malformed"] == round(trouble.MALFORMED * 2000)
    assert counts["rule"] == round(trouble.RULE_BROKEN * 2000)


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_every_flight_but_the_lost_arrives_good_and_once_unless_repeated(seed: int) -> None:
    sent = trouble.deliveries(FLIGHTS, seed)
    good = Counter(d.key for d in sent if d.reason is None)
    repeats = {d.key for d in sent if d.kind == "repeat"}
    assert len(FLIGHTS) - len(good) == round(trouble.LOST * 2000)
    assert {key for key, times in good.items() if times == 2} == repeats
    broken = {d.key for d in sent if d.reason is not None}
    assert set(FLIGHTS["event_id"]) - set(good) <= broken


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_repeats_are_the_same_bytes_sent_later(seed: int) -> None:
    first: dict[str, bytes] = {}
    for delivery in trouble.deliveries(FLIGHTS, seed):
        if delivery.kind == "repeat":
            assert first[delivery.key] == delivery.payload
        elif delivery.reason is None:
            first[delivery.key] = delivery.payload


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_the_platform_rejects_each_broken_delivery_for_the_labelled_reason(seed: int) -> None:
    sent = trouble.deliveries(FLIGHTS, seed)
    _, rejects = RowDecoder(load_contract(CONTRACT)).json([d.payload for d in sent])
    assert [reject and reject.code for reject in rejects] == [d.reason for d in sent]


@pytest.mark.parametrize(
    ("code", "number"),
    [(code, n) for code, ways in trouble.BROKEN_RULES.items() for n in range(len(ways))],
)
def test_each_way_to_break_a_rule_breaks_that_one(code: str, number: int) -> None:
    event = next(iter(data.events(FLIGHTS[1:2])))
    broken = trouble.BROKEN_RULES[code][number](event, trouble.np.random.default_rng(1))
    decoder = RowDecoder(load_contract(CONTRACT))
    changed = [key for key in event if broken.get(key) != event[key]]
    assert len(changed) == 1
    _, rejects = decoder.json([msgspec.json.encode(event), msgspec.json.encode(broken)])
    assert rejects[0] is None
    assert rejects[1] is not None
    assert rejects[1].code == code


def test_late_flights_come_after_flights_that_departed_later() -> None:
    sent = trouble.deliveries(FLIGHTS, 5)
    turn = dict(zip(FLIGHTS["event_id"], FLIGHTS["scheduled_departure"], strict=True))
    latest = pd.Timestamp("2013-01-01T00:00:00Z")
    for delivery in sent:
        if delivery.kind == "flight":
            assert turn[delivery.key] >= latest
            latest = turn[delivery.key]
    overtaken = [d for d in sent if d.kind == "late"]
    assert overtaken
    assert sent.index(overtaken[0]) > list(turn).index(overtaken[0].key)


def test_the_same_seed_gives_the_same_deliveries_and_another_does_not() -> None:
    assert trouble.deliveries(FLIGHTS, 3) == trouble.deliveries(FLIGHTS, 3)
    assert trouble.deliveries(FLIGHTS, 3) != trouble.deliveries(FLIGHTS, 4)
