"""Asks Athena."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tenacity import Retrying, retry_if_result, stop_never, wait_exponential

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.errors import EstateError, InputError

_RUNNING: Final = frozenset({"QUEUED", "RUNNING"})


class Answer(NamedTuple):
    """The result of a query; every value as Athena's text, None for null."""

    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]
    scanned_bytes: int
    more: bool
    """Whether there are rows past the limit."""


def query(aws: Aws, sql: str, limit: int, workgroup: str | None = None) -> Answer:
    """Run one statement and fetch up to ``limit`` rows; in the engineers' workgroup by default.

    Raises what :func:`execute` raises.
    """
    athena = aws.client("athena")
    group = workgroup or naming.workgroup(aws.prefix, "engineer")
    return _fetch(athena, execute(athena, sql, group), limit)


def execute(athena: Any, sql: str, workgroup: str) -> dict[str, Any]:
    """Run one statement to its end; what Athena says of it then.

    A query that is interrupted is stopped. Raises InputError with Athena's own words when the
    statement is refused or fails, EstateError when somebody else cancels it.
    """
    try:
        started = athena.start_query_execution(QueryString=sql, WorkGroup=workgroup)
    except athena.exceptions.InvalidRequestException as error:
        raise InputError(
            f"Athena refuses the query: {error.response['Error']['Message']}"
        ) from error
    execution_id = started["QueryExecutionId"]

    def ask() -> dict[str, Any]:
        answer = athena.get_query_execution(QueryExecutionId=execution_id)
        execution: dict[str, Any] = answer["QueryExecution"]
        return execution

    waiting = Retrying(
        retry=retry_if_result(lambda answer: answer["Status"]["State"] in _RUNNING),
        wait=wait_exponential(multiplier=0.05, max=1),
        stop=stop_never,
    )
    try:
        execution: dict[str, Any] = waiting(ask)
    except KeyboardInterrupt:
        athena.stop_query_execution(QueryExecutionId=execution_id)
        raise
    status = execution["Status"]
    if status["State"] == "CANCELLED":
        raise EstateError(f"query {execution_id} was cancelled by somebody else; run it again")
    if status["State"] != "SUCCEEDED":
        raise InputError(f"Athena failed the query: {status.get('StateChangeReason', 'no reason')}")
    return execution


def _fetch(athena: Any, execution: dict[str, Any], limit: int) -> Answer:
    columns: list[str] = []
    types: list[str] = []
    rows: list[list[str | None]] = []
    pages = athena.get_paginator("get_query_results").paginate(
        QueryExecutionId=execution["QueryExecutionId"]
    )
    for number, page in enumerate(pages):
        info = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        columns, types = [c["Name"] for c in info], [c["Type"] for c in info]
        found = [
            [cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]
        ]
        # A SELECT's first row repeats the columns; SHOW and DESCRIBE have no such row.
        header = number == 0 and found and found[0] == columns
        rows += found[1:] if header else found
        if len(rows) > limit:
            break
    scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
    return Answer(columns, types, rows[:limit], scanned, len(rows) > limit)
