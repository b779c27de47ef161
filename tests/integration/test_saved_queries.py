"""Every saved query and a quarantine view, asked of the local estate with a little data in it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast

import boto3
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow

from estate.access.audiencepolicies import AUDIENCES
from estate.serving.savedqueries import saved_queries
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.cli.query import query
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.naming import Layer
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import put_approval, put_verdict
from lakehouse.tables import ensure_table
from localaws.local import LocalEstate
from tests.support.bronze_rows import deliver
from tests.support.verdicts import gold, range_check, sample, silver

Rows = list[dict[str, str | None]]
NOW = datetime.now(UTC)
FRESH = {"_arrived_at": NOW, "_ingested_at": NOW}


def reject(code: str, payload: bytes, **columns: Any) -> dict[str, Any]:
    return {**FRESH, "_reject": {"code": code, "detail": f"{code}!"}, "_payload": payload} | columns


def fill(aws: Aws, contract: Contract, layer: Layer, **columns: Any) -> None:
    """One row of a checked table, with these values and the rest null."""
    table = ensure_table(aws, contract, layer)
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    values = {field.name: pa.array([columns.get(field.name)], field.type) for field in schema}
    table.append(pa.table(values, schema=schema))


@pytest.fixture(scope="module")
def aws(local_estate: LocalEstate, contracts: Contracts) -> Aws:
    """Rejects in flights, of which a replay made one good; a row in every other table."""
    aws = Aws.from_env(local_estate.prefix)
    replayed = {"_source": "shard", "_sequence": "7", "_index": 0}
    deliver(
        aws,
        contracts["flights"],
        1,
        [
            {**FRESH, "carrier": "UA"},
            reject("malformed", b"\xff{oops"),
            reject("range", '{"note": "füßig"}'.encode()),
            reject("range", b"{}", **replayed),
        ],
    )
    deliver(aws, contracts["flights"], 2, [{**FRESH, **replayed, "carrier": "AA"}], attempt=1)
    for contract in contracts.values():
        if contract.source == "mart":
            month = date(2013, 1, 1)
            fill(
                aws, contract, "gold", month=month, flight_date=month, flights=120, cancelled=20,
                arrived_on_time=60, delayed=25, carrier="UA", name="United", origin="EWR",
                dest="SFO", conditions="rain", worst_arr_delay=90.0,
            )  # fmt: skip
            continue
        if contract.dataset != "flights":
            deliver(aws, contract, 1, [FRESH, reject("missing", b"a,b")])
        fill(aws, contract, "silver", scheduled_departure=NOW, time_hour=NOW)
    now = NOW.isoformat()
    for verdict in (
        silver(1, checked_at=now),
        silver(2, range_check(2, sample(2, delay="-9")), checked_at=now),
        gold(5, range_check(1), checked_at=now),
    ):
        put_verdict(aws, verdict)
    put_approval(aws, Approval("flights", silver(2).snapshot_id, "ada", "a known outage", now))
    return aws


def rows(aws: Aws, sql: str, audience: str = "engineer") -> Rows:
    answer = query(aws, sql, 1000, naming.workgroup(aws.prefix, audience))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.fixture(scope="module")
def answers(aws: Aws) -> dict[tuple[str, str], Rows]:
    """What each saved query of each workgroup answers, as it stands there."""
    athena = boto3.client("athena")
    found = {}
    for audience in AUDIENCES:
        group = naming.workgroup(aws.prefix, audience)
        pages = athena.get_paginator("list_named_queries").paginate(WorkGroup=group)
        for query_id in (known for page in pages for known in page["NamedQueryIds"]):
            saved = athena.get_named_query(NamedQueryId=query_id)["NamedQuery"]
            found[audience, saved["Name"]] = rows(aws, saved["QueryString"], audience)
    return found


def test_every_saved_query_is_there_once_and_finds_something(
    answers: dict[tuple[str, str], Rows], contracts: Contracts
) -> None:
    assert set(answers) == {
        (audience, saved.name) for saved in saved_queries(contracts) for audience in saved.audiences
    }
    assert {name for name, found in answers.items() if not found} == set()


def test_todays_rejects_are_counted_by_reason_without_those_made_good(
    answers: dict[tuple[str, str], Rows],
) -> None:
    found = answers["engineer", "rejects-of-today flights"]

    assert [(row["reason"], row["rejects"]) for row in found] == [
        ("malformed", "1"),
        ("range", "1"),
    ]
    assert found[1]["newest_payload"] == '{"note": "füßig"}'
    assert found[1]["newest_detail"] == "range!"


def test_lag_counts_deliveries_and_not_replays(answers: dict[tuple[str, str], Rows]) -> None:
    (hour,) = answers["engineer", "lag flights"]

    assert (hour["deliveries"], hour["rejects"], hour["most_seconds"]) == ("4", "3", "0")


def test_what_is_held_is_what_nobody_approved(answers: dict[tuple[str, str], Rows]) -> None:
    (held,) = answers["auditor", "held-loads"]
    assert held["dataset"] == "carrier_on_time"

    approved = {
        (row["dataset"], row["approved_by"]) for row in answers["auditor", "failed-and-approved"]
    }
    assert approved == {("flights", "ada"), ("carrier_on_time", None)}


def test_a_tables_freshness_is_since_it_last_passed(answers: dict[tuple[str, str], Rows]) -> None:
    found = {row["dataset"]: row for row in answers["engineer", "freshness"]}

    assert found["flights"]["hours_since_passed"] == "0"
    assert found["carrier_on_time"]["hours_since_passed"] is None


def test_figures_of_marts_are_shares_of_sums(answers: dict[tuple[str, str], Rows]) -> None:
    (carrier,) = answers["analyst", "carriers-on-time"]
    (weather,) = answers["analyst", "delays-by-weather"]
    (route,) = answers["analyst", "worst-routes"]

    assert float(cast(str, carrier["on_time_share"])) == 0.5
    assert float(cast(str, weather["delayed_share"])) == 0.25
    assert (route["flights"], route["worst_arr_delay"]) == ("120", "90.0")


def test_snapshots_say_how_many_rows_they_added(answers: dict[tuple[str, str], Rows]) -> None:
    (snapshot,) = answers["engineer", "snapshots route_punctuality"]
    assert (snapshot["added"], snapshot["deleted"], snapshot["total"]) == ("1", None, "1")


def test_the_quarantine_has_what_came_and_where_from(aws: Aws) -> None:
    found = rows(aws, "SELECT * FROM governance.quarantine_flights ORDER BY reason")

    assert [row["reason"] for row in found] == ["malformed", "range"]
    assert {row["load"] for row in found} == {"1"}
    assert {row["source"] for row in found} == {"shardId-000000000000"}
    arrived = datetime.fromisoformat(cast(str, found[0]["arrived_at"]))
    assert abs((arrived - NOW.replace(tzinfo=None)).total_seconds()) < 0.001
    assert found[0]["payload"]


def test_a_results_file_lies_below_its_audience(aws: Aws) -> None:
    rows(aws, "SELECT 1 AS one", "auditor")
    listed = boto3.client("s3").list_objects_v2(Bucket=aws.bucket("results"))["Contents"]

    assert {item["Key"].partition("/")[0] for item in listed} <= set(AUDIENCES)
    assert any(item["Key"].startswith("auditor/") for item in listed)
