"""The gold figures as charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pandas as pd
import plotly.graph_objects as go

_COLOURS: Final = ("#3f7fd1", "#d9822b", "#2f9e86")
"""Of airports, told apart by the colour-blind too."""
_BAR: Final = "#c39a2e"
_INK: Final = "#7d8795"
_GRID: Final = "rgba(125,135,149,0.22)"
_CONDITIONS: Final = ("clear", "strong wind", "rain", "low visibility", "not observed")


class Chart(NamedTuple):
    """A chart, and in words what it shows."""

    title: str
    words: str
    html: str
    """Without plotly.js, which the page has once."""


def charts(gold: Mapping[str, pd.DataFrame]) -> list[Chart]:
    """A chart of each mart that has rows."""
    makers = {
        "route_punctuality": punctuality,
        "carrier_on_time": carriers,
        "delay_by_weather": weather,
    }
    return [make(gold[mart]) for mart, make in makers.items() if not gold[mart].empty]


def punctuality(rows: pd.DataFrame) -> Chart:
    """Share of punctual arrivals a day, a line an airport."""
    counted = ["flights", "arrived_on_time"]
    figure = go.Figure()
    sums = rows.groupby(["origin", "flight_date"], as_index=False)[counted].sum()
    for colour, (origin, days) in zip(_COLOURS, sums.groupby("origin"), strict=False):
        figure.add_scatter(
            x=list(days["flight_date"]),
            y=list(days["arrived_on_time"] / days["flights"]),
            name=origin,
            mode="lines",
            line={"color": colour, "width": 1.8},
            hovertemplate="%{y:.0%}",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    all_days = rows.groupby("flight_date")[counted].sum()
    share = (all_days["arrived_on_time"] / all_days["flights"]).sort_values()
    worst, best = (pd.to_datetime(share.index[place]) for place in (0, -1))
    return Chart(
        "Arrivals at most 15 minutes late, by day",
        f"{_total(all_days):.0%} of all scheduled flights; worst on {_day(worst)} "
        f"({share.iloc[0]:.0%}), best on {_day(best)} ({share.iloc[-1]:.0%}).",
        _html(figure, height=330),
    )


def carriers(rows: pd.DataFrame) -> Chart:
    """Share of punctual flights a carrier, best on top."""
    sums = rows.groupby("name", as_index=False)[["flights", "arrived_on_time"]].sum()
    sums["share"] = sums["arrived_on_time"] / sums["flights"]
    sums = sums.sort_values("share")
    figure = go.Figure()
    figure.add_bar(
        y=[_short(name) for name in sums["name"]],
        x=list(sums["share"]),
        orientation="h",
        marker={"color": _BAR},
        text=[f"{share:.0%}" for share in sums["share"]],
        textposition="outside",
        cliponaxis=False,
        customdata=list(sums["flights"]),
        hovertemplate="%{y}: %{x:.1%} of %{customdata:,} flights<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.05], tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(automargin=True, gridcolor="rgba(0,0,0,0)")
    biggest = sums.sort_values("flights").iloc[-1]
    return Chart(
        "Arrived on time, by carrier",
        f"Of all scheduled flights; the biggest, {_short(biggest['name'])}, had "
        f"{biggest['flights']:,} and {biggest['share']:.0%} of them on time.",
        _html(figure, height=430),
    )


def weather(rows: pd.DataFrame) -> Chart:
    """Mean delay a condition, a bar an airport."""
    rows = rows.assign(departed=rows["flights"] - rows["cancelled"])
    rows = rows.assign(minutes=(rows["mean_dep_delay"] * rows["departed"]).fillna(0.0))
    sums = rows.groupby(["origin", "conditions"], as_index=False)[["minutes", "departed"]].sum()
    figure = go.Figure()
    for colour, (origin, part) in zip(_COLOURS, sums.groupby("origin"), strict=False):
        by_condition = part.set_index("conditions")
        present = [c for c in _CONDITIONS if c in by_condition.index]
        means = by_condition["minutes"] / by_condition["departed"]
        figure.add_bar(
            x=[condition.replace(" ", "<br>") for condition in present],
            y=[means[condition] for condition in present],
            name=origin,
            marker={"color": colour},
            customdata=[by_condition["departed"][condition] for condition in present],
            hovertemplate="%{y:.1f} minutes, %{customdata:,} departures",
        )
    figure.update_xaxes(tickangle=0, tickfont={"size": 11})
    figure.update_yaxes(ticksuffix=" min")
    whole = rows.groupby("conditions")[["minutes", "departed"]].sum()
    whole = whole.drop("not observed", errors="ignore")
    mean = (whole["minutes"] / whole["departed"]).sort_values()
    return Chart(
        "Mean departure delay, by the weather of the hour",
        f"{mean.iloc[-1]:.0f} minutes with {mean.index[-1]}, "
        f"{mean.iloc[0]:.0f} with {mean.index[0]}.",
        _html(figure, height=430),
    )


def _total(sums: pd.DataFrame) -> float:
    return float(sums["arrived_on_time"].sum() / sums["flights"].sum())


def _day(when: pd.Timestamp) -> str:
    return f"{when.day} {when.month_name()}"


def _short(name: str) -> str:
    return name.removesuffix(" Inc.").removesuffix(" Co.").removesuffix(" Corporation")


def _html(figure: Any, height: int) -> str:
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 52, "r": 14, "t": 8, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _INK, "size": 12.5, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        dragmode=False,
        bargap=0.28,
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, linecolor=_GRID, fixedrange=True)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, linecolor=_GRID, fixedrange=True)
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"responsive": True, "displayModeBar": False},
    )
    return html
