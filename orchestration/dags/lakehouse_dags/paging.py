"""Reads an API page by page, as the contract says that its pages follow each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from lakehouse_dags.client import Answer, Api, ApiError
from lakehouse_dags.pullspec import (
    OnePage,
    PageCursor,
    PageFormat,
    PageLink,
    PageNumber,
    Period,
    PullSource,
)


class Page(NamedTuple):
    """A page as it came, and what was read of it."""

    body: bytes
    document: Any
    """The page as JSON; None where it is something else."""
    records: list[Any] | None
    """Its records; None where their format is not looked into."""


def pages(
    api: Api, pull: PullSource, form: PageFormat, period: Period, since: str | None
) -> Iterator[Page]:
    """The pages of a period, from a cursor on where the pull is incremental; one in memory.

    Raises ApiError when they do not end, repeat themselves or are not what the contract says.
    """
    target = quote(period.fill(pull.path), safe="/%:@+,;=~!$&'()*")
    query: dict[str, Any] = {name: period.fill(text) for name, text in pull.parameters.items()}
    if pull.cursor and since is not None:
        query[pull.cursor.parameter] = since
    if isinstance(pull.pagination, PageNumber):
        query[pull.pagination.parameter] = pull.pagination.first
    seen = {b""}
    for number in range(1, pull.max_pages + 1):
        answer = api.get(target, query)
        page = _read(api, answer, form)
        if page.records == [] and isinstance(pull.pagination, PageNumber):
            if pull.pagination.pages is None:
                return
        elif isinstance(pull.pagination, PageNumber):
            _refuse_again(seen, page.body, f"{answer.address}: page {number} is one before again")
        yield page
        following = _next(api, pull, answer, page, number)
        if following is None:
            return
        if isinstance(following, str):
            target, query = following, {}
        else:
            query = {**query, **following}
        if not isinstance(pull.pagination, PageNumber):
            where = f"{answer.address}: page {number} leads back to one before"
            _refuse_again(seen, repr(following).encode(), where)
    raise ApiError(
        f"{pull.connection}{pull.path}: more than {pull.max_pages} pages for {period.name}; ask "
        "for larger pages or shorter periods, or raise pull.maxPages"
    )


def at(document: Any, path: str) -> Any:
    """The value under a path of keys such as ``meta.next``; None where the last key is missing.

    Raises LookupError where what should hold the last key is no object.
    """
    *parents, last = path.split(".")
    for key in parents:
        document = document.get(key) if isinstance(document, Mapping) else None
    if isinstance(document, Mapping):
        return document.get(last)
    raise LookupError(path)


def _next(
    api: Api, pull: PullSource, answer: Answer, page: Page, number: int
) -> str | dict[str, Any] | None:
    """The address of the next page, or the parameters that ask for it."""
    match pull.pagination:
        case OnePage():
            return None
        case PageNumber(parameter=parameter, first=first, pages=None):
            return {parameter: first + number}
        case PageNumber(parameter=parameter, first=first, pages=key):
            found = _required(api, page, answer, str(key))
            if not isinstance(found, int) or isinstance(found, bool) or found < 0:
                raise ApiError(
                    f"{answer.address}: {key!r} is {found!r}; expected the number of pages"
                )
            return {parameter: first + number} if number < found else None
        case PageCursor(parameter=parameter, key=key):
            found = _required(api, page, answer, key)
            return {parameter: found} if found not in (None, "") else None
        case PageLink(key=None):
            return answer.next_link
        case PageLink(key=key):
            found = _required(api, page, answer, str(key))
            if found is not None and not isinstance(found, str):
                raise ApiError(f"{answer.address}: {key!r} is {found!r}; expected an address")
            return found or None
    raise AssertionError(pull.pagination)


def _required(api: Api, page: Page, answer: Answer, key: str) -> Any:
    try:
        return at(page.document, key)
    except LookupError:
        raise ApiError(
            f"{answer.address}: expected an object with {key!r}, got {api.excerpt(page.body)}; has "
            "the API changed?"
        ) from None


def _read(api: Api, answer: Answer, form: PageFormat) -> Page:
    """A page, read as far as its format lets it be."""
    try:
        if form.type == "json":
            document = msgspec.json.decode(answer.body)
            return Page(answer.body, document, _records(document, form.records))
        if form.type == "ndjson":
            lines = [line for line in answer.body.splitlines() if line.strip()]
            return Page(answer.body, None, [msgspec.json.decode(line) for line in lines])
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{answer.address}: expected {form.type}, got {api.excerpt(answer.body)}: {error}"
        ) from error
    except LookupError as error:
        raise ApiError(
            f"{answer.address}: expected records under {error.args[0]!r}, got "
            f"{api.excerpt(answer.body)}; has the API changed?"
        ) from None
    return Page(answer.body, None, None)


def _records(document: Any, path: str | None) -> list[Any]:
    found = at(document, path) if path else document
    if isinstance(found, list):
        return found
    raise LookupError(path or "a list")


def _refuse_again(seen: set[bytes], what: bytes, where: str) -> None:
    digest = hashlib.sha256(what).digest()
    if digest in seen:
        raise ApiError(
            f"{where}, so that the pull would never end; does pull.pagination say what the API "
            "does?"
        )
    seen.add(digest)
