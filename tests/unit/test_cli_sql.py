"""``lakehouse sql``: Athena's answers, whole or cut, in three forms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from rich.console import Console

from lakehouse.cli import show
from lakehouse.cli.query import Answer, query
from lakehouse.errors import EstateError, InputError

TYPES = ["varchar", "bigint"]


class FakeAws:
    """A deployment with nothing but Athena."""

    prefix = "p"

    def __init__(self, athena: Any) -> None:
        self._athena = athena

    def client(self, service: str) -> Any:
        assert service == "athena"
        return self._athena


@pytest.fixture
def athena() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "athena", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        yield FakeAws(client), stub
        stub.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


def started(stub: Stubber, *states: str, reason: str = "") -> None:
    stub.add_response(
        "start_query_execution",
        {"QueryExecutionId": "q"},
        {"QueryString": "S", "WorkGroup": "p-engineer"},
    )
    for state in states:
        status = {"State": state} | ({"StateChangeReason": reason} if reason else {})
        stub.add_response(
            "get_query_execution",
            {"QueryExecution": {"QueryExecutionId": "q", "Status": status}},
            {"QueryExecutionId": "q"},
        )


def results(stub: Stubber, rows: Sequence[Sequence[str | None]], token: str | None = None) -> None:
    columns = [
        {"Name": name, "Type": kind} for name, kind in zip(("name", "n"), TYPES, strict=True)
    ]
    data = [
        {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows
    ]
    answer: dict[str, Any] = {
        "ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}
    }
    stub.add_response("get_query_results", answer | ({"NextToken": token} if token else {}))


def test_all_pages_are_read_and_the_header_is_no_row(athena: tuple[Any, Stubber]) -> None:
    aws, stub = athena
    started(stub, "QUEUED", "RUNNING", "SUCCEEDED")
    results(stub, [["name", "n"], ["a", "1"]], token="more")
    results(stub, [["name", "n"], ["b", None]])
    found = query(aws, "S", 10)
    assert found.columns == ["name", "n"]
    # What looks like a header on a later page is data.
    assert found.rows == [["a", "1"], ["name", "n"], ["b", None]]
    assert not found.more


def test_another_workgroup_is_asked_where_it_is_named(athena: tuple[Any, Stubber]) -> None:
    aws, stub = athena
    stub.add_response(
        "start_query_execution",
        {"QueryExecutionId": "q"},
        {"QueryString": "S", "WorkGroup": "p-auditor"},
    )
    stub.add_client_error("get_query_execution", "ThrottlingException")
    with pytest.raises(ClientError):
        query(aws, "S", 10, "p-auditor")


def test_reading_ends_at_the_limit(athena: tuple[Any, Stubber]) -> None:
    aws, stub = athena
    started(stub, "SUCCEEDED")
    results(stub, [["name", "n"], ["a", "1"], ["b", "2"], ["c", "3"]], token="more")
    found = query(aws, "S", 2)
    assert found.rows == [["a", "1"], ["b", "2"]]
    assert found.more


def test_a_show_has_no_header(athena: tuple[Any, Stubber]) -> None:
    aws, stub = athena
    started(stub, "SUCCEEDED")
    results(stub, [["flights", "1"]])
    assert query(aws, "S", 10).rows == [["flights", "1"]]


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        ("FAILED", InputError, "Athena failed the query: COLUMN_NOT_FOUND"),
        ("CANCELLED", EstateError, "was cancelled by somebody else"),
    ],
)
def test_a_query_that_does_not_succeed_says_why(
    athena: tuple[Any, Stubber], state: str, error: type[Exception], says: str
) -> None:
    aws, stub = athena
    started(stub, state, reason="COLUMN_NOT_FOUND: line 1:8")
    with pytest.raises(error, match=says):
        query(aws, "S", 10)


def test_a_refused_query_says_why(athena: tuple[Any, Stubber]) -> None:
    aws, stub = athena
    stub.add_client_error("start_query_execution", "InvalidRequestException", "mismatched input")
    with pytest.raises(InputError, match="Athena refuses the query: mismatched input"):
        query(aws, "S", 10)


def test_a_query_that_is_interrupted_is_stopped(
    athena: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws, stub = athena
    started(stub, "RUNNING")
    stub.add_response("stop_query_execution", {}, {"QueryExecutionId": "q"})

    others_sleep = time.sleep

    def interrupt(seconds: float) -> None:
        # The name is the whole process's, and a thread of another test may be asleep.
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        others_sleep(seconds)

    monkeypatch.setattr("tenacity.nap.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        query(aws, "S", 10)


@pytest.fixture
def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Answer, Literal["table", "csv", "json"]], str]:
    monkeypatch.setenv("COLUMNS", "80")

    def show_it(found: Answer, form: Literal["table", "csv", "json"]) -> str:
        show.answer(Console(soft_wrap=True, emoji=False, highlight=False), found, form)
        return capsys.readouterr().out

    return show_it


FOUND = Answer(
    ["text", "count", "share", "yes"],
    ["varchar", "bigint", "double", "boolean"],
    [[":x:, [b]", "9007199254740993", "0.12345678", "true"], [None, None, None, None]],
    0,
    more=True,
)


def test_json_has_the_types_of_the_columns(printed: Callable[..., str]) -> None:
    assert printed(FOUND, "json").splitlines() == [
        '{"text":":x:, [b]","count":9007199254740993,"share":0.12345678,"yes":true}',
        '{"text":null,"count":null,"share":null,"yes":null}',
    ]


def test_csv_is_untouched(printed: Callable[..., str]) -> None:
    assert printed(FOUND, "csv") == (
        'text,count,share,yes\n":x:, [b]",9007199254740993,0.12345678,true\n,,,\n'
    )


def test_a_table_is_read_by_people(printed: Callable[..., str]) -> None:
    lines = printed(FOUND, "table").splitlines()
    assert lines[1].split() == [":x:,", "[b]", "9007199254740993", "0.1235", "true"]
    assert lines[2].split() == ["null"] * 4
    assert lines[3] == "2 rows; there are more: --limit 20"


def test_a_table_in_a_pipe_is_not_cut(printed: Callable[..., str]) -> None:
    wide = Answer(["a", "b"], ["varchar", "varchar"], [["x" * 90, "y" * 90]], 0, more=False)
    assert f"{'x' * 90}  {'y' * 90}" in printed(wide, "table")
