"""What a contract says of a pull, and the periods that are pulled.

The words are those of the contract's property ``pull``, which is checked where it is deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec


class OnePage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """An answer that is all there is."""


class PageNumber(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="page"):
    """Pages by their number, as many as the answer says or on to one without records."""

    parameter: str = "page"
    first: int = 1
    pages: str | None = None


class PageCursor(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cursor"):
    """Pages by a token that the page before has."""

    parameter: str = "cursor"
    key: str = "next_cursor"


class PageLink(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="link"):
    """Pages by an address that the page before has, in the header ``Link`` or under a key."""

    key: str | None = None


class PullCursor(msgspec.Struct, frozen=True, kw_only=True):
    """How an incremental pull knows where it goes on."""

    parameter: str
    start: str
    field: str | None = None
    key: str | None = None


class PullSource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a dataset is pulled from, and how."""

    connection: str
    path: str
    parameters: Mapping[str, str] = {}
    every: Literal["day", "month"] = "day"
    look_back: str = "1d"
    pagination: OnePage | PageNumber | PageCursor | PageLink = OnePage()
    cursor: PullCursor | None = None
    max_pages: int = 10_000
    max_page_megabytes: int = 64


class PageFormat(msgspec.Struct, frozen=True):
    """How pages are written; a contract's ``format`` has more keys, which only the jobs need."""

    type: str = "json"
    records: str | None = None
    manifest: str | None = None


class Period(NamedTuple):
    """One logical date of a pull: a month such as ``2013-01``, or a day such as ``2013-01-31``."""

    name: str
    start: date
    end: date
    """The first day after it."""

    @classmethod
    def of(cls, day: date, every: str) -> Period:
        """The day or month that a day belongs to."""
        if every == "day":
            return cls(day.isoformat(), day, day + timedelta(days=1))
        first = day.replace(day=1)
        return cls(f"{first:%Y-%m}", first, (first + timedelta(days=31)).replace(day=1))

    def fill(self, template: str) -> str:
        """A path or parameter of the contract, with its names filled in."""
        return template.format(period=self.name, start=self.start, end=self.end)


def periods_before(end: datetime, pull: PullSource) -> list[Period]:
    """The periods that a pull looks back at, oldest first.

    Those that the last whole days before ``end`` belong to: of a month that is minutes old an API
    has nothing yet, and may answer that it is unknown. An incremental pull goes on from what it
    has, so only the last period is left to it.
    """
    days = 1 if pull.cursor else int(pull.look_back.removesuffix("d"))
    return _periods((end.date() - timedelta(days=ago) for ago in range(1, days + 1)), pull)


def periods_asked(
    months: Iterable[str], days: Iterable[str], end: datetime, pull: PullSource
) -> list[Period]:
    """The periods of the months and days that were asked for, oldest first, none of the future."""
    wanted = [date.fromisoformat(day) for day in days]
    for month in months:
        whole = Period.of(date.fromisoformat(f"{month}-01"), "month")
        wanted += [whole.start + timedelta(days=n) for n in range((whole.end - whole.start).days)]
    return _periods((day for day in wanted if day <= end.date()), pull)


def read_pull(custom: Mapping[str, Any]) -> tuple[PullSource, PageFormat]:
    """What ``customProperties`` say of a pull; msgspec.ValidationError names what is wrong."""
    return (
        msgspec.convert(custom.get("pull", {}), PullSource),
        msgspec.convert(custom.get("format", {}), PageFormat),
    )


def _periods(days: Iterable[date], pull: PullSource) -> list[Period]:
    return sorted({Period.of(day, pull.every) for day in days}, key=lambda period: period.start)
