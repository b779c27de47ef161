from __future__ import annotations

import datetime as dt
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from demo import expect, rules
from demo.trouble import Delivery

JANUARY = dt.date(2013, 1, 1)


def flight(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"{number:032x}",
        "flight_date": dt.date(2013, 1, 31),
        "scheduled_departure": pd.Timestamp("2013-02-01T04:10:00Z"),
        "carrier": "UA",
        "flight": number,
        "tailnum": "N100",
        "origin": "EWR",
        "dest": "IAH",
        "dep_delay": 0.0,
        "arr_delay": 0.0,
        "air_time": 100.0,
        "distance": 1400,
    } | changes


FLIGHTS = pd.DataFrame(
    [
        flight(1, dep_delay=15.0, arr_delay=15.0),
        flight(2, dep_delay=16.0, arr_delay=40.0, tailnum="N200"),
        flight(3, dep_delay=None, arr_delay=None, air_time=None, tailnum=None),
        flight(4, dep_delay=5.0, arr_delay=None, tailnum="N999", dest="ORD", carrier="9E"),
    ]
)
PLANES = pd.DataFrame({"tailnum": ["N100", "N200"], "seats": [150, 50]})
AIRLINES = pd.DataFrame({"carrier": ["UA", "9E"], "name": ["United", "Endeavor"]})


def observation(hour: str, **changes: Any) -> dict[str, Any]:
    return {
        "origin": "EWR",
        "month": 1,
        "time_hour": hour,
        "temp": 50.0,
        "dewp": 40.0,
        "humid": 50.0,
        "wind_dir": 10.0,
        "wind_speed": 5.0,
        "wind_gust": None,
        "precip": 0.0,
        "pressure": None,
        "visib": 10.0,
    } | changes


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return plain.to_dict("records")


def test_route_punctuality_by_hand() -> None:
    routes = rows(expect.route_punctuality(FLIGHTS))
    assert routes == [
        {
            "flight_date": dt.date(2013, 1, 31),
            "origin": "EWR",
            "dest": "IAH",
            "flights": 3,
            "cancelled": 1,
            "departed_on_time": 1,
            "arrived_on_time": 1,
            "mean_dep_delay": 15.5,
            "mean_arr_delay": 27.5,
            "worst_arr_delay": 40.0,
        },
        {
            "flight_date": dt.date(2013, 1, 31),
            "origin": "EWR",
            "dest": "ORD",
            "flights": 1,
            "cancelled": 0,
            "departed_on_time": 1,
            "arrived_on_time": 0,
            "mean_dep_delay": 5.0,
            "mean_arr_delay": None,
            "worst_arr_delay": None,
        },
    ]


def test_carrier_on_time_by_hand() -> None:
    endeavor, united = rows(expect.carrier_on_time(FLIGHTS, AIRLINES, PLANES))
    assert endeavor == {
        "month": JANUARY,
        "carrier": "9E",
        "name": "Endeavor",
        "flights": 1,
        "cancelled": 0,
        "arrived_on_time": 0,
        "on_time_share": 0.0,
        "mean_arr_delay": None,
        "seats_flown": None,
    }
    assert (united["flights"], united["cancelled"], united["arrived_on_time"]) == (3, 1, 1)
    assert united["on_time_share"] == 1 / 3
    assert united["seats_flown"] == 200


@pytest.mark.parametrize(
    ("weather", "conditions"),
    [
        ({}, "clear"),
        ({"wind_speed": 19.9}, "clear"),
        ({"wind_speed": None}, "clear"),
        ({"wind_speed": 20.0}, "strong wind"),
        ({"wind_speed": 30.0, "precip": 0.01}, "rain"),
        ({"wind_speed": 30.0, "precip": 0.01, "visib": 2.9}, "low visibility"),
        ({"visib": 3.0}, "clear"),
        ({"time_hour": "2013-02-01T05:00:00Z"}, "not observed"),
        ({"origin": "JFK", "precip": 1.0}, "not observed"),
    ],
)
def test_the_worst_condition_of_the_hour_counts(weather: dict[str, Any], conditions: str) -> None:
    frame = pd.DataFrame([observation("2013-02-01T04:00:00Z") | weather])
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    (found,) = rows(expect.delay_by_weather(FLIGHTS, frame))
    assert found["conditions"] == conditions
    assert found["month"] == JANUARY
    assert (found["flights"], found["cancelled"], found["delayed"]) == (4, 1, 1)
    assert found["delayed_share"] == 1 / 3
    assert found["mean_dep_delay"] == 12.0


def test_a_group_that_never_departed_has_no_share() -> None:
    frame = pd.DataFrame([observation("2013-02-01T04:00:00Z")])
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    (found,) = rows(expect.delay_by_weather(FLIGHTS[2:3], frame))
    assert found["cancelled"] == 1
    assert found["delayed_share"] is None
    assert found["mean_dep_delay"] is None


def test_silver_has_a_flight_once_that_came_good_and_not_one_that_came_broken_only() -> None:
    one, two, three, four = FLIGHTS["event_id"]
    sent = [
        Delivery(one, b"", "flight", None),
        Delivery(one, b"", "repeat", None),
        Delivery(two, b"", "rule", "enum"),
        Delivery(two, b"", "late", None),
        Delivery(three, b"", "malformed", "malformed"),
        Delivery(four, b"", "rule", "enum"),
    ]
    deliveries, silver = expect.expect_flights(FLIGHTS, sent)
    assert deliveries == expect.Deliveries(3, {"enum": 2, "malformed": 1})
    assert deliveries.total == 6
    assert silver["event_id"].tolist() == [one, two]


def test_a_true_flight_that_breaks_a_rule_is_expected_to_be_rejected() -> None:
    flights = pd.DataFrame([flight(1, distance=0), flight(2, tailnum="x")])
    sent = [Delivery(key, b"", "flight", None) for key in flights["event_id"]]
    deliveries, silver = expect.expect_flights(flights, sent)
    assert deliveries == expect.Deliveries(0, {"pattern": 1, "range": 1})
    assert silver.empty


def test_a_month_pulled_in_celsius_counts_in_bronze_and_not_in_silver() -> None:
    weather = pd.DataFrame(
        [
            observation("2013-01-01T06:00:00Z"),
            observation("2013-02-01T06:00:00Z", month=2),
            observation("2013-02-01T07:00:00Z", month=2, wind_speed=1048.36),
        ]
    )
    bad, good = expect.Pull(2, in_celsius=True), expect.Pull(2)
    deliveries, silver = expect.expect_weather(weather, [bad])
    assert deliveries == expect.Deliveries(1, {"range": 1})
    assert silver.empty
    deliveries, silver = expect.expect_weather(weather, [bad, expect.Pull(1), good])
    assert deliveries == expect.Deliveries(3, {"range": 2})
    assert len(silver) == 2
    assert list(silver.columns) == list(rules.WEATHER_COLUMNS)


@pytest.mark.parametrize("module", [expect, rules])
def test_nothing_of_the_platform_is_imported(module: ModuleType) -> None:
    named = {getattr(value, "__module__", "") or "" for value in vars(module).values()}
    assert not [name for name in named if name.split(".")[0] in {"lakehouse", "localaws"}]
