"""Which days and months are pulled; and that the words are those of the contract's model."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from lakehouse_dags import pullspec
from lakehouse_dags.pullspec import Period, PullCursor, PullSource, periods_asked, periods_before

JOBS = Path(__file__).parents[2] / "jobs"


def spec(every: str, look_back: str = "3d", cursor: PullCursor | None = None) -> PullSource:
    given = {"connection": "a", "path": "/", "every": every, "lookBack": look_back}
    return msgspec.structs.replace(msgspec.convert(given, PullSource), cursor=cursor)


def before(pull: PullSource, *end: int) -> list[str]:
    return [period.name for period in periods_before(datetime(*end, tzinfo=UTC), pull)]  # type: ignore[arg-type]


def test_the_end_of_a_month_is_pulled_on_the_first_of_the_next() -> None:
    assert before(spec("month"), 2013, 2, 1, 0, 7) == ["2013-01"]
    assert before(spec("month"), 2013, 1, 2, 0, 7) == ["2012-12", "2013-01"]
    assert before(spec("month"), 2013, 2, 20) == ["2013-02"]


def test_days_are_pulled_once_they_are_whole() -> None:
    assert before(spec("day"), 2013, 3, 1, 0, 7) == ["2013-02-26", "2013-02-27", "2013-02-28"]
    assert before(spec("day", "1d"), 2013, 3, 1, 0, 7) == ["2013-02-28"]


def test_an_incremental_pull_does_not_look_back() -> None:
    cursor = PullCursor(parameter="since", start="0", field="n")
    assert before(spec("day", "30d", cursor), 2013, 3, 1) == ["2013-02-28"]


def test_periods_have_the_day_after_them_as_their_end() -> None:
    month, day = Period.of(date(2012, 12, 31), "month"), Period.of(date(2012, 2, 29), "day")
    assert month == ("2012-12", date(2012, 12, 1), date(2013, 1, 1))
    assert day == ("2012-02-29", date(2012, 2, 29), date(2012, 3, 1))


@pytest.mark.parametrize(
    ("every", "months", "days", "names"),
    [
        ("month", ["2013-02", "2013-01"], [], ["2013-01", "2013-02"]),
        ("month", [], ["2013-01-30", "2013-01-31"], ["2013-01"]),
        ("day", [], ["2013-01-31"], ["2013-01-31"]),
        ("month", ["2013-04"], [], []),
        ("day", [], ["2013-03-02"], []),
    ],
)
def test_a_backfill_asks_for_months_and_days(
    every: str, months: list[str], days: list[str], names: list[str]
) -> None:
    end = datetime(2013, 3, 1, tzinfo=UTC)
    found = periods_asked(months, days, end, spec(every))
    assert [period.name for period in found] == names


def test_a_month_of_a_daily_pull_is_its_days_that_have_come() -> None:
    found = periods_asked(["2013-03"], [], datetime(2013, 3, 3, tzinfo=UTC), spec("day"))
    assert [period.name for period in found] == ["2013-03-01", "2013-03-02", "2013-03-03"]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The contract's model, as the jobs check it."""
    monkeypatch.syspath_prepend(str(JOBS))
    name = "lakehouse.contracts.model"
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, name, module)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["OnePage", "PageNumber", "PageCursor", "PageLink", "PullCursor", "PullSource"]
)
def test_the_words_and_defaults_are_those_that_a_deploy_checks(
    model: ModuleType, name: str
) -> None:
    def words(struct: Any) -> tuple[Any, ...]:
        defaults = [
            (field.name, field.encode_name, field.required, repr(field.default))
            for field in msgspec.structs.fields(struct)
        ]
        return struct.__struct_config__.tag, defaults

    assert words(getattr(pullspec, name)) == words(getattr(model, name))
