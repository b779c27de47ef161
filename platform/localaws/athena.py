"""Athena's query calls, answered by DuckDB over the same catalog."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from lakehouse.errors import InputError
from localaws.athenatext import athena_type, csv_text, text
from localaws.describe import Answer, answer, is_about_catalog
from localaws.duck import Lake
from localaws.protocol import ServiceError, page

_log = structlog.get_logger()
_PAGE = 1000
"""Rows a page of GetQueryResults at most, the header among them."""
_UNFINISHED = ("QUEUED", "RUNNING")


class _Execution:
    """One query: its description as GetQueryExecution gives it, and its result."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.result: Answer | None = None
        self.stopped = threading.Event()
        self.interrupt: Callable[[], None] = lambda: None

    @property
    def state(self) -> str:
        return str(self.description["Status"]["State"])

    def move(self, state: str, reason: str | None = None) -> None:
        status = self.description["Status"]
        status["State"] = state
        if reason is not None:
            status["StateChangeReason"] = reason
        if state not in _UNFINISHED:
            status["CompletionDateTime"] = datetime.now(UTC)
            spent = status["CompletionDateTime"] - status["SubmissionDateTime"]
            milliseconds = int(spent.total_seconds() * 1000)
            self.description["Statistics"] = {
                "EngineExecutionTimeInMillis": milliseconds,
                "TotalExecutionTimeInMillis": milliseconds,
                "DataScannedInBytes": 0,
            }


class Athena:
    """Runs queries in threads; executions live as long as the process."""

    def __init__(self, lake: Lake, glue: Any, athena: Any, s3: Any) -> None:
        """The clients reach the emulator: catalog, workgroups, result bucket."""
        self._lake = lake
        self._glue = glue
        self._athena = athena
        self._s3 = s3
        self._executions: dict[str, _Execution] = {}
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="athena")

    def handle(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to an operation of ours; None for any other. Raises ServiceError."""
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._get,
            "BatchGetQueryExecution": self._batch_get,
            "ListQueryExecutions": self._list,
            "GetQueryResults": self._results,
            "StopQueryExecution": self._stop,
        }
        handler = handlers.get(operation)
        return handler(request) if handler else None

    def close(self) -> None:
        """Stop what runs and wait for it."""
        for execution in self._executions.values():
            execution.stopped.set()
            execution.interrupt()
        self._pool.shutdown(cancel_futures=True)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        workgroup = request.get("WorkGroup", "primary")
        statement = request["QueryString"]
        context = request.get("QueryExecutionContext", {})
        query_id = str(uuid.uuid4())
        location = self._output_location(request, workgroup)
        execution = _Execution(
            {
                "QueryExecutionId": query_id,
                "Query": statement,
                "StatementType": "UTILITY" if is_about_catalog(statement) else "DML",
                "ResultConfiguration": {"OutputLocation": f"{location}{query_id}.csv"},
                "QueryExecutionContext": context,
                "Status": {"State": "QUEUED", "SubmissionDateTime": datetime.now(UTC)},
                "WorkGroup": workgroup,
                "EngineVersion": {
                    "SelectedEngineVersion": "AUTO",
                    "EffectiveEngineVersion": "Athena engine version 3",
                },
            }
        )
        parameters = request.get("ExecutionParameters", [])
        self._executions[query_id] = execution
        database = context.get("Database", "default")
        self._pool.submit(self._run, execution, statement, database, parameters)
        return {"QueryExecutionId": query_id}

    def _output_location(self, request: dict[str, Any], workgroup: str) -> str:
        try:
            group = self._athena.get_work_group(WorkGroup=workgroup)["WorkGroup"]
        except self._athena.exceptions.ClientError:
            raise ServiceError(
                "InvalidRequestException", f"WorkGroup {workgroup} is not found."
            ) from None
        settings = group.get("Configuration", {})
        fixed = settings.get("ResultConfiguration", {}).get("OutputLocation")
        asked = request.get("ResultConfiguration", {}).get("OutputLocation")
        # An enforced configuration wins over the client's; that is the default on AWS, too.
        enforced = settings.get("EnforceWorkGroupConfiguration", False)
        location = (fixed if enforced else None) or asked or fixed
        if not location:
            raise ServiceError(
                "InvalidRequestException",
                "No output location provided. An output location is required either through the "
                "Workgroup result configuration setting or as an API input.",
            )
        return str(location).rstrip("/") + "/"

    def _run(
        self, execution: _Execution, statement: str, database: str, parameters: list[str]
    ) -> None:
        if execution.stopped.is_set():
            return execution.move("CANCELLED", "Query was cancelled")
        execution.move("RUNNING")
        try:
            if is_about_catalog(statement):
                execution.result = answer(statement, database, self._glue)
            else:
                execution.result = self._query(execution, statement, database, parameters)
            self._write(execution)
        except Exception as error:  # noqa: BLE001  # whatever went wrong is the query's outcome
            if execution.stopped.is_set():
                return execution.move("CANCELLED", "Query was cancelled")
            if not isinstance(error, InputError):
                _log.info("query failed", query=statement, error=repr(error))
            return execution.move("FAILED", str(error))
        return execution.move("SUCCEEDED")

    def _query(
        self, execution: _Execution, statement: str, database: str, parameters: list[str]
    ) -> Answer:
        with closing(self._lake.connect()) as connection:
            execution.interrupt = connection.interrupt
            sql = self._lake.prepare(connection, statement, database)
            values = [
                connection.execute(f"SELECT {value}").fetchall()[0][0] for value in parameters
            ]
            if execution.stopped.is_set():
                raise InputError("Query was cancelled")
            cursor = connection.execute(sql, values)
            names = [column[0] for column in cursor.description or []]
            types = [athena_type(str(column[1])) for column in cursor.description or []]
            rows = [[text(value) for value in row] for row in cursor.fetchall()]
            execution.interrupt = lambda: None
        return Answer(names, types, rows)

    def _write(self, execution: _Execution) -> None:
        result = execution.result
        assert result is not None  # noqa: S101  # set by the caller
        target = urlsplit(execution.description["ResultConfiguration"]["OutputLocation"])
        body = csv_text(result.names, result.rows)
        self._s3.put_object(Bucket=target.netloc, Key=target.path.lstrip("/"), Body=body.encode())

    def _find(self, query_id: str) -> _Execution:
        found = self._executions.get(query_id)
        if found is None:
            raise ServiceError(
                "InvalidRequestException", f"QueryExecution {query_id} was not found"
            )
        return found

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"QueryExecution": self._find(request["QueryExecutionId"]).description}

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        found, missing = [], []
        for query_id in request["QueryExecutionIds"]:
            if query_id in self._executions:
                found.append(self._executions[query_id].description)
            else:
                missing.append(
                    {
                        "QueryExecutionId": query_id,
                        "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                        "ErrorMessage": f"QueryExecution {query_id} was not found",
                    }
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        workgroup = request.get("WorkGroup", "primary")
        newest_first = [
            query_id
            for query_id, execution in reversed(self._executions.items())
            if execution.description["WorkGroup"] == workgroup
        ]
        ids, token = page(newest_first, request.get("NextToken"), request.get("MaxResults", 50))
        return {"QueryExecutionIds": ids} | ({"NextToken": token} if token else {})

    def _results(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request["QueryExecutionId"])
        result = execution.result
        if execution.state != "SUCCEEDED" or result is None:
            raise ServiceError(
                "InvalidRequestException",
                f"Query did not finish successfully. Final query state: {execution.state}",
            )
        # A SELECT's first row is its header; the answers of SHOW and DESCRIBE have none.
        header = [result.names] if execution.description["StatementType"] == "DML" else []
        rows, token = page(
            [*header, *result.rows], request.get("NextToken"), request.get("MaxResults", _PAGE)
        )
        columns = [
            {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name,
             "Label": name, "Type": kind, "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN",
             "CaseSensitive": kind == "varchar"}
            for name, kind in zip(result.names, result.types, strict=True)
        ]  # fmt: skip
        data = [
            {"Data": [{} if value is None else {"VarCharValue": value} for value in row]}
            for row in rows
        ]
        answered: dict[str, Any] = {
            "UpdateCount": 0,
            "ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}},
        }
        return answered | ({"NextToken": token} if token else {})

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request["QueryExecutionId"])
        if execution.state in _UNFINISHED:
            execution.stopped.set()
            execution.interrupt()
        return {}
