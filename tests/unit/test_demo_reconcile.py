from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from demo import reconcile
from demo.expect import Deliveries

EXPECTED = pd.DataFrame(
    {
        "day": [dt.date(2013, 1, 1), dt.date(2013, 1, 2)],
        "origin": ["EWR", "JFK"],
        "flights": [3, 4],
        "mean": [1 / 3, None],
        "at": pd.to_datetime(["2013-01-01T10:15:00Z", None], utc=True),
    }
)
KEY = ("day", "origin")


def platform(**changes: Any) -> pd.DataFrame:
    """What a client gives: rows in another order, dates as text, whole numbers as float."""
    frame = pd.DataFrame(
        {
            "origin": ["JFK", "EWR"],
            "day": ["2013-01-02", "2013-01-01"],
            "flights": [4.0, 3.0],
            "mean": [None, 0.333333333333333],
            "at": pd.to_datetime([None, "2013-01-01T11:15:00+01:00"], utc=True),
        }
    )
    return frame.assign(**changes)


def compare(rows: pd.DataFrame) -> reconcile.Figure:
    return reconcile.compare_rows("gold.x", rows, EXPECTED, KEY)


def test_the_same_rows_are_equal_whatever_their_order_and_types() -> None:
    figure = compare(platform())
    assert figure == ("gold.x", 2, 2, ())
    assert figure.equal


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flights": [4, 2]}, "day 2013-01-01, origin EWR: flights is 2.0, pandas has 3.0"),
        ({"mean": [None, 0.33333333]}, "mean is 0.33333333"),
        ({"mean": [0.0, 1 / 3]}, "origin JFK: mean is 0.0, pandas has nan"),
        ({"mean": [None, None]}, "origin EWR: mean is None, pandas has 0.33"),
        ({"at": pd.to_datetime([None, "2013-01-01T10:15:01Z"], utc=True)}, "origin EWR: at is"),
        ({"origin": ["JFK", "LGA"]}, "unexpected: day 2013-01-01, origin LGA"),
    ],
)
def test_a_planted_difference_is_found_and_shown(changes: dict[str, Any], words: str) -> None:
    figure = compare(platform(**changes))
    assert not figure.equal
    assert any(words in sample for sample in figure.samples)


def test_a_row_that_is_absent_or_there_twice_is_found() -> None:
    absent = compare(platform()[:1])
    assert absent.samples == ("absent: day 2013-01-01, origin EWR",)
    twice = compare(pd.concat([platform(), platform()[:1]]))
    assert twice.samples == ("twice: day 2013-01-02, origin JFK",)
    assert not absent.equal
    assert not twice.equal


def bronze(codes: list[str | None], sequences: list[str]) -> pa.Table:
    rejects = [None if code is None else {"code": code, "detail": ""} for code in codes]
    kind = pa.struct([("code", pa.string()), ("detail", pa.string())])
    return pa.table(
        {
            "_source": ["shard"] * len(codes),
            "_sequence": sequences,
            "_index": [0] * len(codes),
            "_reject": pa.array(rejects, kind),
        }
    )


def test_bronze_counts_by_reason() -> None:
    table = bronze([None, None, "enum", "malformed"], ["1", "2", "3", "4"])
    figures = list(reconcile.compare_bronze("x", table, Deliveries(2, {"enum": 1, "malformed": 1})))
    assert [figure.platform for figure in figures] == [4, 4, 2, 1, 1]
    assert all(figure.equal for figure in figures)


def test_a_delivery_that_is_in_bronze_twice_is_found() -> None:
    figures = reconcile.compare_bronze("x", bronze([None, None], ["1", "1"]), Deliveries(2, {}))
    assert [f.name for f in figures if not f.equal] == ["bronze.x: distinct positions"]


def test_a_reason_that_only_one_side_knows_is_found() -> None:
    table = bronze([None, "type"], ["1", "2"])
    figures = reconcile.compare_bronze("x", table, Deliveries(1, {"range": 1}))
    assert [(f.name, f.platform, f.pandas) for f in figures if not f.equal] == [
        ("bronze.x: rejected, range", 0, 1),
        ("bronze.x: rejected, type", 1, 0),
    ]


class FakeAthena:
    def __init__(self, states: list[dict[str, str]]) -> None:
        self.states = states
        self.asked: dict[str, str] = {}

    def start_query_execution(self, **asked: str) -> dict[str, str]:
        self.asked = asked
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, **_: str) -> dict[str, Any]:
        return {"QueryExecution": {"Status": self.states.pop(0)}}

    def get_paginator(self, _: str) -> FakeAthena:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        info = [{"Name": "origin", "Type": "varchar"}, {"Name": "flights", "Type": "bigint"}]
        data = [["origin", "flights"], ["EWR", "3"], ["JFK", None]]
        pages = [data[:2], data[2:]]
        return [
            {
                "ResultSet": {
                    "ResultSetMetadata": {"ColumnInfo": info},
                    "Rows": [
                        {"Data": [{} if v is None else {"VarCharValue": v} for v in row]}
                        for row in page
                    ],
                }
            }
            for page in pages
        ]


class FakeAws:
    prefix = "lakehouse-local"

    def __init__(self, client: FakeAthena) -> None:
        self._client = client

    def client(self, _: str) -> FakeAthena:
        return self._client


def test_a_result_of_athena_has_its_types_and_all_its_pages() -> None:
    client = FakeAthena([{"State": "RUNNING"}, {"State": "SUCCEEDED"}])
    aws: Any = FakeAws(client)
    frame = reconcile.athena(aws, "SELECT 1")
    assert client.asked == {"QueryString": "SELECT 1", "WorkGroup": "lakehouse-local-engineer"}
    assert frame["origin"].tolist() == ["EWR", "JFK"]
    assert frame["flights"].isna().tolist() == [False, True]
    assert frame["flights"][0] == 3


def test_a_failed_query_says_why() -> None:
    failed = {"State": "FAILED", "StateChangeReason": "no such table"}
    aws: Any = FakeAws(FakeAthena([failed]))
    with pytest.raises(reconcile.EstateError, match="no such table"):
        reconcile.athena(aws, "SELECT 1")
