"""What the demo does to the estate, by the clients that anybody would use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from lakehouse.aws import Aws
from lakehouse.errors import EstateError
from lakehouse.naming import Layer, landing_prefix
from lakehouse.tables import load_table

_POLL: Final = 0.5
"""Seconds between two questions for the state of a run or table."""
_STANDSTILL: Final = 180.0
"""Seconds without a new delivery in bronze after which ingestion counts as stuck."""


class JobRun:
    """A run of a Glue job."""

    def __init__(self, aws: Aws, job: str) -> None:
        """Start it; ``job`` is its name without the deployment's prefix."""
        self._glue = aws.client("glue")
        self._name = aws.job(job)
        self._id = self._glue.start_job_run(JobName=self._name)["JobRunId"]

    def check(self) -> None:
        """Raise EstateError with Glue's reason when the run has ended by itself."""
        run = self._run()
        if run["JobRunState"] not in {"STARTING", "WAITING", "RUNNING"}:
            raise EstateError(
                f"run {self._id} of {self._name} ended as {run['JobRunState']}: "
                f"{run.get('ErrorMessage', 'no reason given')}"
            )

    def stop(self) -> None:
        """Ask the run to end, and wait until it has."""
        self._glue.batch_stop_job_run(JobName=self._name, JobRunIds=[self._id])
        while self._run()["JobRunState"] in {"STARTING", "WAITING", "RUNNING", "STOPPING"}:
            time.sleep(_POLL)

    def _run(self) -> dict[str, Any]:
        run: dict[str, Any] = self._glue.get_job_run(JobName=self._name, RunId=self._id)["JobRun"]
        return run


def rows(aws: Aws, layer: Layer, dataset: str) -> int:
    """How many rows a table has, 0 when it is not there; from its metadata alone."""
    table = load_table(aws, layer, dataset)
    snapshot = table.current_snapshot() if table else None
    summary = snapshot.summary if snapshot else None
    return int(summary["total-records"] or 0) if summary else 0


def wait_for_rows(
    aws: Aws, dataset: str, wanted: int, check: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Wait until bronze has that many deliveries of a dataset.

    ``check`` is asked all along and raises when there is nothing to wait for any more. Raises
    EstateError when bronze has more, or gets no more.
    """
    seen, since = -1, time.monotonic()
    while (now := rows(aws, "bronze", dataset)) < wanted:
        check()
        if now != seen:
            say(f"{now:,} of {wanted:,} in bronze")
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > _STANDSTILL:
            raise EstateError(
                f"bronze.{dataset} has {now:,} of {wanted:,} deliveries and got none for "
                f"{_STANDSTILL:.0f} s; read the run's log in the folder 'runs' of the estate's home"
            )
        time.sleep(_POLL)
    if now > wanted:
        raise EstateError(
            f"bronze.{dataset} has {now:,} deliveries, only {wanted:,} were acknowledged"
        )


def drop(aws: Aws, dataset: str, files: Iterable[tuple[str, bytes]]) -> int:
    """Put files, name and body, where their dataset's files arrive; how many."""
    count = 0
    for count, (name, body) in enumerate(files, start=1):
        aws.client("s3").put_object(
            Bucket=aws.bucket("landing"), Key=landing_prefix(dataset) + name, Body=body
        )
    return count
