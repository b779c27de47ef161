"""Small charts as coordinates: what a template draws as SVG, without a script."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_BOUND: Final = re.compile(r"(must be|must not be|>=|<=|>|<) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_MARGIN: Final = 6.0
_NEAR: Final = 2.0
"""Bounds further from the values than this many times their spread are not drawn."""


class Value(NamedTuple):
    """One value of a series; None where the check came to nothing."""

    value: float | None
    threshold: str
    outcome: str
    title: str
    """What a reader sees on pointing at it."""


class Dot(NamedTuple):
    """A value at its place."""

    x: float
    y: float
    outcome: str
    title: str


class Line(NamedTuple):
    """A line chart: stretches of values and of bounds as SVG points, and a dot a value.

    A check that came to nothing has its dot on the lower edge.
    """

    width: int
    height: int
    low: float
    high: float
    values: list[str]
    bounds: list[str]
    dots: list[Dot]


class Bar(NamedTuple):
    """A bar with its top-left corner."""

    x: float
    y: float
    width: float
    height: float
    title: str
    marked: bool


class Bars(NamedTuple):
    """A bar chart; ``highest`` is the value of the tallest bar."""

    width: int
    height: int
    bars: list[Bar]
    highest: float


def bounds(threshold: str) -> list[tuple[str, float]]:
    """The comparisons in a threshold such as ``>= 9 and <= 11``, in order."""
    return [(sign, float(number)) for sign, number in _BOUND.findall(threshold)]


def line(series: Sequence[Value], width: int = 180, height: int = 40) -> Line | None:
    """A line through a series with the steps of its bounds; None where it has no value at all."""
    numbers = [item.value for item in series if item.value is not None]
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)
    spread = max(high - low, abs(high) * 0.3, 1e-9)
    limits = [dict(bounds(item.threshold)) for item in series]
    near = [
        {
            sign: limit
            for sign, limit in item.items()
            if low - _NEAR * spread <= limit <= high + _NEAR * spread
        }
        for item in limits
    ]
    drawn = [limit for item in near for limit in item.values()]
    bottom, top = min([low, *drawn]), max([high, *drawn])
    step = (width - 2 * _MARGIN) / max(len(series) - 1, 1)
    start = _MARGIN if len(series) > 1 else width / 2

    def x(number: int) -> float:
        return round(start + number * step, 1)

    def y(value: float) -> float:
        share = 0.5 if top == bottom else (value - bottom) / (top - bottom)
        return round(height - _MARGIN - share * (height - 2 * _MARGIN), 1)

    dots = [
        Dot(
            x(n),
            height - _MARGIN / 2 if item.value is None else y(item.value),
            item.outcome,
            item.title,
        )
        for n, item in enumerate(series)
    ]
    signs = sorted({sign for item in near for sign in item})
    stretches = [
        _steps([(x(n), y(item[sign])) if sign in item else None for n, item in enumerate(near)])
        for sign in signs
    ]
    points = [
        (x(n), y(item.value)) if item.value is not None else None for n, item in enumerate(series)
    ]
    return Line(
        width=width,
        height=height,
        low=low,
        high=high,
        values=[_points(part) for part in _stretches(points) if len(part) > 1],
        bounds=[part for found in stretches for part in found],
        dots=dots,
    )


def bars(
    series: Sequence[tuple[float, str, bool]], width: int = 560, height: int = 90
) -> Bars | None:
    """Bars of values that are not negative, each with its title and whether it is marked."""
    if not series:
        return None
    highest = max(value for value, _, _ in series)
    slot = min((width - 2 * _MARGIN) / len(series), 24.0)
    found = []
    for number, (value, title, marked) in enumerate(series):
        tall = (height - 2 * _MARGIN) * (value / highest if highest else 0.0)
        tall = max(tall, 1.0)
        found.append(
            Bar(
                x=round(_MARGIN + number * slot, 1),
                y=round(height - _MARGIN - tall, 1),
                width=round(max(slot - 2, 1.0), 1),
                height=round(tall, 1),
                title=title,
                marked=marked,
            )
        )
    return Bars(width=width, height=height, bars=found, highest=highest)


_Place = tuple[float, float]


def _stretches(points: Sequence[_Place | None]) -> list[list[_Place]]:
    """The runs of points without a gap."""
    found: list[list[_Place]] = [[]]
    for point in points:
        if point is not None:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [part for part in found if part]


def _steps(points: Sequence[_Place | None]) -> list[str]:
    """Bounds as steps: each holds from its run to the next; one alone is a short dash."""
    found = []
    for part in _stretches(points):
        corners = [part[0]]
        for (_, before), (x, y) in itertools.pairwise(part):
            corners += [(x, before), (x, y)] if y != before else [(x, y)]
        if len(part) == 1:
            ((x, y),) = part
            corners = [(x - _MARGIN, y), (x + _MARGIN, y)]
        found.append(_points(corners))
    return found


def _points(places: Sequence[_Place]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
