"""Athena's SQL in DuckDB's words."""

from __future__ import annotations

import duckdb
import pytest

from lakehouse.errors import InputError
from localaws.dialect import TableRead, plan, strftime_pattern


def test_a_table_is_looked_up_in_the_database_that_is_meant() -> None:
    planned = plan("SELECT a.x, silver.b.y FROM Flights a JOIN silver.b ON a.x = b.x", "gold")
    assert planned.reads == (TableRead("gold", "flights"), TableRead("silver", "b"))
    assert planned.sql == (
        'SELECT a.x, b.y FROM "gold"."flights" AS a JOIN "silver"."b" AS "b" ON a.x = b.x'
    )


def test_a_name_that_with_defines_is_no_table() -> None:
    planned = plan("WITH flights AS (SELECT * FROM flights) SELECT * FROM flights", "silver")
    assert planned.reads == (TableRead("silver", "flights"),)
    assert planned.sql == (
        'WITH flights AS (SELECT * FROM "silver"."flights" AS "flights") SELECT * FROM flights'
    )


def test_tables_in_unions_and_subqueries_are_found() -> None:
    planned = plan("SELECT (SELECT max(x) FROM b) FROM a UNION ALL SELECT x FROM gold.c", "silver")
    assert {(read.database, read.table) for read in planned.reads} == {
        ("silver", "a"),
        ("silver", "b"),
        ("gold", "c"),
    }


def test_the_same_table_at_two_times_is_two_views() -> None:
    planned = plan(
        "SELECT * FROM t FOR VERSION AS OF 7 old, t FOR TIMESTAMP AS OF now() new, t", "silver"
    )
    assert [(read.travel, read.at) for read in planned.reads] == [
        ("version", "7"),
        ("timestamp", "CURRENT_TIMESTAMP"),
        ("", ""),
    ]
    assert len({read.view for read in planned.reads}) == 3


def test_a_metadata_table_is_told_from_its_table() -> None:
    (read,) = plan('SELECT * FROM "silver"."flights$snapshots"', "").reads
    assert (read.table, read.metadata) == ("flights", "snapshots")


@pytest.mark.parametrize(
    ("athena", "duckdb"),
    [
        ("date_diff('hour', a, b)", "DATE_SUB('hour', a, b)"),
        ("format_datetime(a, 'yyyy-MM-dd')", "STRFTIME(a, '%Y-%m-%d')"),
        ("parse_datetime(a, 'HH:mm')", "STRPTIME(a, '%H:%M')"),
        ("at_timezone(a, 'UTC')", "(a AT TIME ZONE 'UTC')"),
        ("json_extract_scalar(a, '$.b')", "a ->> '$.b'"),
        ("approx_percentile(a, 0.5)", "APPROX_QUANTILE(a, 0.5)"),
        ("max_by(a, b)", "ARG_MAX(a, b)"),
        ("count_if(a)", "COUNT(CASE WHEN a THEN 1 END)"),
        (
            "count_if(a) OVER (PARTITION BY b)",
            "COUNT(CASE WHEN a THEN 1 END) OVER (PARTITION BY b)",
        ),
    ],
)
def test_functions_are_renamed(athena: str, duckdb: str) -> None:
    assert plan(f"SELECT {athena}", "").sql == f"SELECT {duckdb}"


@pytest.mark.parametrize(
    ("athena", "rows"),
    [
        ("SELECT count_if(a > 1) FROM (VALUES (CAST(NULL AS integer))) t(a)", [(0,)]),
        (
            """SELECT c[1].name FROM t
            CROSS JOIN UNNEST(transform(checks, x -> ARRAY[x])) AS u(c) ORDER BY 1""",
            [("a",), ("b",)],
        ),
        (
            """SELECT c[1].name FROM t, UNNEST(transform(t.checks, x -> ARRAY[x])) u(c)
            WHERE c[1].name = 'b'""",
            [("b",)],
        ),
        (
            """SELECT c[1].name, k, u.n FROM t
            CROSS JOIN UNNEST(transform(checks, x -> ARRAY[x])) x(c)
            CROSS JOIN UNNEST(c[1].counts) AS u(k, n) ORDER BY n""",
            [("a", "range", 1), ("a", "type", 2)],
        ),
        (
            """SELECT c[1].name, n FROM t
            CROSS JOIN UNNEST(transform(checks, x -> ARRAY[x])) WITH ORDINALITY AS u(c, n)
            ORDER BY n DESC""",
            [("b", 2), ("a", 1)],
        ),
        ("SELECT from_utf8(CAST('ab' AS varbinary))", [("ab",)]),
        ("SELECT from_utf8(from_hex('FF6162'))", [("\\xFFab",)]),
    ],
)
def test_nested_values_and_counts_are_those_of_athena(
    athena: str, rows: list[tuple[object, ...]]
) -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT [{'name': 'a', "
        "'counts': MAP {'range': 1, 'type': 2}}, {'name': 'b', 'counts': MAP {}}] AS checks"
    )
    assert connection.execute(plan(athena, "s").sql).fetchall() == rows


@pytest.mark.parametrize(
    ("joda", "strftime"),
    [("yyyy-MM-dd''T''HH:mm:ss", "%Y-%m-%d'T'%H:%M:%S"), ("dd 'of' MMMM", "%d of %B"),
     ("100%", "100%%")],
)  # fmt: skip
def test_patterns_are_translated(joda: str, strftime: str) -> None:
    assert strftime_pattern(joda) == strftime


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE t", "DROP is not supported"),
        ("EXPLAIN SELECT 1", "EXPLAIN is not supported"),
        ("", "An empty statement is not supported"),
        ("SELECT 'a", "cannot be read"),
        ("SELECT FROM t WHERE", "line 1"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
        ("SELECT * FROM t", "Schema must be specified"),
        ("SELECT * FROM other.silver.t", "Catalog 'other' does not exist"),
        ('SELECT * FROM silver."t$unknown"', r"'\$unknown' is not supported"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_reason(statement: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        plan(statement, "")
