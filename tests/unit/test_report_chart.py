"""Where a chart puts its values and bounds."""

from __future__ import annotations

import pytest

from lakehouse.reporting.chart import Value, bars, bounds, line


@pytest.mark.parametrize(
    ("threshold", "found"),
    [
        ("> 0", [(">", 0.0)]),
        (">= 9.5 and <= 1.05e+07", [(">=", 9.5), ("<=", 1.05e7)]),
        ("must be 0", [("must be", 0.0)]),
        ("warn: <= -24", [("<=", -24.0)]),
        ("", []),
    ],
)
def test_bounds_are_read_from_a_threshold(threshold: str, found: list[tuple[str, float]]) -> None:
    assert bounds(threshold) == found


def values(*numbers: float | None, threshold: str = "") -> list[Value]:
    return [Value(n, threshold, "pass", str(n)) for n in numbers]


def heights(*numbers: float | None, threshold: str = "") -> list[float]:
    found = line(values(*numbers, threshold=threshold), 100, 40)
    assert found is not None
    return [dot.y for dot in found.dots]


def test_higher_values_are_drawn_higher_and_inside_the_picture() -> None:
    assert heights(1, 2, 3) == [34, 20, 6]
    assert heights(5, 5) == [20, 20]


def test_a_gap_breaks_the_line_and_keeps_its_dot() -> None:
    found = line(values(1, 2, None, 3, 4), 100, 40)
    assert found is not None
    assert len(found.values) == 2
    assert len(found.dots) == 5
    assert found.dots[2].y == 37


def test_bounds_that_change_are_steps() -> None:
    series = [Value(1, "<= 1.5", "pass", ""), Value(1, "<= 1.6", "pass", "")]
    found = line(series, 100, 40)
    assert found is not None
    (points,) = found.bounds
    assert [point.split(",")[0] for point in points.split()] == ["6", "94", "94"]


def test_a_bound_far_from_the_values_does_not_flatten_them() -> None:
    assert heights(1, 2, threshold="<= 1000000") == [34, 6]
    near = line(values(1, 2, threshold="<= 3"), 100, 40)
    assert near is not None
    assert near.bounds


def test_nothing_to_draw_is_no_chart() -> None:
    assert line([]) is None
    assert line(values(None, None)) is None
    assert bars([]) is None


def test_bars_stand_on_the_ground_and_are_as_tall_as_their_share() -> None:
    found = bars([(0.0, "none", False), (0.5, "half", True), (1.0, "all", True)], 100, 52)
    assert found is not None
    assert [bar.height for bar in found.bars] == [1.0, 20.0, 40.0]
    assert {bar.y + bar.height for bar in found.bars} == {46.0}
    assert found.highest == 1.0
