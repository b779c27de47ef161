"""Pages that follow each other by number, cursor and link, and those that never end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from airflow.sdk import Connection
from hostile_api import Asked, HostileApi, Reply, numbered
from lakehouse_dags.client import Api, ApiError
from lakehouse_dags.paging import pages
from lakehouse_dags.pullspec import PageFormat, Period, PullSource, read_pull

JANUARY = Period.of(date(2013, 1, 5), "month")


@pytest.fixture
def server() -> Iterator[HostileApi]:
    with HostileApi(numbered(3)) as api:
        yield api


def read(
    server: HostileApi, since: str | None = None, form: dict[str, Any] | None = None, **pull: Any
) -> list[bytes]:
    given = Connection(conn_id="a", conn_type="http", host="127.0.0.1", port=server.port)
    spec, form_ = read_pull(
        {
            "pull": {"connection": "a", "path": "/v1", **pull},
            "format": form or {"type": "json", "records": "records"},
        }
    )
    with Api(given, max_bytes=1 << 20, sleep=lambda _: None) as api:
        return [page.body for page in pages(api, spec, form_, JANUARY, since)]


def test_one_page_is_all_there_is(server: HostileApi) -> None:
    server.answer = lambda _: Reply({"records": [1]})
    assert len(read(server)) == 1


def test_path_and_parameters_name_the_period(server: HostileApi) -> None:
    server.answer = lambda _: Reply({"records": [1]})
    read(
        server,
        path="/v1/{period}/tides",
        parameters={"from": "{start}", "to": "{end:%Y%m%dT00:00}", "brace": "{{}}"},
    )
    assert server.asked[0].path == "/v1/2013-01/tides"
    assert server.asked[0].query == {"from": "2013-01-01", "to": "20130201T00:00", "brace": "{}"}


@pytest.mark.parametrize("kind", [{"pages": "meta.pages"}, {}])
def test_pages_by_number_end_by_their_count_or_an_empty_one(
    server: HostileApi, kind: dict[str, str]
) -> None:
    found = read(server, pagination={"kind": "page", **kind})
    assert [b'"n": %d' % n in body for n, body in enumerate(found, 1)] == [True] * 3
    numbers = [asked.query["page"] for asked in server.asked]
    assert numbers == (["1", "2", "3"] if kind else ["1", "2", "3", "4"])


def test_numbers_may_begin_at_another_and_have_another_name(server: HostileApi) -> None:
    server.answer = lambda asked: Reply({"records": [1, asked.query["p"]], "pages": 2})
    read(server, pagination={"kind": "page", "parameter": "p", "first": 0, "pages": "pages"})
    assert [asked.query["p"] for asked in server.asked] == ["0", "1"]


def test_pages_by_cursor_end_where_there_is_none(server: HostileApi) -> None:
    def answer(asked: Asked) -> Reply:
        at = int(asked.query.get("cursor", "0"))
        return Reply({"records": [at], "next_cursor": str(at + 1) if at < 2 else None})

    server.answer = answer
    assert len(read(server, parameters={"k": "v"}, pagination={"kind": "cursor"})) == 3
    assert [asked.query for asked in server.asked] == [
        {"k": "v"}, {"k": "v", "cursor": "1"}, {"k": "v", "cursor": "2"},
    ]  # fmt: skip


@pytest.mark.parametrize("key", [None, "links.next"])
def test_pages_by_link_follow_it_as_it_is(server: HostileApi, key: str | None) -> None:
    def answer(asked: Asked) -> Reply:
        at = int(asked.query.get("at", "0"))
        url = f"/v1?at={at + 1}&opaque=%2B" if at < 2 else None
        if key:
            return Reply({"records": [at], "links": {"next": url}})
        link = {"Link": f'</v1?at=0>; rel="first", <{url}>; rel="next"'} if url else {}
        return Reply({"records": [at]}, headers=link)

    server.answer = answer
    pagination = {"kind": "link"} | ({"key": key} if key else {})
    assert len(read(server, parameters={"k": "v"}, pagination=pagination)) == 3
    assert server.asked[1].query == {"at": "1", "opaque": "+"}


def test_a_link_to_another_host_is_not_followed(server: HostileApi) -> None:
    server.answer = lambda _: Reply({"records": [1], "next": "https://evil.example/v1?at=1"})
    with pytest.raises(ApiError, match=r"leads to another host, https://evil.example/v1,"):
        read(server, pagination={"kind": "link", "key": "next"})


def same(**more: Any) -> Callable[[Asked], Reply]:
    return lambda _: Reply({"records": [1], **more})


@pytest.mark.parametrize(
    ("answer", "pagination", "words"),
    [
        (same(), {"kind": "page"}, "page 2 is one before again"),
        (same(n=9), {"kind": "page", "pages": "n"}, "page 2 is one before again"),
        (same(next_cursor="a"), {"kind": "cursor"}, "page 2 leads back"),
        (same(next="/v1?at=1"), {"kind": "link", "key": "next"}, "page 2 leads back"),
        (
            lambda asked: Reply({"records": [asked.query["page"]]}),
            {"kind": "page"},
            r"a/v1: more than 20 pages for 2013-01; .* raise pull.maxPages",
        ),
        (
            lambda asked: Reply({"records": [1], "next_cursor": f"{asked.query.get('cursor')}x"}),
            {"kind": "cursor"},
            "more than 20 pages",
        ),
    ],
)
def test_pages_that_never_end_are_ended(
    server: HostileApi,
    answer: Callable[[Asked], Reply],
    pagination: dict[str, str],
    words: str,
) -> None:
    server.answer = answer
    with pytest.raises(ApiError, match=words):
        read(server, pagination=pagination, maxPages=20)
    assert len(server.asked) <= 21


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b'{"records": [1', ValueError, r"expected json, got '\{\"records"),
        (b"<html>We are down</html>", ValueError, "got '<html>We are down</html>'"),
        (b"", ValueError, "expected json, got ''"),
        (b"\xff\xfe", ValueError, "expected json"),
        ({"observations": []}, ApiError, "expected records under 'records'"),
        ({"records": {}}, ApiError, "expected records under 'records'"),
        ([1], ApiError, "expected records under 'records'"),
        ({"records": [1], "meta": []}, ApiError, "expected an object with 'meta.pages'"),
        ({"records": [1], "meta": {"pages": "3"}}, ApiError, "'meta.pages' is '3'; expected the"),
        ({"records": [1], "meta": {"pages": True}}, ApiError, "expected the number of pages"),
        ({"records": [1], "meta": {}}, ApiError, "'meta.pages' is None"),
    ],
)
def test_an_answer_of_another_shape_is_told_with_its_beginning(
    server: HostileApi, body: Any, error: type[Exception], words: str
) -> None:
    server.answer = lambda _: Reply(body)
    with pytest.raises(error, match=words):
        read(server, pagination={"kind": "page", "pages": "meta.pages"})


def test_pages_that_are_not_looked_into_are_taken_as_they_come(server: HostileApi) -> None:
    server.answer = lambda _: Reply(b"\xff,not json\r\n")
    assert read(server, form={"type": "csv"}) == [b"\xff,not json\r\n"]


def test_an_incremental_pull_sends_where_it_goes_on(server: HostileApi) -> None:
    cursor = {"parameter": "since", "start": "0", "field": "n"}
    server.answer = lambda _: Reply({"records": []})
    read(server, since="41", cursor=cursor)
    assert server.asked[0].query == {"since": "41"}


def test_a_lines_page_without_a_record_is_the_end(server: HostileApi) -> None:
    server.answer = lambda asked: Reply(b'{"n": 1}\n' if asked.query["page"] == "1" else b"\n")
    found = read(server, form={"type": "ndjson"}, pagination={"kind": "page"})
    assert found == [b'{"n": 1}\n']


def test_formats_have_more_than_paging_needs() -> None:
    _, form = read_pull({"pull": {"connection": "a", "path": "/"}, "format": {"delimiter": ";"}})
    assert form == PageFormat()
    assert PullSource(connection="a", path="/").pagination is not None
