"""What the platform has to arrive at, computed in pandas from the source data and what was sent.

The definitions of the figures are stated here a second time, on purpose: nothing of the platform is
imported, so that a mistake of its own cannot confirm itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from demo.rules import FLIGHT_COLUMNS, WEATHER_COLUMNS, reasons
from demo.trouble import Delivery

ON_TIME: Final = 15
"""Minutes late up to which a flight counts as on time."""
_LOW_VISIBILITY: Final = 3
_STRONG_WIND: Final = 20


class Pull(NamedTuple):
    """One month of weather as it was pulled."""

    month: int
    in_celsius: bool = False


class Deliveries(NamedTuple):
    """What bronze has to hold of a dataset."""

    good: int
    rejected: Mapping[str, int]
    """Deliveries by the code of their reason."""

    @property
    def total(self) -> int:
        """All deliveries."""
        return self.good + sum(self.rejected.values())


class Expected(NamedTuple):
    """What every layer has to hold."""

    bronze: Mapping[str, Deliveries]
    silver: Mapping[str, pd.DataFrame]
    gold: Mapping[str, pd.DataFrame]


def expect(
    flights: pd.DataFrame,
    sent: Sequence[Delivery],
    weather: pd.DataFrame,
    pulls: Iterable[Pull],
    registers: Mapping[str, pd.DataFrame],
) -> Expected:
    """Every layer, from the frames of the source, the deliveries of flights and the pulls made."""
    bronze: dict[str, Deliveries] = {}
    silver: dict[str, pd.DataFrame] = {}
    bronze["flights"], silver["flights"] = expect_flights(flights, sent)
    bronze["weather"], silver["weather"] = expect_weather(weather, pulls)
    for name, rows in registers.items():
        why = reasons(rows, name)
        bronze[name] = _deliveries(why)
        silver[name] = rows[why.isna()]
    gold = {
        "route_punctuality": route_punctuality(silver["flights"]),
        "carrier_on_time": carrier_on_time(silver["flights"], silver["airlines"], silver["planes"]),
        "delay_by_weather": delay_by_weather(silver["flights"], silver["weather"]),
    }
    return Expected(bronze, silver, gold)


def expect_flights(
    flights: pd.DataFrame, sent: Sequence[Delivery]
) -> tuple[Deliveries, pd.DataFrame]:
    """The deliveries of flights, and each flight once that had a good one."""
    of_source = dict(zip(flights["event_id"], reasons(flights, "flights"), strict=True))
    why = [delivery.reason or of_source[delivery.key] for delivery in sent]
    arrived = {delivery.key for delivery, code in zip(sent, why, strict=True) if code is None}
    rows = flights.loc[flights["event_id"].isin(arrived), list(FLIGHT_COLUMNS)]
    return _deliveries(why), rows


def expect_weather(weather: pd.DataFrame, pulls: Iterable[Pull]) -> tuple[Deliveries, pd.DataFrame]:
    """The pulled observations, and of the months pulled in the right unit the good ones."""
    why = reasons(weather, "weather")
    codes: list[str | None] = []
    good: set[int] = set()
    for pull in pulls:
        pulled = weather["month"] == pull.month
        if pull.in_celsius:
            other = weather[pulled].assign(temp=(weather["temp"] - 32) * 5 / 9)
            codes += reasons(other, "weather").tolist()
        else:
            codes += why[pulled].tolist()
            good.add(pull.month)
    rows = weather.loc[why.isna() & weather["month"].isin(good), list(WEATHER_COLUMNS)]
    return _deliveries(codes), rows.assign(time_hour=pd.to_datetime(rows["time_hour"], utc=True))


def _deliveries(why: Iterable[str | None]) -> Deliveries:
    counts = Counter(code for code in why)
    good = counts.pop(None, 0)
    return Deliveries(good, {str(code): counts[code] for code in sorted(counts, key=str)})


def _marked(flights: pd.DataFrame) -> pd.DataFrame:
    """Flights with what the marts count."""
    departed = flights["dep_delay"].notna()
    return flights.assign(
        month=flights["flight_date"].map(lambda day: day.replace(day=1)),
        departed=departed,
        cancelled=~departed,
        departed_on_time=flights["dep_delay"] <= ON_TIME,
        arrived_on_time=flights["arr_delay"] <= ON_TIME,
        delayed=flights["dep_delay"] > ON_TIME,
    )


def route_punctuality(flights: pd.DataFrame) -> pd.DataFrame:
    """How punctual each route was on each local day."""
    groups = _marked(flights).groupby(["flight_date", "origin", "dest"], as_index=False)
    return groups.agg(
        flights=("event_id", "size"),
        cancelled=("cancelled", "sum"),
        departed_on_time=("departed_on_time", "sum"),
        arrived_on_time=("arrived_on_time", "sum"),
        mean_dep_delay=("dep_delay", "mean"),
        mean_arr_delay=("arr_delay", "mean"),
        worst_arr_delay=("arr_delay", "max"),
    )


def carrier_on_time(
    flights: pd.DataFrame, airlines: pd.DataFrame, planes: pd.DataFrame
) -> pd.DataFrame:
    """On-time figures of each carrier in each local month."""
    marked = _marked(flights).merge(planes[["tailnum", "seats"]], on="tailnum", how="left")
    marked["seats"] = marked["seats"].where(marked["departed"])
    figures = marked.groupby(["month", "carrier"], as_index=False).agg(
        flights=("event_id", "size"),
        cancelled=("cancelled", "sum"),
        arrived_on_time=("arrived_on_time", "sum"),
        mean_arr_delay=("arr_delay", "mean"),
        seats_flown=("seats", lambda seats: seats.sum(min_count=1)),
    )
    figures["on_time_share"] = figures["arrived_on_time"] / figures["flights"]
    named = figures.merge(airlines[["carrier", "name"]], on="carrier", how="left")
    return named[
        [
            *("month", "carrier", "name", "flights", "cancelled", "arrived_on_time"),
            *("on_time_share", "mean_arr_delay", "seats_flown"),
        ]
    ]


def delay_by_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Departure delay of each airport and local month by the weather of the hour."""
    observed = weather[["origin", "time_hour", "visib", "precip", "wind_speed"]]
    marked = _marked(flights).assign(time_hour=flights["scheduled_departure"].dt.floor("h"))
    joined = marked.merge(observed.assign(observed=True), on=["origin", "time_hour"], how="left")
    # The last that holds wins, so the order is the reverse of the definition's.
    joined["conditions"] = "clear"
    joined.loc[joined["wind_speed"] >= _STRONG_WIND, "conditions"] = "strong wind"
    joined.loc[joined["precip"] > 0, "conditions"] = "rain"
    joined.loc[joined["visib"] < _LOW_VISIBILITY, "conditions"] = "low visibility"
    joined.loc[joined["observed"].isna(), "conditions"] = "not observed"
    figures = joined.groupby(["month", "origin", "conditions"], as_index=False).agg(
        flights=("event_id", "size"),
        cancelled=("cancelled", "sum"),
        departed=("departed", "sum"),
        delayed=("delayed", "sum"),
        mean_dep_delay=("dep_delay", "mean"),
        mean_wind_speed=("wind_speed", "mean"),
    )
    departed = figures.pop("departed")
    return figures.assign(delayed_share=figures["delayed"] / departed.where(departed > 0))
