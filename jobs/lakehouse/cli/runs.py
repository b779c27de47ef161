"""Runs of Glue jobs: start them, follow them, stop them, say how they ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tenacity import Retrying, retry_if_result, stop_never, wait_fixed

from lakehouse.aws import Aws
from lakehouse.errors import AlreadyRunningError, EstateError

_UNDER_WAY: Final = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})


class JobRun:
    """One run of a job."""

    def __init__(self, aws: Aws, job: str, run_id: str) -> None:
        self._glue = aws.client("glue")
        self.name = aws.job(job)
        self.run_id = run_id

    @classmethod
    def start(cls, aws: Aws, job: str, arguments: Mapping[str, str]) -> JobRun:
        """Start a run; ``job`` is the name without prefix, arguments are ``{"--datasets": ...}``.

        Raises EstateError where there is no such job, AlreadyRunningError where it is running.
        """
        glue = aws.client("glue")
        name = aws.job(job)
        try:
            answer = glue.start_job_run(JobName=name, Arguments=dict(arguments))
        except glue.exceptions.EntityNotFoundException as error:
            raise EstateError(f"no Glue job {name}; deploy the estate first") from error
        except glue.exceptions.ConcurrentRunsExceededException as error:
            raise AlreadyRunningError(
                f"Glue job {name} is running already; wait for that run or stop it"
            ) from error
        return cls(aws, job, answer["JobRunId"])

    def answer(self) -> dict[str, Any]:
        """What Glue says of the run now."""
        run: dict[str, Any] = self._glue.get_job_run(JobName=self.name, RunId=self.run_id)["JobRun"]
        return run

    def under_way(self) -> bool:
        """Whether the run has not ended yet."""
        return under_way(self.answer())

    def stop(self) -> None:
        """Ask the run to stop."""
        self._glue.batch_stop_job_run(JobName=self.name, JobRunIds=[self.run_id])


def under_way(answer: Mapping[str, Any]) -> bool:
    """Whether the run that Glue describes has not ended yet."""
    return answer["JobRunState"] in _UNDER_WAY


def wait(
    runs: Sequence[JobRun],
    poll_seconds: float,
    on_answers: Callable[[Sequence[Mapping[str, Any]]], None],
) -> list[dict[str, Any]]:
    """Wait until all runs have ended; what Glue says of them then, in the same order."""

    def ask() -> list[dict[str, Any]]:
        answers = [run.answer() for run in runs]
        on_answers(answers)
        return answers

    waiting = Retrying(
        retry=retry_if_result(lambda answers: any(under_way(answer) for answer in answers)),
        wait=wait_fixed(poll_seconds),
        stop=stop_never,
    )
    answers: list[dict[str, Any]] = waiting(ask)
    return answers


def failure(answer: Mapping[str, Any], log: str) -> str | None:
    """Why a run that has ended did not succeed, and where its log is; None when it did."""
    if answer["JobRunState"] == "SUCCEEDED":
        return None
    why = str(answer.get("ErrorMessage") or "no reason given").removeprefix("error: ")
    return f"{answer['JobName']} ended as {answer['JobRunState']}: {why}; its log: {log}"
