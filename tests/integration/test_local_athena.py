"""Athena's query calls over tables that PyIceberg has written through the gateway."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from lakehouse.aws import Aws
from localaws.local import LocalEstate
from tests.support.waiting import wait_for

RESULTS = "lakehouse-local-results"
GROUP = "lakehouse-local"
HOUR = datetime(2013, 1, 1, 10, 0, tzinfo=UTC)


class Client:
    """Runs a statement and waits for its end."""

    def __init__(self) -> None:
        self.athena = boto3.client("athena")

    def start(self, statement: str, **options: Any) -> str:
        options = {"WorkGroup": GROUP, "QueryExecutionContext": {"Database": "silver"}} | options
        started = self.athena.start_query_execution(QueryString=statement, **options)
        query_id: str = started["QueryExecutionId"]
        return query_id

    def wait(self, query_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found: Any = self.athena.get_query_execution(QueryExecutionId=query_id)
            found = found["QueryExecution"]
            return None if found["Status"]["State"] in ("QUEUED", "RUNNING") else found

        return wait_for(ended)

    def rows(self, statement: str, **options: Any) -> list[list[str | None]]:
        query_id = self.start(statement, **options)
        status = self.wait(query_id)["Status"]
        assert status["State"] == "SUCCEEDED", status
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        return [
            [cell.get("VarCharValue") for cell in row["Data"]]
            for page in pages
            for row in page["ResultSet"]["Rows"]
        ]

    def failure(self, statement: str) -> str:
        status = self.wait(self.start(statement))["Status"]
        assert status["State"] == "FAILED", status
        reason: str = status["StateChangeReason"]
        return reason


@pytest.fixture(scope="module")
def snapshots(empty_estate: LocalEstate) -> list[int]:
    """The table silver.flights in two commits of 1,500 rows each; the ids of its snapshots."""
    assert empty_estate.env["AWS_ENDPOINT_URL_ATHENA"] == empty_estate.gateway_url
    s3 = boto3.client("s3")
    for bucket in (RESULTS, "lakehouse-local-silver", "lakehouse-local-verdicts"):
        s3.create_bucket(Bucket=bucket)
    place: Any = {"ResultConfiguration": {"OutputLocation": f"s3://{RESULTS}/athena/"}}
    boto3.client("athena").create_work_group(Name=GROUP, Configuration=place)
    catalog = Aws.from_env("lakehouse-local").catalog()
    catalog.create_namespace("silver")
    nested = pa.struct([("code", pa.string()), ("detail", pa.string())])
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("carrier", pa.string()),
            ("delay", pa.float64()),
            ("at", pa.timestamp("us", "UTC")),
            ("day", pa.date32()),
            ("reject", nested),
            ("payload", pa.binary()),
        ]
    )
    table = catalog.create_table(
        "silver.flights", schema, location="s3://lakehouse-local-silver/flights"
    )
    for start in (0, 1500):
        table.append(
            pa.Table.from_pylist(
                [
                    {
                        "id": number,
                        "carrier": "UA" if number % 2 else "B6",
                        "delay": None if number == 0 else float(number),
                        "at": HOUR,
                        "day": HOUR.date(),
                        "reject": {"code": "range", "detail": None},
                        "payload": b"Hi",
                    }
                    for number in range(start, start + 1500)
                ],
                schema=schema,
            )
        )
    return [snapshot.snapshot_id for snapshot in table.snapshots()]


@pytest.fixture(scope="module")
def client(snapshots: list[int]) -> Client:
    assert len(snapshots) == 2
    return Client()


def test_every_page_of_a_result_comes_with_the_header_first(client: Client) -> None:
    rows = client.rows("SELECT id FROM flights ORDER BY id")
    assert rows[0] == ["id"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(3000)]


def test_values_types_and_the_result_file_are_spelled_as_athena_does(client: Client) -> None:
    query_id = client.start("SELECT * FROM silver.flights WHERE id < 2 ORDER BY id")
    execution = client.wait(query_id)
    results = client.athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]
    columns = results["ResultSetMetadata"]["ColumnInfo"]
    assert [(column["Name"], column["Type"]) for column in columns] == [
        ("id", "bigint"),
        ("carrier", "varchar"),
        ("delay", "double"),
        ("at", "timestamp with time zone"),
        ("day", "date"),
        ("reject", "row"),
        ("payload", "varbinary"),
    ]
    expected = ["0", "B6", None, "2013-01-01 10:00:00.000000 UTC", "2013-01-01",
                "{code=range, detail=null}", "48 69"]  # fmt: skip
    assert [cell.get("VarCharValue") for cell in results["Rows"][1]["Data"]] == expected
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{RESULTS}/athena/{query_id}.csv"
    body = boto3.client("s3").get_object(Bucket=RESULTS, Key=f"athena/{query_id}.csv")["Body"]
    written = body.read().decode()
    assert written.startswith('"id","carrier","delay"')
    assert list(csv.reader(io.StringIO(written)))[1] == [value or "" for value in expected]


def test_functions_mean_what_they_mean_in_athena(client: Client) -> None:
    assert client.rows(
        """
        WITH late AS (SELECT carrier, delay, at FROM awsdatacatalog.silver.flights f)
        SELECT 7 / 2, sum(1), count_if(delay > 10), max_by(carrier, delay),
               format_datetime(max(at), 'yyyy-MM-dd''T''HH'),
               date_diff('hour', timestamp '2024-01-01 00:59:00', timestamp '2024-01-01 01:01:00'),
               round(avg(delay), 1)
        FROM late
        """
    )[1] == ["3", "3000", "2989", "UA", "2013-01-01T10", "0", "1500.0"]


def test_a_table_can_be_read_as_it_was(client: Client, snapshots: list[int]) -> None:
    for travel, count in (
        (f"FOR VERSION AS OF {snapshots[0]}", "1500"),
        (f"FOR VERSION AS OF {snapshots[1]}", "3000"),
        ("FOR TIMESTAMP AS OF current_timestamp", "3000"),
    ):
        assert client.rows(f"SELECT count(*) FROM flights {travel}")[1] == [count]
    assert "No version history" in client.failure(
        "SELECT 1 FROM flights FOR TIMESTAMP AS OF TIMESTAMP '2000-01-01 00:00:00 UTC'"
    )


def test_metadata_tables_are_there(client: Client, snapshots: list[int]) -> None:
    rows = client.rows('SELECT snapshot_id, operation FROM "flights$snapshots" ORDER BY 1')
    assert sorted(row[0] or "" for row in rows[1:]) == sorted(str(one) for one in snapshots)


def test_views_and_json_tables_of_the_catalog_are_read(client: Client) -> None:
    glue = boto3.client("glue")
    definition = {"originalSql": "SELECT carrier, count(*) AS n FROM flights GROUP BY carrier"}
    encoded = base64.b64encode(json.dumps(definition).encode()).decode()
    glue.create_table(
        DatabaseName="silver",
        TableInput={
            "Name": "by_carrier",
            "TableType": "VIRTUAL_VIEW",
            "ViewOriginalText": f"/* Presto View: {encoded} */",
        },
    )
    assert client.rows("SELECT * FROM by_carrier ORDER BY 1")[1:] == [
        ["B6", "1500"],
        ["UA", "1500"],
    ]

    location = "s3://lakehouse-local-verdicts"
    glue.create_table(
        DatabaseName="silver",
        TableInput={
            "Name": "verdicts",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "dataset", "Type": "string"}],
            "StorageDescriptor": {
                "Location": f"{location}/",
                "Columns": [
                    {"Name": "snapshot_id", "Type": "bigint"},
                    {"Name": "checks", "Type": "array<struct<name:string,value:double>>"},
                ],
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            },
        },
    )
    assert client.rows("SELECT * FROM verdicts") == [["snapshot_id", "checks", "dataset"]]
    body = json.dumps({"snapshot_id": 5, "checks": [{"name": "rows", "value": 2}]}).encode()
    bucket = location.removeprefix("s3://")
    boto3.client("s3").put_object(Bucket=bucket, Key="dataset=flights/5.json", Body=body)
    assert client.rows("SELECT dataset, snapshot_id, checks FROM verdicts")[1] == [
        "flights",
        "5",
        "[{name=rows, value=2.0}]",
    ]


def test_a_table_that_nothing_was_written_to_is_empty(client: Client) -> None:
    catalog = Aws.from_env("lakehouse-local").catalog()
    schema = pa.schema([("id", pa.int64())])
    catalog.create_table("silver.fresh", schema, location="s3://lakehouse-local-silver/fresh")
    assert client.rows("SELECT id FROM fresh") == [["id"]]


def test_show_and_describe_ask_the_catalog(client: Client) -> None:
    assert ["silver"] in client.rows("SHOW DATABASES")
    assert ["flights"] in client.rows("SHOW TABLES IN silver")
    assert client.rows("DESCRIBE silver.flights")[0] == ["id", "bigint", ""]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND.*silver.nowhere"),
        ("SELECT nothing FROM flights", 'column "nothing" not found'),
        ("SELEC 1", "SELEC"),
        ("DROP TABLE flights", "DROP is not supported by the local Athena"),
        ("INSERT INTO flights SELECT * FROM flights", "INSERT is not supported"),
        ("SHOW CREATE TABLE flights", "SHOW CREATE TABLE flights.*is not supported"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
    ],
)
def test_a_failed_query_names_the_mistake(client: Client, statement: str, reason: str) -> None:
    assert re.search(reason, client.failure(statement))


def test_a_running_query_can_be_stopped(client: Client) -> None:
    query_id = client.start(
        "SELECT count(*) FROM flights a, flights b, flights c WHERE a.delay + b.delay > c.delay"
    )
    client.athena.stop_query_execution(QueryExecutionId=query_id)
    assert client.wait(query_id)["Status"]["State"] == "CANCELLED"


def test_what_the_service_refuses_at_once_has_its_own_error(client: Client) -> None:
    with pytest.raises(ClientError, match="WorkGroup nobody is not found"):
        client.start("SELECT 1", WorkGroup="nobody")
    with pytest.raises(ClientError, match="was not found"):
        client.athena.get_query_execution(QueryExecutionId="unknown")
    with pytest.raises(ClientError, match="CreateNotebook is not part of the local estate"):
        client.athena.create_notebook(WorkGroup=GROUP, Name="n")
    names = [group["Name"] for group in client.athena.list_work_groups()["WorkGroups"]]
    assert GROUP in names
