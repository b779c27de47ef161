"""The gold figures as charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

_COLOURS: Final = ("#3b82c4", "#e08a3c", "#4fa58b", "#9a6fc0", "#c75d6d", "#8a9a3c")
_INK: Final = "#7d8795"
_GRID: Final = "rgba(125,135,149,0.22)"
_CONDITIONS: Final = ("clear", "rain", "strong wind", "low visibility", "not observed")


def charts(gold: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Title and HTML of each chart; plotly.js is left to the page."""
    made = [
        ("Arrived at most 15 minutes late, by day", punctuality(gold["route_punctuality"])),
        ("On time of all scheduled, by carrier", carriers(gold["carrier_on_time"])),
        ("Mean departure delay by the weather of the hour", weather(gold["delay_by_weather"])),
    ]
    return [(title, _html(figure)) for title, figure in made]


def punctuality(rows: pd.DataFrame) -> Any:
    """Share of punctual arrivals a day, a line an airport."""
    sums = rows.groupby(["origin", "flight_date"], as_index=False)[
        ["flights", "arrived_on_time"]
    ].sum()
    figure = go.Figure()
    for colour, (origin, days) in zip(_COLOURS, sums.groupby("origin"), strict=False):
        figure.add_scatter(
            x=list(days["flight_date"]),
            y=list(days["arrived_on_time"] / days["flights"]),
            name=origin,
            mode="lines",
            line={"color": colour, "width": 2},
        )
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    return figure


def carriers(rows: pd.DataFrame) -> Any:
    """Share of punctual flights a carrier, best on top."""
    sums = rows.groupby("name", as_index=False)[["flights", "arrived_on_time"]].sum()
    sums["share"] = sums["arrived_on_time"] / sums["flights"]
    sums = sums.sort_values("share")
    figure = go.Figure()
    figure.add_bar(
        y=list(sums["name"]),
        x=list(sums["share"]),
        orientation="h",
        marker={"color": _COLOURS[2]},
        customdata=list(sums["flights"]),
        hovertemplate="%{y}: %{x:.1%} of %{customdata:,} flights<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(automargin=True, gridcolor="rgba(0,0,0,0)")
    return figure


def weather(rows: pd.DataFrame) -> Any:
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
            x=present, y=[means[c] for c in present], name=origin, marker={"color": colour}
        )
    figure.update_yaxes(title="minutes")
    return figure


def _html(figure: Any) -> str:
    figure.update_layout(
        template="none",
        height=340,
        margin={"l": 48, "r": 12, "t": 12, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _INK, "size": 13},
        legend={"orientation": "h", "y": 1.12},
        colorway=_COLOURS,
        bargap=0.25,
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, linecolor=_GRID)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, linecolor=_GRID)
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"responsive": True, "displayModeBar": False},
    )
    return html
