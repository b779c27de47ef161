"""An API that refuses, breaks off, lies and leads astray."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from airflow.sdk import Connection
from hostile_api import HostileApi, Reply
from lakehouse_dags import client
from lakehouse_dags.client import Api, ApiError, UnavailableError

GOOD = Reply({"records": []})


@pytest.fixture
def server() -> Iterator[HostileApi]:
    with HostileApi(lambda _: GOOD) as api:
        yield api


class Patience:
    """What a client slept, and a clock that only its sleeping moves."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def connect(server: HostileApi, patience: Patience, **connection: str) -> Api:
    given = Connection(
        conn_id="tides_api", conn_type="http", host="127.0.0.1", port=server.port, **connection
    )
    return Api(given, max_bytes=1 << 20, sleep=patience.sleep)


def test_a_storm_of_refusals_is_waited_for_as_long_as_each_asks(server: HostileApi) -> None:
    patience = Patience()
    server.first = [Reply(status=429, headers={"Retry-After": "7"})] * 5
    with connect(server, patience) as api:
        assert api.get("/", {}).body == GOOD.bytes
    assert len(server.asked) == 6
    assert all(7 <= slept <= 8 for slept in patience.slept)
    # Many clients that were refused together do not come back together.
    assert len(set(patience.slept)) == 5


def test_a_date_to_come_back_at_is_understood(server: HostileApi) -> None:
    patience = Patience()
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.first = [Reply(status=503, headers={"Retry-After": at})]
    with connect(server, patience) as api:
        api.get("/", {})
    assert [60 < slept <= 91 for slept in patience.slept] == [True]


@pytest.mark.parametrize("said", ["soon", "", "-5"])
def test_a_time_that_makes_no_sense_is_left_to_back_off(server: HostileApi, said: str) -> None:
    patience = Patience()
    server.first = [Reply(status=429, headers={"Retry-After": said})]
    with connect(server, patience) as api:
        api.get("/", {})
    assert 0 <= patience.slept[0] <= 60


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_errors_that_do_not_end_are_given_up_with_what_was_said(
    server: HostileApi, status: int
) -> None:
    patience = Patience()
    server.answer = lambda _: Reply({"error": "database down"}, status)
    with (
        connect(server, patience) as api,
        pytest.raises(UnavailableError, match=rf"{status} .*database down.* after 8 tries"),
    ):
        api.get("/v1", {})
    assert len(server.asked) == 8
    assert all(0 <= slept <= 60 for slept in patience.slept)


def test_who_asks_for_hours_is_not_waited_for(server: HostileApi) -> None:
    patience = Patience()
    server.answer = lambda _: Reply(b"closed", 429, {"Retry-After": "86400"})
    with connect(server, patience) as api, pytest.raises(UnavailableError, match="of 8 and 1800 s"):
        api.get("/v1", {})
    assert patience.slept == []


def test_waits_are_bounded_over_all_pages_together(server: HostileApi) -> None:
    patience = Patience()
    with connect(server, patience) as api:
        server.first = [Reply(status=429, headers={"Retry-After": "1000"})]
        api.get("/1", {})
        server.first = [Reply(status=429, headers={"Retry-After": "1000"})]
        with pytest.raises(UnavailableError):
            api.get("/2", {})
    assert len(patience.slept) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_for_good_fails_at_once_with_the_beginning_of_its_body(
    server: HostileApi, status: int
) -> None:
    patience = Patience()
    server.first = [Reply(b"no such month" + b"!" * 1000, status)]
    with connect(server, patience) as api, pytest.raises(ApiError) as refused:
        api.get("/v1/tides", {"month": "2013-13"})
    assert f"/v1/tides answers {status}" in str(refused.value)
    assert "no such month" in str(refused.value)
    assert len(str(refused.value)) < 400
    assert len(server.asked) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(server: HostileApi) -> None:
    patience = Patience()
    server.first = [Reply({"records": [1]}, length=10_000)]
    with connect(server, patience) as api:
        assert api.get("/", {}).body == GOOD.bytes
    assert len(server.asked) == 2


def test_a_huge_answer_is_cut_before_it_fills_the_worker(server: HostileApi) -> None:
    server.answer = lambda _: Reply(b"x" * (3 << 20))
    with connect(server, Patience()) as api, pytest.raises(ApiError, match="more than 1 MB"):
        api.get("/", {})
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert len(bomb) < 1 << 20
    server.answer = lambda _: Reply(bomb, headers={"Content-Encoding": "gzip"})
    with connect(server, Patience()) as api, pytest.raises(ApiError, match="more than 1 MB"):
        api.get("/", {})


def test_an_answer_that_drips_is_not_waited_for_without_end(
    server: HostileApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_CHUNK", 4)
    ticks = iter(range(0, 10**9, 300))
    given = Connection(conn_id="a", conn_type="http", host="127.0.0.1", port=server.port)
    patience = Patience()
    with (
        Api(given, max_bytes=1000, sleep=patience.sleep, clock=lambda: next(ticks)) as api,
        pytest.raises(UnavailableError, match="not there after 600 s"),
    ):
        api.get("/", {})


def test_a_redirect_stays_with_the_host(server: HostileApi) -> None:
    server.first = [Reply(status=302, headers={"Location": "/v2/tides?a=b"})]
    with connect(server, Patience(), password="secret") as api:
        api.get("/v1/tides", {"month": "2013-01"})
    assert [(asked.path, asked.query) for asked in server.asked] == [
        ("/v1/tides", {"month": "2013-01"}),
        ("/v2/tides", {"a": "b"}),
    ]
    with HostileApi(lambda _: GOOD) as other:
        server.first = [Reply(status=302, headers={"Location": f"http://127.0.0.1:{other.port}/"})]
        with (
            connect(server, Patience(), password="secret") as api,
            pytest.raises(ApiError, match="leads to another host"),
        ):
            api.get("/v1/tides", {})
        assert other.asked == []


def test_redirects_in_a_circle_end(server: HostileApi) -> None:
    server.answer = lambda _: Reply(status=302, headers={"Location": "/"})
    with connect(server, Patience()) as api, pytest.raises(ApiError, match="redirected 5 times"):
        api.get("/", {})


@pytest.mark.parametrize(
    ("given", "header", "value"),
    [
        ({"password": "secret"}, "Authorization", "Bearer secret"),
        ({"login": "me", "password": "secret"}, "Authorization", "Basic bWU6c2VjcmV0"),
        ({"password": "secret", "extra": '{"header": "X-Api-Key"}'}, "X-Api-Key", "secret"),
        ({}, "Authorization", None),
    ],
)
def test_credentials_go_out_as_the_connection_says(
    server: HostileApi, given: dict[str, str], header: str, value: str | None
) -> None:
    with connect(server, Patience(), **given) as api:
        api.get("/", {"a": "b"})
    assert server.asked[0].headers.get(header) == value
    assert server.asked[0].query == {"a": "b"}


def test_credentials_are_in_no_message(
    server: HostileApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.first = [
        Reply(b"token secret-1234 is not known", 429, {"Retry-After": "0"}),
        Reply(b"token secret-1234 is not known", 401),
    ]
    with connect(server, Patience(), password="secret-1234") as api, pytest.raises(ApiError) as no:
        api.get("/v1", {})
    assert "secret-1234" not in str(no.value) + caplog.text
    assert "token *** is not known" in str(no.value)
    assert "token *** is not known" in caplog.text


def test_credentials_are_not_sent_unencrypted_to_a_network() -> None:
    plain = Connection(conn_id="tides_api", conn_type="http", host="a.example", password="secret")
    with pytest.raises(ApiError, match=r"'tides_api' .* unencrypted; set its schema to https"):
        Api(plain, max_bytes=1)
    Api(Connection(conn_id="c", conn_type="http", host="a.example"), max_bytes=1)


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
def test_the_address_is_that_of_the_connection(connection: Connection, address: str) -> None:
    assert client.address(connection) == address
