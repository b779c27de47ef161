"""The row rules of the contracts, their keys and columns, stated a second time in pandas.

Nothing of the platform is imported, so that a mistake of its own cannot confirm itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import pandas as pd

_Broken = Callable[[pd.Series], pd.Series]


class Rule(NamedTuple):
    """A rule that every value of a column keeps: the code of its reason and who breaks it."""

    column: str
    code: str
    broken: _Broken


def _within(low: float, high: float) -> _Broken:
    return lambda values: values.notna() & ~values.between(low, high)


def _like(pattern: str) -> _Broken:
    return lambda values: values.notna() & ~values.astype("string").str.fullmatch(pattern).eq(True)


def _among(*known: str) -> _Broken:
    return lambda values: values.notna() & ~values.isin(known)


NEW_YORK: Final = ("EWR", "JFK", "LGA")
RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "flights": (
        Rule("event_id", "pattern", _like("[0-9a-f]{32}")),
        Rule("carrier", "pattern", _like("[0-9A-Z]{2}")),
        Rule("flight", "range", _within(1, 9999)),
        Rule("tailnum", "pattern", _like("[0-9A-Z]{3,8}")),
        Rule("origin", "enum", _among(*NEW_YORK)),
        Rule("dest", "pattern", _like("[A-Z]{3}")),
        Rule("dep_delay", "range", _within(-120, 2880)),
        Rule("arr_delay", "range", _within(-240, 2880)),
        Rule("air_time", "range", _within(1, 1440)),
        Rule("distance", "range", _within(1, 12000)),
    ),
    "weather": (
        Rule("origin", "enum", _among(*NEW_YORK)),
        Rule("temp", "range", _within(-60, 130)),
        Rule("dewp", "range", _within(-80, 100)),
        Rule("humid", "range", _within(0, 100)),
        Rule("wind_dir", "range", _within(0, 360)),
        Rule("wind_speed", "range", _within(0, 250)),
        Rule("wind_gust", "range", _within(0, 250)),
        Rule("precip", "range", _within(0, 20)),
        Rule("pressure", "range", _within(850, 1100)),
        Rule("visib", "range", _within(0, 100)),
    ),
    "airlines": (Rule("carrier", "pattern", _like("[0-9A-Z]{2}")),),
    "airports": (
        Rule("faa", "pattern", _like("[0-9A-Z]{3}")),
        Rule("lat", "range", _within(-90, 90)),
        Rule("lon", "range", _within(-180, 180)),
        Rule("alt", "range", _within(-500, 30000)),
        Rule("tz", "range", _within(-12, 14)),
        Rule("dst", "enum", _among("A", "U", "N")),
    ),
    "planes": (
        Rule("tailnum", "pattern", _like("[0-9A-Z]{3,8}")),
        Rule("year", "range", _within(1900, 2100)),
        Rule("engines", "range", _within(0, 8)),
        Rule("seats", "range", _within(1, 900)),
        Rule("speed", "range", _within(0, 900)),
    ),
}
"""The row rules of the contracts."""
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "flights": ("event_id",),
    "weather": ("origin", "time_hour"),
    "airlines": ("carrier",),
    "airports": ("faa",),
    "planes": ("tailnum",),
    "route_punctuality": ("flight_date", "origin", "dest"),
    "carrier_on_time": ("month", "carrier"),
    "delay_by_weather": ("month", "origin", "conditions"),
}
"""What identifies a row."""
FLIGHT_COLUMNS: Final = (
    *("event_id", "flight_date", "scheduled_departure", "carrier", "flight", "tailnum", "origin"),
    *("dest", "dep_delay", "arr_delay", "air_time", "distance"),
)
WEATHER_COLUMNS: Final = (
    *("origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"),
    *("precip", "pressure", "visib"),
)


def reasons(frame: pd.DataFrame, dataset: str) -> pd.Series:
    """For each row the code of the first rule that it breaks, None where it keeps them all."""
    found = pd.Series([None] * len(frame), index=frame.index, dtype=object)
    for rule in RULES[dataset]:
        found[found.isna() & rule.broken(frame[rule.column])] = rule.code
    return found
