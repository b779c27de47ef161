from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from demo import airflow
from lakehouse.errors import EstateError

SCRIPT = """
import os, pathlib, sys
home, *arguments = sys.argv[1:]
print(home, *arguments, os.environ["WHO"])
folder = pathlib.Path(home.removeprefix("--home="))
if arguments == ["run", "bad"]:
    print("task fetch failed")
    sys.exit(1)
if arguments == ["run", "long"]:
    os.mkfifo(folder / "gate")
    (folder / "gate").open().read()
"""


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> airflow.Airflow:
    script = tmp_path / "local.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(airflow, "_SCRIPT", script)
    return airflow.Airflow(Path(sys.executable), tmp_path / "home", {"WHO": "demo"})


def test_a_dag_runs_with_its_options_home_and_environment(real: airflow.Airflow) -> None:
    real.run("pull", "--conf", "{}")
    assert real.log.read_text() == f"--home={real.log.parent} run pull --conf {{}} demo\n"


def test_a_failed_dag_is_told_with_its_last_words_and_its_log(real: airflow.Airflow) -> None:
    with pytest.raises(EstateError, match="run bad with code 1: task fetch failed; its log is"):
        real.run("bad")


def test_without_airflow_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EstateError, match=r"no Airflow at .*--airflow-python"):
        airflow.Airflow(tmp_path / "python", tmp_path, {})


def test_closing_ends_what_runs_and_starts_nothing_more(real: airflow.Airflow) -> None:
    errors: list[str] = []

    def run() -> None:
        try:
            real.run("long")
        except EstateError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    # A pipe opens for writing once the child reads it.
    gate = real.log.parent / "gate"
    waiting = threading.Event()
    while not gate.exists():
        waiting.wait(0.01)
    with gate.open("w"):
        real.close()
    thread.join()
    assert "code -15" in errors[0]
    with pytest.raises(EstateError, match="was stopped"):
        real.run("pull")
