"""Runs the DAGs of ``orchestration/`` with the real Airflow, in its own environment."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from lakehouse.errors import EstateError

ROOT: Final = Path(__file__).resolve().parents[1]
_SCRIPT: Final = ROOT / "orchestration" / "local.py"
_GRACE: Final = 10.0
"""Seconds between asking Airflow to end and killing it."""


class Airflow:
    """Airflow on this machine; ``close`` ends what is still running."""

    def __init__(self, python: Path, home: Path, env: Mapping[str, str]) -> None:
        """``python`` is the interpreter of Airflow's environment, ``home`` keeps its database.

        Raises EstateError when there is no such interpreter.
        """
        if not python.exists():
            raise EstateError(
                f"no Airflow at {python}; make its environment with 'nox -s demo', or name its "
                "Python with --airflow-python"
            )
        self._python = python
        self._home = home
        self._env = {**os.environ, **env}
        self._running: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()
        self.log = home / "airflow.log"

    def prepare(self) -> None:
        """Make the database, which takes Airflow some seconds."""
        self._call("prepare")

    def run(self, dag: str, *options: str) -> None:
        """Run a DAG to its end; EstateError with its last words when a task fails."""
        self._call("run", dag, *options)

    def close(self) -> None:
        """End a run that is under way, and start no other."""
        with self._starting:
            self._closed = True
            running = self._running
        if running is not None and running.poll() is None:
            running.terminate()
            try:
                running.wait(_GRACE)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def _call(self, *arguments: str) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            start = log.tell()
            code = self._start(arguments, log).wait()
        if code:
            raise EstateError(
                f"Airflow ended {' '.join(arguments)} with code {code}: "
                f"{_last_line(self.log, start)}; its log is {self.log}"
            )

    def _start(self, arguments: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._closed:
                raise EstateError("Airflow was stopped before it was done")
            self._running = subprocess.Popen(  # noqa: S603 - the project's own script
                [str(self._python), str(_SCRIPT), f"--home={self._home}", *arguments],
                env=self._env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            return self._running


def _last_line(log: Path, start: int) -> str:
    said = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    return said[-1] if said else "it said nothing"
