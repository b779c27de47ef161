"""The demo as a person runs it: to its end, and broken off in the middle."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import psutil
import pytest
from pyiceberg.catalog import load_catalog

from localaws import local
from localaws.local import LocalEstate
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(
    os.environ.get("LAKEHOUSE_AIRFLOW_PYTHON") or ROOT / ".nox" / "airflow" / "bin" / "python"
)
needs_airflow = pytest.mark.skipif(
    not AIRFLOW.exists(), reason="nox makes Airflow's environment and names it"
)


def environment() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LAKEHOUSE_"))}
    return env | {"LAKEHOUSE_AIRFLOW_PYTHON": str(AIRFLOW), "PYTHONUNBUFFERED": "1"}


@contextmanager
def demo(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A demo of one month that runs in this folder, and the file of what it says."""
    said = folder / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--months", "1"],
            cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process, said
    finally:
        process.kill()
        process.wait()


def processes_in(folder: Path) -> list[str]:
    """Commands of the processes that work in a folder or name it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            command = " ".join(process.cmdline())
            if str(folder) in command or process.cwd().startswith(str(folder)):
                found.append(command)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that ran to its end, and what it said."""
    folder = tmp_path_factory.mktemp("finished")
    with demo(folder) as (process, said):
        code = process.wait()
    assert code == 0, said.read_text()
    return folder, said.read_text()


@pytest.fixture(scope="module")
def estate(finished: tuple[Path, str]) -> Iterator[LocalEstate]:
    """The finished demo's estate, up again with the data of that run."""
    home = finished[0] / ".lakehouse" / "demo"
    found = local.up(home, ROOT / "quality" / "contracts", print, owner_pid=os.getpid())
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in found.env.items():
                patch.setenv(name, value)
            yield found
    finally:
        local.down(home)


@needs_airflow
@pytest.mark.timeout(600)
def test_every_figure_agrees_and_nothing_is_left_running(finished: tuple[Path, str]) -> None:
    folder, text = finished
    page = (folder / ".lakehouse" / "demo" / "report.html").read_text()
    agreed = re.search(r"All (\d+) figures equal those of pandas", text)
    assert agreed is not None, text
    assert int(agreed[1]) > 30
    assert agreed[0] in page
    assert "weather load 0 set aside: dew point above temperature" in text
    assert not processes_in(folder)


@needs_airflow
def test_boto3_asks_athena_for_gold(estate: LocalEstate) -> None:
    athena = boto3.client("athena")
    started = athena.start_query_execution(
        QueryString="SELECT count(*) AS days, sum(flights) AS flights FROM gold.route_punctuality "
        "WHERE date_trunc('month', flight_date) = DATE '2013-01-01'",
        WorkGroup=f"{estate.prefix}-analyst",
    )["QueryExecutionId"]

    def state() -> str:
        answer = athena.get_query_execution(QueryExecutionId=started)
        return answer["QueryExecution"]["Status"]["State"]

    wait_for(lambda: state() not in {"QUEUED", "RUNNING"}, 60)
    assert state() == "SUCCEEDED"
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    header, found = ([cell["VarCharValue"] for cell in row["Data"]] for row in rows)
    assert header == ["days", "flights"]
    assert int(found[1]) > 26_000


@needs_airflow
def test_pyiceberg_reads_gold_at_the_printed_endpoints(estate: LocalEstate) -> None:
    catalog = load_catalog(
        "lake",
        **{
            "type": "glue",
            "glue.endpoint": estate.env["AWS_ENDPOINT_URL_GLUE"],
            "s3.endpoint": estate.env["AWS_ENDPOINT_URL"],
        },
    )
    rows = catalog.load_table("gold.delay_by_weather").scan().to_arrow()
    assert rows.num_rows > 5
    assert sum(rows["flights"].to_pylist()) > 26_000


@needs_airflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_it_leaves_nothing_running(tmp_path: Path, how: signal.Signals) -> None:
    with demo(tmp_path) as (process, said):
        # Producer, streaming job and Airflow are at work.
        wait_for(lambda: process.poll() is not None or b"20,000 of" in said.read_bytes(), 120)
        wait_for(lambda: any("orchestration/local.py" in c for c in processes_in(tmp_path)), 60)
        second = subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stdout.startswith("error: a demo is running in")
        assert len(second.stdout.splitlines()) == 1

        process.send_signal(how)
        assert process.wait(90) != 0
        wait_for(lambda: not processes_in(tmp_path), 60)
    assert "Traceback" not in said.read_text()
