"""What a SELECT may not say because Athena and Spark do not understand it alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.contracts.model import Contracts
from lakehouse.errors import ContractError
from lakehouse.marts.dialect import check_dialect
from lakehouse.marts.sql import check_select, parse

TYPES = {"n": "integer", "x": "number", "s": "string", "d": "date", "t": "timestamp"}
MARTS = {path.stem: path.read_text(encoding="utf-8") for path in Path("jobs/marts").glob("*.sql")}


def check(expression: str) -> None:
    sql = f"SELECT {expression} AS a\nFROM silver.x"
    check_dialect("m", sql, parse("m", sql), TYPES)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sum(n) / count(*)", "column 8: the division of integers is whole in Athena"),
        ("unknown / 2", "division"),
        ("CAST(x AS bigint)", "rounds in Athena and cuts off in Spark"),
        ("CAST(x AS varchar)", "written otherwise"),
        ("CAST(t AS varchar)", "written otherwise"),
        ("greatest(n, x)", "column 8: greatest is null with any null in Athena"),
        ("least(n, x)", "least"),
        ("array_agg(n)", "keeps nulls in Athena"),
        ("day_of_week(d)", "from Monday in Athena"),
        ("extract(dow FROM d)", "from Monday in Athena"),
        ("approx_distinct(n)", r"count\(DISTINCT x\)"),
        ("arbitrary(s)", "takes any row"),
        ("now()", "another mart each time"),
        ("current_date", "another mart each time"),
        ("rand()", "another mart each time"),
        ("date_add('day', 1, t)", "drops the time of day"),
        ("t AT TIME ZONE 'America/New_York'", "another instant"),
        ("nvl(n, 0)", r"Athena has no such nvl\(\); write coalesce"),
        ("datediff(d, d)", "date_diff"),
        ("instr(s, 'x')", "strpos"),
        ("xxhash(s)", r"xxhash\(\) is not known to be the same"),
    ],
)
def test_a_trap_is_refused_with_advice(expression: str, told: str) -> None:
    with pytest.raises(ContractError, match=f"line 1, .*{told}"):
        check(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "CAST(sum(n) AS double) / count(*)",
        "avg(x) / 60",
        "x / nullif(count(n), 0)",
        "CAST(n AS varchar) || s",
        "CAST(s AS bigint)",
        "count_if(n > 1)",
        "date_diff('day', d, d)",
        "date_add('day', 1, d)",
        "t + INTERVAL '1' DAY",
        "CAST(t AT TIME ZONE 'America/New_York' AS date)",
        "CAST(date_trunc('month', d) AS date)",
        "coalesce(max(s), 'nvl(x)')",
        "max_by(s, t)",
    ],
)
def test_what_both_understand_alike_goes_through(expression: str) -> None:
    check(expression)


def test_all_traps_are_told_at_once_with_line_and_column() -> None:
    sql = "SELECT\n    greatest(n, 1) AS a,\n    nvl(s, '') AS b\nFROM silver.x"
    with pytest.raises(ContractError) as told:
        check_dialect("m", sql, parse("m", sql), TYPES)
    assert "line 2, column 5: greatest" in str(told.value)
    assert "line 3, column 5: Athena has no such nvl" in str(told.value)


@pytest.mark.parametrize("mart", MARTS)
def test_the_marts_of_the_repository_have_none(contracts: Contracts, mart: str) -> None:
    check_select(mart, MARTS[mart], contracts[mart], contracts)
