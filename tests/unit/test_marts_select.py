"""The SELECT of a mart: its inputs, its reading at snapshots, its dialects."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from lakehouse.contracts.model import Contracts
from lakehouse.errors import ContractError
from lakehouse.marts.sql import inputs_of, pinned

MARTS = {path.stem: path.read_text(encoding="utf-8") for path in Path("jobs/marts").glob("*.sql")}


def test_every_mart_has_a_select_and_every_select_a_mart(contracts: Contracts) -> None:
    assert set(MARTS) == {c.dataset for c in contracts.select([], "mart")}


@pytest.mark.parametrize("mart", MARTS)
def test_a_select_is_one_for_athena_and_for_spark_and_gives_the_contracts_columns(
    contracts: Contracts, mart: str
) -> None:
    wanted = [field.name for field in contracts[mart].fields]
    for dialect in ("athena", "spark"):
        tree = sqlglot.parse_one(MARTS[mart], dialect=dialect)
        assert isinstance(tree, sqlglot.exp.Query)
        assert tree.named_selects == wanted


def test_inputs_are_the_tables_that_are_read_and_no_with_clause() -> None:
    assert inputs_of("carrier_on_time", MARTS["carrier_on_time"]) == (
        "silver.airlines",
        "silver.flights",
        "silver.planes",
    )
    assert inputs_of("delay_by_weather", MARTS["delay_by_weather"]) == (
        "silver.flights",
        "silver.weather",
    )


def test_every_input_is_read_at_its_snapshot_under_its_own_name() -> None:
    sql = (
        "SELECT f.a FROM silver.x AS f JOIN silver.y ON y.b = f.a "
        "WHERE f.a IN (SELECT a FROM silver.x)"
    )
    assert pinned("m", sql, {"silver.x": 11, "silver.y": 22}) == (
        "SELECT f.a FROM lake.silver.x VERSION AS OF 11 AS f "
        "JOIN lake.silver.y VERSION AS OF 22 AS y ON y.b = f.a "
        "WHERE f.a IN (SELECT a FROM lake.silver.x VERSION AS OF 11 AS x)"
    )


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 1 AS a", "reads no table"),
        ("SELECT a FROM flights", "reads 'flights'|reads '.flights'"),
        ("SELECT a FROM bronze.flights", "reads 'bronze.flights'"),
        ("SELECT a FROM other.silver.flights", "reads 'other.silver.flights'"),
        ("DELETE FROM silver.flights", "expected one SELECT"),
        ("SELECT a FROM silver.x; SELECT b FROM silver.y", "expected one SELECT"),
        ("SELECT a FRM silver.x", r"not Athena.s SQL: line 1, column 19: .* near .silver."),
    ],
)
def test_anything_but_one_select_over_the_lake_is_refused(sql: str, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        inputs_of("m", sql)
