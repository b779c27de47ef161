"""The history of the gates, as Athena's clients read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import boto3
import pytest

from lakehouse.aws import Aws
from lakehouse.cli.query import query
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import Check, Verdict, put_approval, put_verdict, read_verdicts
from localaws.local import LocalEstate
from tests.support.verdicts import ATTACK, drift_check, gold, range_check, sample, silver

PLAIN = (
    "layer", "snapshot_id", "base_snapshot_id", "run_id", "contract_version", "checked_at",
    "passed", "reason", "code", "rows", "rows_added", "scope",
)  # fmt: skip


class Client:
    """Asks the estate's Athena."""

    def __init__(self, prefix: str) -> None:
        self.aws = Aws.from_env(prefix)

    def rows(self, statement: str) -> list[dict[str, str | None]]:
        answer = query(self.aws, statement, 10_000)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def written(self) -> list[Verdict]:
        return read_verdicts(self.aws, "flights") + read_verdicts(self.aws, "carrier_on_time")


@pytest.fixture(scope="module")
def empty(local_estate: LocalEstate) -> Client:
    return Client(local_estate.prefix)


@pytest.fixture(scope="module")
def before(empty: Client) -> list[list[dict[str, str | None]]]:
    """What the tables say while nothing was ever checked."""
    tables = ("verdicts", "checks", "approvals")
    return [empty.rows(f"SELECT * FROM governance.{table}") for table in tables]


@pytest.fixture(scope="module")
def client(empty: Client, before: list[Any]) -> Client:
    assert before is not None
    for verdict in (
        silver(1),
        silver(2, range_check(2, sample(2, delay="-9", name=None), sample(3, name=ATTACK))),
        silver(3, drift_check(None, 9.5, 10.5, "not_evaluated"), range_check(0)),
        silver(4, loads=(4, 5, 6), checks=(), passed=False, reason="error: 'no' \"such\" column"),
        gold(5, drift_check(10.25, 9.5, 10.5, "warn")),
    ):
        put_verdict(empty.aws, verdict)
    put_approval(
        empty.aws, Approval("flights", silver(2).snapshot_id, "ada", "a known outage", "2026-01-02")
    )
    boto3.client("s3").put_object(
        Bucket=empty.aws.bucket("verdicts"), Key="reports/flights/index.html", Body=b"<html>"
    )
    return empty


def test_nothing_was_checked_yet(before: list[Any]) -> None:
    assert before == [[], [], []]


def test_every_verdict_is_a_row_with_the_values_that_were_written(client: Client) -> None:
    found = client.rows("SELECT * FROM governance.verdicts ORDER BY checked_at")

    def text(value: object) -> str | None:
        return (
            str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
        )

    expected = [
        {"dataset": v.dataset, **{name: text(getattr(v, name)) for name in PLAIN}}
        for v in client.written()
    ]
    assert [{name: row[name] for name in ("dataset", *PLAIN)} for row in found] == expected
    assert len(expected) == 5
    assert found[3]["loads"] == "[4, 5, 6]"
    assert found[0]["touched"] == "{field=at, ranges=[[2013-01-01, 2013-01-03]]}"
    assert found[1]["touched"] is None
    assert found[4]["inputs"] == "{silver.flights=82, silver.airlines=5}"
    assert found[0]["inputs"] == "{}"


def test_the_types_are_those_of_the_contract_not_of_what_lies_there(client: Client) -> None:
    answer = query(client.aws, "SELECT * FROM governance.verdicts WHERE passed", 10)
    kinds = dict(zip(answer.columns, answer.types, strict=True))
    assert kinds["snapshot_id"] == kinds["rows"] == "bigint"
    assert kinds["checks"] == kinds["loads"] == kinds["counts"] == "array"
    assert (kinds["inputs"], kinds["touched"]) == ("map", "row")


def test_every_check_is_a_row(client: Client) -> None:
    found = client.rows(
        """
        SELECT v.dataset, v.snapshot_id, c[1].name AS name, c[1].type AS type,
               c[1]."column" AS col, c[1].outcome AS outcome, c[1].value AS value,
               c[1].threshold AS threshold, cardinality(c[1].samples) AS samples
        FROM governance.verdicts v CROSS JOIN UNNEST(transform(checks, x -> ARRAY[x])) AS t(c)
        ORDER BY v.checked_at, c[1].name
        """
    )

    def row(verdict: Verdict, check: Check) -> dict[str, str | None]:
        return {
            "dataset": verdict.dataset,
            "snapshot_id": str(verdict.snapshot_id),
            "name": check.name,
            "type": check.type,
            "col": check.column,
            "outcome": check.outcome,
            "value": None if check.value is None else str(check.value),
            "threshold": check.threshold,
            "samples": str(len(check.samples)),
        }

    expected = [row(v, c) for v in client.written() for c in sorted(v.checks, key=lambda c: c.name)]
    assert found == expected
    assert len(found) == 5


def test_the_view_has_the_history_of_each_check(client: Client) -> None:
    found = client.rows(
        "SELECT * FROM governance.checks WHERE dataset = 'flights' AND type = 'failed_rows' "
        "ORDER BY checked_at"
    )
    assert [(row["value"], row["outcome"], row["samples"]) for row in found] == [
        ("2.0", "fail", "2"),
        ("0.0", "pass", "0"),
    ]
    assert [datetime.fromisoformat(cast(str, row["checked_at"])) for row in found] == [
        datetime.fromisoformat(silver(n).checked_at).replace(tzinfo=None) for n in (2, 3)
    ]
    (column,) = client.rows(
        "SELECT DISTINCT \"column\" AS c FROM governance.checks WHERE type = 'row_count'"
    )
    assert column == {"c": None}


def test_sample_rows_lead_to_their_deliveries(client: Client) -> None:
    found = client.rows(
        """
        SELECT s[1].load AS load, s[1].source AS source, s[1].sequence AS sequence,
               s[1].index AS index, s[1]."values"['id'] AS id, s[1]."values"['name'] AS name
        FROM governance.verdicts CROSS JOIN UNNEST(transform(checks, x -> ARRAY[x])) AS t(c)
        CROSS JOIN UNNEST(transform(c[1].samples, x -> ARRAY[x])) AS u(s)
        ORDER BY s[1].load
        """
    )
    shard = "shardId-000000000000"
    assert found == [
        {"load": "2", "source": shard, "sequence": "49602", "index": "0", "id": "2", "name": None},
        {
            "load": "3",
            "source": shard,
            "sequence": "49603",
            "index": "1",
            "id": "3",
            "name": ATTACK,
        },
    ]


def test_rejects_by_reason_of_each_load(client: Client) -> None:
    found = client.rows(
        """
        SELECT l[1].load AS load, l[1].good AS good, r.code, r.n
        FROM governance.verdicts CROSS JOIN UNNEST(transform(counts, x -> ARRAY[x])) AS t(l)
        CROSS JOIN UNNEST(l[1].rejected) AS r(code, n)
        ORDER BY l[1].load, r.code
        """
    )
    assert [tuple(row.values()) for row in found] == [
        (str(counts.load), str(counts.good), code, str(n))
        for verdict in client.written()
        for counts in verdict.counts
        for code, n in sorted(counts.rejected.items())
    ]
    assert len(found) == 4


def test_a_filter_on_the_dataset_leaves_the_others_out(client: Client) -> None:
    asked = "SELECT dataset, count(*) AS n FROM governance.verdicts WHERE dataset = '{}' GROUP BY 1"
    assert client.rows(asked.format("flights")) == [{"dataset": "flights", "n": "4"}]
    assert client.rows(asked.format("airlines")) == []
    assert client.rows(asked.format("nowhere")) == []


def test_approvals_join_their_verdicts(client: Client) -> None:
    assert client.rows(
        """
        SELECT a.dataset, a."by", a.reason, v.passed
        FROM governance.approvals a
        JOIN governance.verdicts v ON v.dataset = a.dataset AND v.snapshot_id = a.snapshot_id
        """
    ) == [{"dataset": "flights", "by": "ada", "reason": "a known outage", "passed": "false"}]


def test_counting_over_nulls_alone_counts_none(client: Client) -> None:
    assert client.rows(
        "SELECT count_if(value > 0) AS n FROM governance.checks WHERE value IS NULL"
    ) == [{"n": "0"}]
