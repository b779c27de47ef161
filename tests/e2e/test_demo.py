"""The demo as a person runs it: to its end, and broken off in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

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


@needs_airflow
@pytest.mark.timeout(600)
def test_every_figure_agrees_and_nothing_is_left_running(tmp_path: Path) -> None:
    with demo(tmp_path) as (process, said):
        code = process.wait()
    text = said.read_text()
    assert code == 0, text
    assert "weather load 0 set aside: dew point above temperature" in text
    assert "All 36 figures agree with pandas." in text
    page = (tmp_path / ".lakehouse" / "demo" / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert not processes_in(tmp_path)


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
