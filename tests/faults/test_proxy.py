"""The proxy passes everything on as it is, and does to a call what its rule says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from faults.actions import Moment, delay, kill, late, no_answer, refuse, reset, truncate
from faults.calls import identify
from faults.points import POINTS, claim_put, commit, data_put, plan_put, probe, records
from faults.proxy import Proxy
from faults.rules import Rule
from support.waiting import wait_for

BODY = bytes(range(256)) * 4096


class Upstream(ThreadingHTTPServer):
    """Remembers what it got and answers with its body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.command, self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("X-Kept", "yes")
        answer = BODY if self.command in {"GET", "HEAD"} else b""
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    with Proxy(upstream.url, upstream.url) as running:
        yield running


def everything(_: object) -> bool:
    return True


def test_a_call_passes_as_it_is(proxy: Proxy, upstream: Upstream) -> None:
    path = "/bucket/a%20b/%C3%A9?list-type=2&prefix=x%2Fy"
    httpx.put(proxy.url + path, content=BODY, headers={"Authorization": "AWS4 x"})
    method, got_path, headers, body = upstream.got[0]
    assert (method, got_path, body) == ("PUT", path, BODY)
    assert headers["Authorization"] == "AWS4 x"
    assert "Content-Type" not in headers
    answer = httpx.get(proxy.url + path)
    assert answer.content == BODY
    assert answer.headers["x-kept"] == "yes"


def test_the_head_of_an_object_keeps_its_length(proxy: Proxy) -> None:
    assert httpx.head(f"{proxy.url}/bucket/key").headers["content-length"] == str(len(BODY))


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(
    proxy: Proxy, upstream: Upstream
) -> None:
    s3(proxy).put_object(Bucket="bucket", Key="key", Body=BODY)
    assert "Expect" not in upstream.got[0][2]
    assert len(upstream.got) == 1


def s3(proxy: Proxy, attempts: int = 1) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=proxy.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"total_max_attempts": attempts},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    )


def test_a_rule_takes_the_nth_call_and_so_many(proxy: Proxy, upstream: Upstream) -> None:
    rule = Rule(everything, refuse(503, "SlowDown"), nth=2, times=2)
    proxy.arm(rule)
    statuses = [httpx.get(f"{proxy.url}/b/k").status_code for _ in range(5)]
    assert statuses == [200, 503, 503, 200, 200]
    assert len(upstream.got) == 3
    assert rule.fired.is_set()


def test_a_rule_takes_all_calls_for_a_while(proxy: Proxy) -> None:
    proxy.arm(Rule(everything, refuse(503, "ServiceUnavailable"), seconds=0.2))
    assert httpx.get(f"{proxy.url}/b/k").status_code == 503
    assert httpx.get(f"{proxy.url}/b/k").status_code == 503
    wait_for(lambda: httpx.get(f"{proxy.url}/b/k").status_code == 200)


def test_a_rule_waits_for_an_answer_that_it_wants(proxy: Proxy, upstream: Upstream) -> None:
    rule = Rule(everything, reset, answered=lambda answer: b"nothing of the kind" in answer.body)
    proxy.arm(rule)
    assert httpx.get(f"{proxy.url}/b/k").content == BODY
    assert not rule.fired.is_set()
    assert len(upstream.got) == 1


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_refusal_is_the_services_own_before_or_after_the_effect(
    proxy: Proxy, upstream: Upstream, after_effect: bool
) -> None:
    proxy.arm(
        Rule(everything, refuse(409, "ConditionalRequestConflict", after_effect=after_effect))
    )
    with pytest.raises(ClientError) as caught:
        s3(proxy).put_object(Bucket="bucket", Key="key", Body=b"{}", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "ConditionalRequestConflict"
    assert len(upstream.got) == after_effect


def test_a_json_service_refuses_in_json(proxy: Proxy) -> None:
    proxy.arm(Rule(everything, refuse(400, "ProvisionedThroughputExceededException")))
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=proxy.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        kinesis.get_records(ShardIterator="x")


@pytest.mark.parametrize("after_effect", [False, True])
def test_an_answer_does_not_come(proxy: Proxy, upstream: Upstream, after_effect: bool) -> None:
    proxy.arm(Rule(everything, no_answer(0.05, after_effect=after_effect)))
    with pytest.raises(ConnectionClosedError):
        s3(proxy).get_object(Bucket="bucket", Key="key")
    assert len(upstream.got) == after_effect


def test_a_connection_is_reset(proxy: Proxy, upstream: Upstream) -> None:
    proxy.arm(Rule(everything, reset))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{proxy.url}/b/k")
    assert upstream.got == []


def test_an_answer_is_cut_off_in_the_middle(proxy: Proxy) -> None:
    proxy.arm(Rule(everything, truncate))
    read: list[bytes] = []
    with httpx.stream("GET", f"{proxy.url}/b/k") as answer:
        assert answer.headers["content-length"] == str(len(BODY))
        with pytest.raises(httpx.HTTPError):
            read.extend(answer.iter_bytes())
    assert sum(map(len, read)) < len(BODY)


def test_an_answer_comes_late_and_whole(proxy: Proxy) -> None:
    proxy.arm(Rule(everything, delay(0.05)))
    assert httpx.get(f"{proxy.url}/b/k").content == BODY


@pytest.mark.parametrize(
    ("moment", "effect", "answered"),
    [("before", 0, False), ("unanswered", 1, False), ("half", 1, False), ("answered", 1, True)],
)
def test_a_kill_happens_at_its_moment_and_nothing_else_gets_through_meanwhile(
    proxy: Proxy, upstream: Upstream, moment: Moment, effect: int, answered: bool
) -> None:
    seen: list[int] = []
    other: list[httpx.Response] = []

    def victims() -> None:
        beside = threading.Thread(target=lambda: other.append(httpx.get(f"{proxy.url}/b/other")))
        beside.start()
        beside.join(0.2)
        seen.append(len(upstream.got))

    proxy.arm(Rule(everything, kill(proxy, victims, moment)))
    try:
        whole = httpx.get(f"{proxy.url}/b/k").content == BODY
    except httpx.RemoteProtocolError:
        whole = False
    assert whole is answered
    assert wait_for(lambda: seen) == [effect]
    assert wait_for(lambda: other)[0].status_code == 200


def test_a_late_call_takes_effect_when_another_has_done_its_work(
    proxy: Proxy, upstream: Upstream
) -> None:
    killed: list[bool] = []
    action = late(proxy, lambda: killed.append(True), lambda call: call.path == "/b/commit")
    proxy.arm(Rule(everything, action, times=3))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.put(f"{proxy.url}/b/claim", content=b"old")
    assert killed == [True]
    httpx.put(f"{proxy.url}/b/claim", content=b"new")
    httpx.put(f"{proxy.url}/b/commit")
    wait_for(lambda: len(upstream.got) == 3)
    assert [(path, body) for _, path, _, body in upstream.got] == [
        ("/b/claim", b"new"),
        ("/b/commit", b""),
        ("/b/claim", b"old"),
    ]


JSON = {"X-Amz-Target": "Kinesis_20131202.GetRecords"}
GLUE = {"X-Amz-Target": "AWSGlue.UpdateTable"}


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "is_it"),
    [
        ("PUT", "/lake-ledger/flights/plans/000000000001.json", {}, b"", plan_put),
        ("PUT", "/lake-ledger/flights/claims/000000000001/00000.json", {}, b"", claim_put),
        ("PUT", "/lake-bronze/flights/data/x.parquet", {}, b"", data_put),
        ("PUT", "/lake-bronze/flights/data/x.parquet?partNumber=1&uploadId=u", {}, b"", data_put),
        ("POST", "/", JSON, b'{"Limit": 10000}', records),
        ("POST", "/", JSON, b'{"Limit": 1}', probe),
        ("POST", "/", GLUE, b"{}", commit),
    ],
)
def test_the_points_of_the_protocol_are_told_apart(
    method: str, url: str, headers: dict[str, str], body: bytes, is_it: Callable[[Any], bool]
) -> None:
    path, _, query = url.partition("?")
    call = identify(method, path, query, httpx.Headers(headers), body)
    every = (plan_put, claim_put, data_put, records, probe, commit)
    assert [matches for matches in every if matches(call)] == [is_it]
    assert {point.matches for point in POINTS} >= {plan_put, claim_put, data_put, records, commit}
