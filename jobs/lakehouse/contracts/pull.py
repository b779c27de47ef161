"""What a contract says of an API that its dataset is pulled from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec


class OnePage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="none"
):
    """An answer that is all there is."""


class PageNumber(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="page",
):
    """Pages that are asked for by their number."""

    parameter: str = "page"
    first: int = 1
    pages: str | None = None
    """Path of keys to the number of pages; None: on to the first page without records."""


class PageCursor(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="cursor",
):
    """Pages that are asked for by a token that the page before has; the last one has none."""

    parameter: str = "cursor"
    key: str = "next_cursor"
    """Path of keys to the token."""


class PageLink(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="link",
):
    """Pages whose address the page before has; the last one has none."""

    key: str | None = None
    """Path of keys to the address; None: the header ``Link`` with ``rel="next"`` (RFC 8288)."""


class PullCursor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an incremental pull knows where it goes on: it sends what the last one came to."""

    parameter: str
    start: str
    """What the first pull sends."""
    field: str | None = None
    """Field of the records whose greatest value is the next cursor, by number or by text."""
    key: str | None = None
    """Path of keys to the next cursor in the last page."""


class PullSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Where a pulled dataset comes from; read by the DAGs, which do the pulling.

    ``path`` and ``parameters`` may hold ``{period}`` (``2013-01`` or ``2013-01-31``), ``{start}``
    and ``{end}`` (the first day and the day after the last, with a ``strftime`` format after a
    colon).
    """

    connection: str
    """Airflow connection with the address and credentials."""
    path: str
    parameters: Mapping[str, str] = {}
    every: Literal["day", "month"] = "day"
    """What one logical date of it covers."""
    look_back: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}d$")] = "1d"
    """A scheduled pull asks for the days or months that so many last whole days belong to."""
    pagination: OnePage | PageNumber | PageCursor | PageLink = OnePage()
    cursor: PullCursor | None = None
    max_pages: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Pages of one logical date; an API that has more is stopped."""
    max_page_megabytes: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    """A page must fit into memory."""
