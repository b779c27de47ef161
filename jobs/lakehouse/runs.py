"""Runs of Glue jobs: start one, follow it, stop it, say how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tenacity import Retrying, retry_if_result, stop_never, wait_fixed

from lakehouse.aws import Aws
from lakehouse.errors import EstateError

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

        Raises EstateError where there is no such job or it is running already.
        """
        glue = aws.client("glue")
        name = aws.job(job)
        try:
            answer = glue.start_job_run(JobName=name, Arguments=dict(arguments))
        except glue.exceptions.EntityNotFoundException as error:
            raise EstateError(f"no Glue job {name}; deploy the estate first") from error
        except glue.exceptions.ConcurrentRunsExceededException as error:
            raise EstateError(
                f"Glue job {name} is running already; wait for that run or stop it"
            ) from error
        return cls(aws, job, answer["JobRunId"])

    def answer(self) -> dict[str, Any]:
        """What Glue says of the run now."""
        run: dict[str, Any] = self._glue.get_job_run(JobName=self.name, RunId=self.run_id)["JobRun"]
        return run

    def under_way(self) -> bool:
        """Whether the run has not ended yet."""
        return self.answer()["JobRunState"] in _UNDER_WAY

    def wait(
        self, poll_seconds: float, on_answer: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Wait for the end; EstateError with Glue's reason unless the run succeeded."""

        def ask() -> dict[str, Any]:
            answer = self.answer()
            on_answer(answer)
            return answer

        waiting = Retrying(
            retry=retry_if_result(lambda answer: answer["JobRunState"] in _UNDER_WAY),
            wait=wait_fixed(poll_seconds),
            stop=stop_never,
        )
        answer: dict[str, Any] = waiting(ask)
        if answer["JobRunState"] != "SUCCEEDED":
            raise EstateError(
                f"run {self.run_id} of {self.name} ended as {answer['JobRunState']}: "
                f"{answer.get('ErrorMessage') or 'no reason given'}"
            )
        return answer

    def stop(self) -> None:
        """Ask the run to stop."""
        self._glue.batch_stop_job_run(JobName=self.name, JobRunIds=[self.run_id])
