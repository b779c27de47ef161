"""Values, types, errors and arguments in the spelling of AWS."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localaws.athenatext import athena_type, csv_text, duckdb_type, text
from localaws.gluejob import confs, merged
from localaws.gluelog import error_message
from localaws.protocol import ServiceError, page


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, "true"),
        (1.0, "1.0"),
        (0.0, "0.0"),
        (12345678.5, "1.23456785E7"),
        (1e10, "1.0E10"),
        (0.0001, "1.0E-4"),
        (float("nan"), "NaN"),
        (Decimal("1.50"), "1.50"),
        (date(2013, 1, 1), "2013-01-01"),
        (datetime(2013, 1, 1, 5, 0, 0, 1000, UTC).replace(tzinfo=None), "2013-01-01 05:00:00.001"),
        (datetime(2013, 1, 1, tzinfo=UTC), "2013-01-01 00:00:00.000000 UTC"),
        (b"Hi", "48 69"),
        ([1, None, "a"], "[1, null, a]"),
        ({"a": {"b": False}}, "{a={b=false}}"),
        (timedelta(days=1, hours=2), "1 02:00:00.000"),
    ],
)
def test_values_are_written_as_athena_writes_them(value: Any, written: str | None) -> None:
    assert text(value) == written


@pytest.mark.parametrize(
    ("duckdb", "athena"),
    [("VARCHAR", "varchar"), ("HUGEINT", "bigint"), ("DECIMAL(10,2)", "decimal"),
     ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"), ("BIGINT[]", "array"),
     ("STRUCT(a BIGINT)", "row"), ("MAP(VARCHAR, BIGINT)", "map")],
)  # fmt: skip
def test_types_have_athenas_names(duckdb: str, athena: str) -> None:
    assert athena_type(duckdb) == athena


def test_nested_catalog_types_become_duckdbs() -> None:
    hive = "array<struct<name:string,limits:map<string,array<double>>>>"
    assert duckdb_type(hive) == 'STRUCT("name" VARCHAR, "limits" MAP(VARCHAR, DOUBLE[]))[]'


def test_a_null_and_an_empty_text_differ_in_the_result_file() -> None:
    assert csv_text(["a", "b"], [[None, 'x"y'], ["", "z"]]) == '"a","b"\n,"x""y"\n"","z"\n'


def test_the_one_conf_argument_holds_many() -> None:
    assert confs("a=1 --conf b=x y --conf  c=--flag") == ["a=1", "b=x y", "c=--flag"]
    assert confs("") == []


def test_a_run_overrides_defaults_but_not_what_is_fixed() -> None:
    job = {
        "DefaultArguments": {"--a": "default", "--b": "default"},
        "NonOverridableArguments": {"--c": "fixed"},
    }
    given = {"--b": "run", "--c": "run"}
    assert merged(job, given) == {"--a": "default", "--b": "run", "--c": "fixed"}


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("", ""),
        ("starting\nno module x\n", "no module x"),
        ("Traceback:\nlakehouse.errors.GateError: 2 failed\nINFO bye\n",
         "lakehouse.errors.GateError: 2 failed"),
        ("Py4JJavaError: An error occurred while calling o1.save.\n: a.B: aborted\n\tat x.y\n",
         "Py4JJavaError: An error occurred while calling o1.save. a.B: aborted"),
        ("ValueError: first\n\nDuring handling...\nKeyError: 'last'\n", "KeyError: 'last'"),
    ],
)  # fmt: skip
def test_the_last_error_of_a_log_is_the_runs(tmp_path: Path, log: str, message: str) -> None:
    path = tmp_path / "run.log"
    path.write_text(log)
    assert error_message(path) == message


def test_pages_follow_each_other_to_the_end() -> None:
    first, token = page([1, 2, 3], None, 2)
    second, end = page([1, 2, 3], token, 2)
    assert (first, second, end) == ([1, 2], [3], None)
    with pytest.raises(ServiceError, match="NextToken 'x'"):
        page([], "x", 2)
