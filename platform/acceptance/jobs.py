"""Glue runs as an acceptance needs them: found, started, followed to their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acceptance.steps import AcceptanceError
from acceptance.waiting import wait_until
from lakehouse.aws import Aws
from lakehouse.cli.runs import JobRun, failure, under_way
from lakehouse.errors import AlreadyRunningError


def running(aws: Aws, job: str) -> JobRun | None:
    """The run of a job that is under way."""
    answer = aws.client("glue").get_job_runs(JobName=aws.job(job), MaxResults=10)
    for run in answer["JobRuns"]:
        if under_way(run):
            return JobRun(aws, job, run["Id"])
    return None


def is_continuous(aws: Aws, job: str, run: JobRun | None = None) -> bool:
    """Whether a run, or else the job by its definition, goes on until it is told to end."""
    answer = aws.client("glue").get_job(JobName=aws.job(job))
    defined: Mapping[str, str] = answer["Job"]["DefaultArguments"]
    given: Mapping[str, str] = run.answer().get("Arguments", {}) if run else {}
    return {**defined, **given}.get("--once", "false") == "false"


def ingesting(aws: Aws, job: str, patience: float) -> tuple[JobRun, bool]:
    """A continuous run of an ingest job, and whether it was started here.

    One that is under way is taken; one that drains is waited for.
    """

    def find() -> tuple[JobRun, bool] | None:
        run = running(aws, job)
        if run is None:
            run = _start(aws, job, {"--once": "false"})
            return (run, True) if run else None
        return (run, False) if is_continuous(aws, job, run) else None

    return wait_until(find, patience, lambda: f"a run of {aws.job(job)} that drains does not end")


def run_to_end(
    aws: Aws, job: str, arguments: Mapping[str, str], patience: float
) -> Mapping[str, Any]:
    """Run a job once, after whoever runs it now; what Glue says of the run.

    AcceptanceError where it does not succeed.
    """
    run = wait_until(
        lambda: _start(aws, job, arguments),
        patience,
        lambda: f"{aws.job(job)} is running for somebody else and does not end",
    )
    return ended(run, patience)


def ended(run: JobRun, patience: float) -> Mapping[str, Any]:
    """What Glue says of a run once it has ended; AcceptanceError where it did not succeed."""
    answer: Mapping[str, Any] = wait_until(
        lambda: None if under_way(found := run.answer()) else found,
        patience,
        lambda: f"run {run.run_id} of {run.name} does not end",
    )
    why = failure(answer, f"{answer.get('LogGroupName', '')}, stream {run.run_id}")
    if why is not None:
        raise AcceptanceError(f"run {run.run_id}: {why}")
    return answer


def _start(aws: Aws, job: str, arguments: Mapping[str, str]) -> JobRun | None:
    """A run of a job; None where another one is under way."""
    try:
        return JobRun.start(aws, job, arguments)
    except AlreadyRunningError:
        return None
