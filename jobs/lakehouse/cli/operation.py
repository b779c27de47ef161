"""Runs the Glue jobs that operate and maintain for the command line, and reads what they said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lakehouse.cli.context import Context, err
from lakehouse.cli.runs import JobRun, failure, wait
from lakehouse.errors import EstateError
from lakehouse.maintenance.operate import Operation, result_key
from lakehouse.store import S3Store

_POLL_LOCAL: Final = 0.5
_POLL_AWS: Final = 5.0


def operate(
    context: Context,
    operation: Operation,
    dataset: str,
    arguments: object,
    *,
    dry_run: bool,
    saying: str,
) -> dict[str, Any]:
    """What an operation said of a dataset; EstateError with the reason where it failed."""
    told = {
        "--operation": operation,
        "--datasets": dataset,
        "--dry-run": "true" if dry_run else "false",
        "--arguments": msgspec.json.encode(arguments).decode(),
    }
    result = run(context, "operate", told, saying)
    found: dict[str, Any] = result["datasets"][dataset]
    return found


def maintain(context: Context, datasets: Sequence[str], *, dry_run: bool) -> list[dict[str, Any]]:
    """What was done to each table of the datasets, none for all."""
    told = {"--dry-run": "true" if dry_run else "false"}
    if datasets:
        told["--datasets"] = ",".join(datasets)
    result = run(context, "maintain", told, "maintaining tables")
    found: list[dict[str, Any]] = result["tables"]
    return found


def run(context: Context, job: str, arguments: Mapping[str, str], saying: str) -> dict[str, Any]:
    """Run a job to its end and read its result. Ctrl-C stops it."""
    aws = context.aws()
    started = JobRun.start(aws, job, arguments)
    poll = _POLL_LOCAL if context.local else _POLL_AWS
    with err.status(f"{saying}, run {started.run_id}") as status:

        def say(answers: Sequence[Mapping[str, Any]]) -> None:
            state = answers[0]["JobRunState"].lower()
            status.update(f"{saying}: {state}, run {started.run_id}")

        try:
            (answer,) = wait([started], poll, say)
        except KeyboardInterrupt:
            started.stop()
            raise
    log = context.log_of(answer["Id"], answer.get("LogGroupName", ""))
    if why := failure(answer, log):
        raise EstateError(why)
    body = S3Store(aws.client("s3"), aws.bucket("verdicts"), "").get(result_key(started.run_id))
    if body is None:
        raise EstateError(f"run {started.run_id} of {job} left no result; its log: {log}")
    result: dict[str, Any] = msgspec.json.decode(body)
    return result
