"""What ``lakehouse status`` and ``lakehouse run`` say of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from rich.console import Console

from lakehouse.cli import show
from lakehouse.cli.status import DatasetStatus
from lakehouse.promotion.progress import SetAside

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASIDE = SetAside(2, "row_count is 0", "dataset=weather/1.json", NOW.isoformat())


def status(dataset: str = "flights", **facts: Any) -> DatasetStatus:
    return DatasetStatus(dataset=dataset, source="stream", **facts)


def said(capsys: pytest.CaptureFixture[str], lines: Sequence[DatasetStatus]) -> list[str]:
    show.status_table(Console(soft_wrap=True, highlight=False), lines, NOW)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_dataset_is_a_line_with_its_rows_age_and_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = said(
        capsys,
        [
            status(
                bronze=1000,
                rejected=7,
                silver=990,
                load=3,
                promoted=3,
                loaded_at=NOW - timedelta(seconds=30),
                changed_at=NOW - timedelta(minutes=5),
                fresh=True,
                verdict="passed",
            ),
            status("nothing_yet"),
        ],
    )
    assert lines[0].split() == [
        *("dataset", "bronze", "rejected", "silver", "gold", "loaded", "age", "verdict")
    ]
    assert lines[1].split() == ["flights", "1,000", "7", "990", "30", "s", "5", "min", "passed"]
    assert lines[2:] == ["nothing_yet"]


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"load": 4, "promoted": 2}, "  flights: 2 loads new: lakehouse run promote flights"),
        ({"load": 0}, "  flights: 1 load new: lakehouse run promote flights"),
        ({"set_aside": (ASIDE,)}, "! flights: load 2 is set aside: row_count is 0"),
        (
            {"load": 1, "held": "late [x]"},
            "! flights: held: late [x]; what can be done: lakehouse loads list flights",
        ),
        (
            {"changed_at": NOW - timedelta(hours=5), "fresh": False, "freshness_hours": 1.0},
            "! flights: last published 5 h ago, its SLA is 1 h",
        ),
    ],
)
def test_what_wants_a_persons_eye_stands_below_the_table(
    capsys: pytest.CaptureFixture[str], facts: dict[str, Any], note: str
) -> None:
    assert said(capsys, [status(**facts)])[2:] == [note]


def test_a_late_dataset_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    late = status(changed_at=NOW - timedelta(days=3), fresh=False, freshness_hours=1.0)
    assert "3 d late" in said(capsys, [late])[1]


def test_json_has_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    show.status_json([status(bronze=5, set_aside=(ASIDE,), changed_at=NOW, fresh=True)])
    (line,) = msgspec.json.decode(capsys.readouterr().out)
    assert line["bronze"] == 5
    assert line["set_aside"][0]["reason"] == "row_count is 0"
    assert (line["changed_at"], line["fresh"], line["held"]) == ("2026-01-01T12:00:00Z", True, None)


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ({}, {}, "nothing new"),
        ({"bronze": 5}, {"bronze": 5}, "nothing new"),
        ({}, {"bronze": 1}, "bronze +1 to 1 row"),
        (
            {"bronze": 10, "rejected": 1},
            {"bronze": 1010, "rejected": 4},
            "bronze +1,000 to 1,010 rows; 3 of them rejected",
        ),
        ({"silver": 10}, {"silver": 30}, "silver +20 to 30 rows"),
        ({"gold": 10}, {"gold": 8}, "gold -2 to 8 rows"),
        (
            {"gold": 10, "changed_at": NOW},
            {"gold": 10, "changed_at": NOW + timedelta(minutes=1)},
            "gold built anew, 10 rows",
        ),
        ({}, {"set_aside": (ASIDE,)}, "load 2 set aside: row_count is 0"),
        ({"set_aside": (ASIDE,)}, {"set_aside": (ASIDE,)}, "nothing new"),
        ({}, {"held": "no rows"}, "held: no rows"),
    ],
)
def test_a_run_says_what_it_did(was: dict[str, Any], now: dict[str, Any], says: str) -> None:
    assert list(show.changes([status(**was)], [status(**now)])) == [("flights", says)]
