"""The streaming job as a Glue run has it, in a session of its own, to be killed and started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from lakehouse.aws import Aws
from localaws import gluejob
from localaws.gluejob import Endpoints
from localaws.processes import Process


class Job:
    """One driver at a time; ``url`` is where it finds AWS."""

    def __init__(self, aws: Aws, folder: Path, url: str) -> None:
        self._aws = aws
        self._folder = folder
        self._endpoints = Endpoints(url, url, aws.prefix, aws.region)
        self._process: subprocess.Popen[bytes] | None = None
        # Who kills may be another thread than who starts again.
        self._lock = threading.Lock()
        self.starts = 0

    @property
    def log(self) -> Path:
        """What the driver prints."""
        return self._folder / f"{self.starts}.log"

    @property
    def last_line(self) -> str:
        """The driver's last word."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "nothing"

    @property
    def scratch(self) -> Path:
        """Where the driver keeps its temporary files, Spark's checkpoint among them."""
        return self._folder / "tmp"

    def start(self) -> None:
        """Start a driver, as Glue does: the deployed script, library and arguments."""
        self.starts += 1
        self.scratch.mkdir(exist_ok=True)
        run_id = f"jr_{os.getpid()}_{self._folder.name}_{self.starts}"
        job = self._aws.client("glue").get_job(JobName=self._aws.job("ingest-main"))["Job"]
        made = gluejob.command(
            job,
            gluejob.merged(job, {"--once": "false"}),
            self._folder / "run",
            run_id=run_id,
            endpoints=self._endpoints,
            fetch=self._fetch,
        )
        with self._lock, self.log.open("wb") as log:
            self._process = subprocess.Popen(
                made.arguments,
                env=made.env | {"TMPDIR": str(self.scratch)},
                cwd=self._folder / "run",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _fetch(self, uri: str, target: Path) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._aws.client("s3").download_file(bucket, key, str(target))

    def alive(self) -> bool:
        """Whether the driver runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of the JVM and every Python it has started, as a lost machine would."""
        with self._lock:
            if self._process is not None:
                # The JVM first, before it can do anything more.
                self._process.kill()
                self._kill(lambda _: True)
                self._process.wait()

    def kill_workers(self) -> None:
        """kill -9 of the Python workers and the daemons that fork them; the driver goes on."""
        with self._lock:
            self._kill(lambda process: "pyspark.daemon" in " ".join(process.cmdline()))

    def kill_source(self) -> None:
        """kill -9 of the Python process that plans for Spark; the driver goes on."""
        with self._lock:
            self._kill(
                lambda process: "python_streaming_source_runner" in " ".join(process.cmdline())
            )

    def end(self, grace: float = 60) -> str:
        """Ask the driver to end, as stopping a run does; what it has printed until then."""
        if self._process is not None and self.alive():
            Process.of(self._process.pid).end_session(grace)
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _kill(self, doomed: Callable[[psutil.Process], bool]) -> None:
        if self._process is None:
            return
        victims = []
        for process in _session(self._process.pid):
            with suppress(psutil.NoSuchProcess):
                if doomed(process):
                    victims.append(process)
        for process in victims:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs([v for v in victims if v.pid != self._process.pid], timeout=10)


def _session(leader: int) -> list[psutil.Process]:
    """The processes of a session; PySpark's daemons leave the group, not the session."""
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                members.append(process)
    return members
