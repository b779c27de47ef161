"""The whole demo, as a newcomer runs it, and what it leaves for other clients."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from pyiceberg.catalog import load_catalog
from typer.testing import CliRunner

from lakehouse.aws import Aws
from lakehouse.cli import app
from lakehouse.query import query
from localaws import local
from localaws.local import LocalEstate

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(os.environ.get("LAKEHOUSE_AIRFLOW_PYTHON", ROOT / ".nox/airflow/bin/python"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo of one month that has run to its end, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [sys.executable, "-m", "demo", "--months=1", f"--airflow-python={AIRFLOW}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return folder, ran.stdout


@pytest.fixture(scope="module")
def estate(finished: tuple[Path, str]) -> Iterator[LocalEstate]:
    """The demo's estate, up again with the data of that run."""
    home = finished[0] / ".lakehouse" / "demo"
    found = local.up(home, ROOT / "quality" / "contracts", print, owner_pid=os.getpid())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.env.items():
            patch.setenv(name, value)
        yield found
    local.down(home)


@pytest.mark.timeout(620)
def test_every_figure_agrees_and_the_page_says_so(finished: tuple[Path, str]) -> None:
    folder, said = finished
    page = (folder / ".lakehouse" / "demo" / "report.html").read_text()
    agreed = re.search(r"All (\d+) figures equal those of pandas", said)
    assert agreed is not None
    assert int(agreed[1]) > 30
    assert agreed[0] in page
    assert "weather load 0 set aside: dew point above temperature" in said
    assert "dew point above temperature" in page


def test_nothing_of_it_runs_on(finished: tuple[Path, str]) -> None:
    home = str(finished[0])
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if home in " ".join(process.info["cmdline"] or [])
    ]
    assert left == []


def test_boto3_asks_athena_for_gold(estate: LocalEstate) -> None:
    athena = boto3.client("athena")
    started = athena.start_query_execution(
        QueryString="SELECT count(*) AS days, sum(flights) AS flights FROM gold.route_punctuality "
        "WHERE date_trunc('month', flight_date) = DATE '2013-01-01'",
        WorkGroup=estate.prefix,
    )
    answer = query(Aws.from_env(estate.prefix), "SELECT sum(flights) FROM gold.carrier_on_time", 1)
    execution_id = started["QueryExecutionId"]
    while athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]["Status"][
        "State"
    ] in {"QUEUED", "RUNNING"}:
        pass
    rows = athena.get_query_results(QueryExecutionId=execution_id)["ResultSet"]["Rows"]
    header, found = ([cell["VarCharValue"] for cell in row["Data"]] for row in rows)
    assert header == ["days", "flights"]
    assert found[1] == answer.rows[0][0]
    assert int(found[1]) > 26_000


def test_pyiceberg_reads_gold_from_the_printed_endpoints(estate: LocalEstate) -> None:
    catalog = load_catalog(
        "lake",
        **{
            "type": "glue",
            "glue.endpoint": estate.env["AWS_ENDPOINT_URL_GLUE"],
            "s3.endpoint": estate.env["AWS_ENDPOINT_URL"],
            "s3.path-style-access": "true",
        },
    )
    rows = catalog.load_table("gold.delay_by_weather").scan().to_arrow()
    assert rows.num_rows > 5
    assert set(rows["conditions"].to_pylist()) <= {
        "clear", "rain", "low visibility", "strong wind", "not observed",
    }  # fmt: skip


def test_the_command_line_shows_how_each_dataset_stands(
    estate: LocalEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    shown = CliRunner().invoke(app, ["--prefix", estate.prefix, "status"])
    assert shown.exit_code == 0, shown.output
    assert "route_punctuality" in shown.output
    assert "set aside" in shown.output
