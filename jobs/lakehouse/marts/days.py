"""Ranges of days, and the predicates of literals that stand for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from lakehouse.contracts.model import Transform

Ranges = tuple[tuple[date, date], ...]
"""Half-open ranges of days, apart from each other, in order."""
_MOST: Final = 100
"""Above this a predicate costs more to plan than its pruning saves: the outer range stands in."""


def merged(ranges: Iterable[tuple[date, date]]) -> Ranges:
    """The ranges in order, those that meet made one."""
    found: list[tuple[date, date]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        elif low < high:
            found.append((low, high))
    return tuple(found)


def of_days(days: Iterable[date]) -> Ranges:
    """The ranges that hold just those days; OverflowError for the last day there is."""
    return merged((day, day + timedelta(days=1)) for day in days)


def widened(ranges: Ranges, days: int) -> Ranges:
    """The ranges and so many days about them; OverflowError past the end of the calendar."""
    slack = timedelta(days=days)
    return merged((low - slack, high + slack) for low, high in ranges)


def partitions(ranges: Ranges, transform: Transform) -> Ranges:
    """The whole partitions that hold the days; OverflowError past the end of the calendar."""
    last = timedelta(days=1)
    found = merged(
        (_begin(low, transform), _end(_begin(high - last, transform), transform))
        for low, high in ranges
    )
    return found if len(found) <= _MOST else ((found[0][0], found[-1][1]),)


def predicate(column: str, kind: str, ranges: Ranges) -> str:
    """That a date or timestamp column, the latter in UTC, lies in one of the ranges."""
    if not ranges:
        return "false"
    parts = [
        f"`{column}` >= {_literal(kind, low)} AND `{column}` < {_literal(kind, high)}"
        for low, high in ranges
    ]
    return parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts)


def as_texts(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """The ranges as ISO dates."""
    return tuple((low.isoformat(), high.isoformat()) for low, high in ranges)


def of_texts(ranges: Iterable[tuple[str, str]]) -> Ranges:
    """The ranges that ISO dates stand for."""
    return merged((date.fromisoformat(low), date.fromisoformat(high)) for low, high in ranges)


def _begin(day: date, transform: Transform) -> date:
    if transform == "year":
        return day.replace(month=1, day=1)
    return day.replace(day=1) if transform == "month" else day


def _end(begin: date, transform: Transform) -> date:
    days = {"year": 366, "month": 31}.get(transform, 1)
    return _begin(begin + timedelta(days=days), transform)


def _literal(kind: str, day: date) -> str:
    return f"TIMESTAMP '{day} 00:00:00+00:00'" if kind == "timestamp" else f"DATE '{day}'"
