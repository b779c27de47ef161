"""What was told and what is still to be told; words for a log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lakehouse_dags.verdicts import Entry, Mark, failures_by_dataset, in_words

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def entry(number: int, minutes: float, **body: Any) -> Entry:
    given = {"snapshot_id": number, "passed": True, "loads": [number], "checks": [], "reason": ""}
    at = NOON + timedelta(minutes=minutes)
    return Entry(f"dataset=planes/{number}.json", at, given | body)


def test_each_entry_is_new_once_however_often_it_is_listed() -> None:
    entries = [entry(n, minutes=4 * n) for n in range(20)]
    mark, found = Mark(NOON), []
    for end in (1, 3, 3, 11, 20):
        new = mark.new(entries[:end])
        mark = Mark.load(mark.after(entries[:end]).dump(), datetime.max.replace(tzinfo=UTC))
        found += new
    assert found == entries
    assert len(mark.seen) == 3


def test_an_entry_that_comes_into_sight_late_is_new_all_the_same() -> None:
    early, late = entry(1, minutes=0), entry(2, minutes=9)
    mark = Mark(NOON).after([late])
    assert mark.new([early, late]) == [early]
    mark = mark.after([early, late])
    assert mark.new([early, late]) == []
    # Of the same moment as the newest one.
    assert mark.new([late, entry(3, minutes=9)]) == [entry(3, minutes=9)]


def test_what_is_old_when_reports_begin_is_not_told() -> None:
    assert Mark(NOON).new([entry(1, minutes=-11)]) == []
    assert Mark.load({}, NOON) == Mark.load(None, NOON) == Mark(NOON)


def test_nothing_new_leaves_the_mark() -> None:
    mark = Mark(NOON).after([entry(1, minutes=0)])
    assert mark.after([]) == mark


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loads": [3]}, "load 3 passed (0 of 0 checks pass)"),
        ({"loads": [3, 4, 5, 6]}, "loads 3 to 6 passed (0 of 0 checks pass)"),
        ({"loads": [3, 5, 6]}, "loads 3, 5, 6 passed (0 of 0 checks pass)"),
        ({"loads": []}, "candidate passed (0 of 0 checks pass)"),
        (
            {"loads": [3, 4], "passed": False, "reason": "no"},
            "loads 3, 4 FAILED as one, so that halves are tried: no (0 of 0 checks pass)",
        ),
    ],
)
def test_a_verdict_is_one_line(given: dict[str, Any], words: str) -> None:
    assert in_words(entry(1, 0, **given), sets_aside=False) == words


def test_the_last_line_of_a_promotion_is_told_apart_by_dataset() -> None:
    said = (
        "lakehouse-promote jr_1 FAILED: error: planes: load 2 is held: dew point; wind: too "
        "high; flights: KeyError: 'x'"
    )
    assert failures_by_dataset(said, ["flights", "planes", "dew"]) == {
        "planes": "load 2 is held: dew point; wind: too high",
        "flights": "KeyError: 'x'",
    }
    assert failures_by_dataset("jr_1 FAILED: error: Spark went away", ["flights"]) == {}
    assert failures_by_dataset("", ["flights"]) == {}
