"""What the commands on rejects understand, and what they say."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from lakehouse.cli import rejects, showrejects
from lakehouse.errors import InputError
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.rejectlist import LoadRejects, RejectList, RejectRow
from lakehouse.ingestion.replay import ReplayReport
from lakehouse.ingestion.replayread import CUT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_options_make_a_filter() -> None:
    assert rejects.parsed(None, None, None, None) == RejectFilter()
    assert rejects.parsed(["type", "range", "type"], "3-9", "2026-03-01T13:00:00+01:00", None) == (
        RejectFilter(codes=("range", "type"), first=3, last=9, since=NOON)
    )
    assert rejects.parsed(None, "7", None, "2026-03-01T12:00") == (
        RejectFilter(first=7, last=7, until=NOON)
    )


@pytest.mark.parametrize(
    ("load", "since", "until", "says"),
    [
        ("9-3", None, None, "--load: got '9-3', expected a load such as 7, or loads such as 3-9"),
        ("x", None, None, "--load: got 'x'"),
        ("-1", None, None, "--load: got '-1'"),
        (None, "yesterday", None, "got 'yesterday', expected a time such as 2026-03-01"),
        (None, "2026-03-02", "2026-03-01", "--since 2026-03-02 is not before --until 2026-03-01"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    load: str | None, since: str | None, until: str | None, says: str
) -> None:
    with pytest.raises(InputError) as told:
        rejects.parsed(None, load, since, until)
    assert str(told.value).startswith(says)


def printed(show: object, *found: object) -> list[str]:
    out = Console(file=io.StringIO(), width=200, emoji=False, highlight=False)
    show(out, *found)  # type: ignore[operator]  # one of the module's
    assert isinstance(out.file, io.StringIO)
    return [" ".join(line.split()) for line in out.file.getvalue().splitlines()]


def test_counts_of_all_datasets_have_shares_and_a_total() -> None:
    loads = LoadRejects(3, 1000, {"type": 4, "range": 1}), LoadRejects(9, 0, {"type": 1})
    flights = RejectList("flights", 2000, loads)
    assert printed(showrejects.by_dataset, [flights, RejectList("planes", 0, ())]) == [
        "dataset reason loads rejects share",
        "flights type 3-9 5 0.25%",
        "flights range 3 1 0.05%",
        "6 rejects of 2,000 deliveries, 0.30%",
    ]
    assert printed(showrejects.by_dataset, []) == ["0 rejects of 0 deliveries"]
    assert printed(showrejects.by_load, flights) == [
        "load reason rejects of deliveries share",
        "3 type 4 1,000 0.40%",
        "3 range 1 1,000 0.10%",
        "9 type 1 replay",
        "all type 5 2,000",
        "all range 1 2,000",
        "6 rejects of flights, 2,000 deliveries came in all",
        "next: lakehouse rejects replay flights --dry-run",
    ]


def test_a_reject_is_shown_as_it_is_markup_or_not() -> None:
    row = RejectRow(
        load=1000, attempt=2, source="landing/[b]x", sequence="7", index=1500, arrived_at=NOON,
        code="type", detail="Expected `int`, got `str` - at `$.id`", payload="[red]x[/red]",
    )  # fmt: skip
    assert printed(showrejects.rows, "flights", [row], 1) == [
        "type load 1,000 landing/[b]x 7 1,500 arrived 2026-03-01T12:00:00Z, attempt 2",
        "Expected `int`, got `str` - at `$.id`",
        "[red]x[/red]",
        "1 reject of flights",
    ]


def test_a_replay_says_before_and_after_and_what_to_do() -> None:
    outcomes = {"header": {CUT: 1}, "type": {"range": 2, "good": 3, "type": 4}}
    dry = ReplayReport("flights", "2.0.0", True, None, outcomes)
    assert printed(showrejects.replayed, dry) == [
        "reason would be rejects",
        "header drop the file again 1",
        "type good 3",
        "type range 2",
        "type as before 4",
        "3 of 10 rejects of flights would be good by contract 2.0.0; nothing was written",
        "! some kept the beginning of a file or record alone: drop those files again",
    ]
    done = ReplayReport("flights", "2.0.0", False, 12, {"type": {"good": 3}}, 3, (11,))
    assert printed(showrejects.replayed, done) == [
        "load 11 was found unfinished and carried out before",
        "reason is now rejects",
        "type good 3",
        "3 of 3 rejects of flights good by contract 2.0.0: load 12 added 3 rows",
        "next: lakehouse run promote flights",
    ]
    nothing = ReplayReport("flights", "2.0.0", False, 13, {"type": {"type": 1}})
    assert printed(showrejects.replayed, nothing)[-1] == (
        "0 of 1 reject of flights good by contract 2.0.0; load 13 is empty: nothing turned out "
        "differently"
    )
    assert printed(showrejects.replayed, ReplayReport("flights", "2.0.0", True, None, {})) == [
        "no reject of flights to replay; no row was added"
    ]
