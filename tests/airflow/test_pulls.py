"""Pulling pages: patience, retries, pages that replace themselves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from airflow.sdk import Connection
from lakehouse_dags.pulls import _address, months_before, pull_month
from stub_aws import StubAws


class Api:
    """A service of a given number of pages that refuses as often as it is told."""

    def __init__(self) -> None:
        self.pages = 3
        self.refusals: list[int] = []
        self.asked: list[int] = []
        self.tokens: set[str | None] = set()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = int(parse_qs(urlsplit(self.path).query)["page"][0])
                api.asked.append(page)
                api.tokens.add(self.headers.get("Authorization"))
                status = api.refusals.pop(0) if api.refusals else 200
                body = json.dumps({"observations": [{"n": page}], "pages": api.pages}).encode()
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    made = Api()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://:secret@127.0.0.1:{made.server.server_port}"
    monkeypatch.setenv("AIRFLOW_CONN_WEATHER_API", url)
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubAws]:
    with StubAws({}) as stub:
        for name, value in stub.env.items():
            monkeypatch.setenv(name, value)
        yield stub


def pull() -> list[str]:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return pull_month("weather", "2013-01", "landing", S3Hook())


def test_every_page_becomes_an_object_as_it_came(api: Api, aws: StubAws) -> None:
    keys = pull()
    assert keys == [f"weather/2013-01/page-000{n}.json" for n in (1, 2, 3)]
    assert sorted(aws.objects) == keys
    assert json.loads(aws.objects[keys[1]]) == {"observations": [{"n": 2}], "pages": 3}
    assert api.tokens == {"Bearer secret"}


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_is_waited_for(api: Api, aws: StubAws, status: int) -> None:
    api.refusals = [200, status, status]
    assert len(pull()) == 3
    assert api.asked == [1, 2, 2, 2, 3]
    assert len(aws.objects) == 3


def test_a_wrong_answer_is_not_tried_again(api: Api, aws: StubAws) -> None:
    api.refusals = [404]
    with pytest.raises(requests.HTTPError, match="404"):
        pull()
    assert api.asked == [1]
    assert aws.objects == {}


def test_a_retry_replaces_its_pages_and_takes_away_those_that_are_no_more(
    api: Api, aws: StubAws
) -> None:
    aws.objects["weather/2013-02/page-0001.json"] = b"another month"
    pull()
    api.pages = 2
    keys: Any = pull()
    assert sorted(aws.objects) == [*keys, "weather/2013-02/page-0001.json"]


def test_a_page_that_has_not_changed_is_not_written_again(api: Api, aws: StubAws) -> None:
    first, second, third = pull()
    aws.objects[second] = b"what the API gave before"
    aws.puts.clear()
    assert pull() == [first, second, third]
    assert aws.puts == [second]
    assert api.asked == [1, 2, 3, 1, 2, 3]


def test_the_end_of_a_month_is_pulled_on_the_first_of_the_next() -> None:
    assert months_before(datetime(2013, 2, 1, 0, 7, tzinfo=UTC)) == ["2013-01"]
    assert months_before(datetime(2013, 1, 2, 0, 7, tzinfo=UTC)) == ["2012-12", "2013-01"]
    assert months_before(datetime(2013, 2, 20, tzinfo=UTC)) == ["2013-02"]


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (
            Connection(conn_id="c", conn_type="http", host="a.example", port=8080),
            "http://a.example:8080",
        ),
        (Connection(conn_id="c", conn_type="https", host="a.example"), "https://a.example"),
        (
            Connection(conn_id="c", conn_type="http", schema="https", host="a.example"),
            "https://a.example",
        ),
    ],
)
def test_a_token_goes_out_by_https_where_the_connection_says_so(
    connection: Connection, address: str
) -> None:
    assert _address(connection) == address


def test_a_pull_without_an_address_says_where_to_add_it(aws: StubAws) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    with pytest.raises(LookupError, match=r"'tides' says source: pull, but PULLS has only weather"):
        pull_month("tides", "2013-01", "landing", S3Hook())
    assert aws.objects == {}
