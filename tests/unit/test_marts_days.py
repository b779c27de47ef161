"""Days, the partitions they lie in, and the predicates that stand for them."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.model import Transform
from lakehouse.marts import days

DAYS = st.lists(st.dates(date(2019, 12, 1), date(2021, 2, 1)), max_size=8)


def inside(day: date, ranges: days.Ranges) -> bool:
    return any(low <= day < high for low, high in ranges)


@given(DAYS, st.sampled_from(["identity", "day", "month", "year"]), st.integers(0, 40))
def test_partitions_are_whole_and_hold_every_day_and_its_slack_and_no_other(
    found: list[date], transform: Transform, slack: int
) -> None:
    def part(day: date) -> tuple[int, ...]:
        parts = (day.year, day.month, day.day)
        return parts[: {"year": 1, "month": 2}.get(transform, 3)]

    ranges = days.partitions(days.widened(days.of_days(found), slack), transform)

    about = [d + timedelta(days=n) for d in found for n in range(-slack, slack + 1)]
    wanted = {part(day) for day in about}
    calendar = [date(2018, 1, 1) + timedelta(days=n) for n in range(365 * 5)]
    held = {part(day) for day in calendar if inside(day, ranges)}
    if len(ranges) > 1 or not found or transform in {"month", "year"}:
        assert held == wanted
    assert held >= wanted
    assert all(inside(day, ranges) for day in calendar if part(day) in wanted)
    assert list(ranges) == sorted(ranges)
    assert all(high < low for (_, high), (low, _) in pairwise(ranges))


def test_more_ranges_than_a_predicate_can_hold_become_the_outer_one() -> None:
    first = date(2020, 1, 1)
    every_other = days.of_days(first + timedelta(days=2 * n) for n in range(101))
    assert days.partitions(every_other, "day") == ((first, date(2020, 7, 20)),)


@pytest.mark.parametrize("transform", ["day", "month", "year"])
def test_the_last_day_of_the_calendar_has_no_partition_to_be_told(transform: Transform) -> None:
    with pytest.raises((OverflowError, ValueError)):
        days.partitions(days.widened(((date(9999, 12, 30), date.max),), 1), transform)


def test_a_predicate_is_of_literals() -> None:
    ranges = days.of_texts([("2020-01-01", "2020-02-01"), ("2020-03-01", "2020-04-01")])
    assert days.predicate("d", "date", ranges[:1]) == (
        "`d` >= DATE '2020-01-01' AND `d` < DATE '2020-02-01'"
    )
    assert days.predicate("t", "timestamp", ranges) == (
        "(`t` >= TIMESTAMP '2020-01-01 00:00:00+00:00' AND "
        "`t` < TIMESTAMP '2020-02-01 00:00:00+00:00') OR "
        "(`t` >= TIMESTAMP '2020-03-01 00:00:00+00:00' AND "
        "`t` < TIMESTAMP '2020-04-01 00:00:00+00:00')"
    )
    assert days.predicate("d", "date", ()) == "false"
    assert days.of_texts(days.as_texts(ranges)) == ranges
