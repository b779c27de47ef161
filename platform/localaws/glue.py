"""Glue's job-run calls, answered by running the job with spark-submit."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
import structlog
from botocore.exceptions import ClientError

from lakehouse.errors import EstateError, LakehouseError
from localaws import gluejob
from localaws.gluelog import error_message
from localaws.processes import Process
from localaws.protocol import ServiceError, page

_log = structlog.get_logger()
_UNFINISHED = ("STARTING", "RUNNING", "STOPPING")
_GRACE = 10.0
"""Seconds between asking a run to end and killing it."""


class _Run:
    """One run: its description as GetJobRun gives it, and its process."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.leader: Process | None = None
        self.ending = ""
        self.lock = threading.Lock()

    @property
    def unfinished(self) -> bool:
        return self.description["JobRunState"] in _UNFINISHED

    def move(self, state: str, message: str = "") -> None:
        now = datetime.now(UTC)
        self.description |= {"JobRunState": state, "LastModifiedOn": now}
        if message:
            self.description["ErrorMessage"] = message
        if not self.unfinished:
            self.description["CompletedOn"] = now
            spent = now - self.description["StartedOn"]
            self.description["ExecutionTime"] = round(spent.total_seconds())

    def finish(self, code: int, log: Path) -> None:
        if self.ending == "TIMEOUT":
            minutes = self.description["Timeout"]
            self.move("TIMEOUT", f"Job run exceeded its timeout of {minutes} minutes")
        elif self.ending:
            self.move(self.ending)
        elif code == 0:
            self.move("SUCCEEDED")
        else:
            self.move("FAILED", error_message(log) or f"spark-submit ended with code {code}")


class GlueRuns:
    """Runs jobs as processes; what it knows of them lives as long as it does."""

    def __init__(self, glue: Any, s3: Any, home: Path, endpoints: gluejob.Endpoints) -> None:
        """``glue`` and ``s3`` are clients of the emulator; logs go below ``home / "runs"``."""
        self._glue = glue
        self._s3 = s3
        self._folder = home / "runs"
        self._endpoints = endpoints
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def handle(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to an operation of ours; None for any other. Raises ServiceError."""
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "StartJobRun": self._start,
            "GetJobRun": self._get,
            "GetJobRuns": self._list,
            "BatchStopJobRun": self._stop,
        }
        handler = handlers.get(operation)
        return handler(request) if handler else None

    def close(self) -> None:
        """Stop every run and wait until nothing of it is left."""
        for run in list(self._runs.values()):
            self._end(run, "STOPPED")
        for thread in self._threads:
            thread.join()

    def _job(self, name: str) -> dict[str, Any]:
        try:
            job: dict[str, Any] = self._glue.get_job(JobName=name)["Job"]
        except self._glue.exceptions.EntityNotFoundException:
            raise ServiceError(
                "EntityNotFoundException",
                f"Failed to start job run due to missing metadata: job {name} does not exist",
            ) from None
        return job

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["JobName"]
        job = self._job(name)
        allowed = job.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1)
        arguments = gluejob.merged(job, request.get("Arguments", {}))
        now = datetime.now(UTC)
        run = _Run(
            {
                "Id": f"jr_{uuid.uuid4().hex}",
                "Attempt": 0,
                "JobName": name,
                "StartedOn": now,
                "LastModifiedOn": now,
                "JobRunState": "STARTING",
                "Arguments": dict(request.get("Arguments", {})),
                "PredecessorRuns": [],
                "ExecutionTime": 0,
                # Minutes; a streaming job without one runs until it is stopped.
                "Timeout": request.get("Timeout", job.get("Timeout")) or 0,
                "GlueVersion": job.get("GlueVersion", ""),
                "LogGroupName": "/aws-glue/jobs",
            }
        )
        with self._lock:
            same = [r for r in self._runs.values() if r.description["JobName"] == name]
            if sum(other.unfinished for other in same) >= allowed:
                raise ServiceError(
                    "ConcurrentRunsExceededException",
                    f"Concurrent runs exceeded for {name}: {allowed} may run at a time",
                )
            self._runs[run.description["Id"]] = run
        thread = threading.Thread(target=self._carry_out, args=(run, job, arguments))
        self._threads.append(thread)
        thread.start()
        return {"JobRunId": run.description["Id"]}

    def _carry_out(self, run: _Run, job: Mapping[str, Any], arguments: dict[str, str]) -> None:
        run_id = run.description["Id"]
        log = self._folder / f"{run_id}.log"
        try:
            made = gluejob.command(
                job,
                arguments,
                self._folder / run_id,
                run_id=run_id,
                endpoints=self._endpoints,
                fetch=self._fetch,
            )
            self._launch(run, made, log)
        except (LakehouseError, OSError) as error:
            run.move("FAILED", f"LAUNCH ERROR | {error}")
        _log.info(
            "job run ended", job=job["Name"], run=run_id, state=run.description["JobRunState"]
        )

    def _launch(self, run: _Run, made: gluejob.Command, log: Path) -> None:
        with run.lock, log.open("wb") as output:
            if run.ending:
                return run.move(run.ending)
            child = subprocess.Popen(  # noqa: S603  # the installed spark-submit
                made.arguments,
                env=made.env,
                cwd=log.with_suffix(""),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            run.leader = leader = Process.of(child.pid)
            record = log.with_suffix(".pid")
            record.write_bytes(msgspec.json.encode(leader))
            run.move("RUNNING")
        minutes = run.description["Timeout"]
        try:
            code = child.wait(minutes * 60 if minutes else None)
        except subprocess.TimeoutExpired:
            self._end(run, "TIMEOUT")
            code = child.wait()
        # A driver that ended may have left workers behind.
        leader.end_session(grace=0)
        record.unlink()
        return run.finish(code, log)

    def _end(self, run: _Run, state: str) -> None:
        """Ask a run to end, then make it."""
        with run.lock:
            if not run.unfinished or run.ending:
                return
            run.ending = state
            run.move("STOPPING")
            leader = run.leader
        if leader is not None:
            with suppress(psutil.NoSuchProcess):
                leader.end_session(_GRACE)

    def _fetch(self, uri: str, target: Path) -> None:
        parts = urlsplit(uri)
        try:
            self._s3.download_file(parts.netloc, parts.path.lstrip("/"), str(target))
        except ClientError as error:
            raise EstateError(f"{uri} cannot be read ({error}); deploy the estate again") from error

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        run = self._runs.get(request["RunId"])
        if run is None or run.description["JobName"] != request["JobName"]:
            raise ServiceError(
                "EntityNotFoundException", f"Job Run {request['RunId']} was not found"
            )
        return {"JobRun": run.description}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["JobName"]
        newest_first = [
            run.description
            for run in reversed(self._runs.values())
            if run.description["JobName"] == name
        ]
        if not newest_first:
            self._job(name)
        runs, token = page(newest_first, request.get("NextToken"), request.get("MaxResults", 200))
        return {"JobRuns": runs} | ({"NextToken": token} if token else {})

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        name, stopped, errors = request["JobName"], [], []
        for run_id in request["JobRunIds"]:
            run = self._runs.get(run_id)
            if run is not None and run.description["JobName"] == name and run.unfinished:
                threading.Thread(target=self._end, args=(run, "STOPPED")).start()
                stopped.append({"JobName": name, "JobRunId": run_id})
                continue
            code, reason = (
                ("EntityNotFoundException", f"Job Run {run_id} was not found")
                if run is None
                else ("InvalidInputException", f"Job Run {run_id} has already ended")
            )
            detail = {"ErrorCode": code, "ErrorMessage": reason}
            errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
        return {"SuccessfulSubmissions": stopped, "Errors": errors}
