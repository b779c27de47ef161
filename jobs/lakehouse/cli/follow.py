"""Runs a step of the platform by its Glue jobs and says what it did, for ``lakehouse run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from lakehouse.aws import Aws
from lakehouse.cli import show
from lakehouse.cli.context import Context, err, out
from lakehouse.cli.runs import JobRun, failure, wait
from lakehouse.cli.status import DatasetStatus, all_status
from lakehouse.contracts.model import Contract
from lakehouse.errors import EstateError

_POLL_LOCAL: Final = 0.5
_POLL_AWS: Final = 3.0
"""Seconds between two questions; Glue allows few a second for a whole account."""


def run_step(
    context: Context,
    step: str,
    chosen: Sequence[Contract],
    *,
    named: bool,
    follow: bool = False,
    full: bool = False,
) -> None:
    """Run a step for the chosen datasets, wait, and print what has changed.

    Ctrl-C stops the runs. Raises EstateError when one of them does not succeed.
    """
    aws = context.aws()
    before = all_status(aws, chosen, datetime.now(UTC))
    runs = _start(aws, jobs_of(step, chosen, named=named, follow=follow, full=full))
    poll = _POLL_LOCAL if context.local else _POLL_AWS
    interrupted = False
    with err.status(", ".join(run.name for run in runs)) as status:

        def say(answers: Sequence[Mapping[str, Any]]) -> None:
            status.update(", ".join(_state(answer) for answer in answers))

        try:
            ended = wait(runs, poll, say)
        except KeyboardInterrupt:
            interrupted = True
            for run in runs:
                run.stop()
            ended = wait(runs, poll, say)
    failed = [
        why
        for answer in ended
        if (why := failure(answer, context.log_of(answer["Id"], answer.get("LogGroupName", ""))))
        and not (interrupted and answer["JobRunState"] == "STOPPED")
    ]
    _report(aws, ended, before, chosen)
    if failed:
        raise EstateError("; ".join(failed))
    if interrupted:
        raise KeyboardInterrupt


def _start(aws: Aws, jobs: Mapping[str, Mapping[str, str]]) -> list[JobRun]:
    """All the runs, or none: one that cannot start stops those before it."""
    runs: list[JobRun] = []
    try:
        for job, arguments in jobs.items():
            runs.append(JobRun.start(aws, job, arguments))
    except EstateError:
        for run in runs:
            run.stop()
        raise
    return runs


def jobs_of(
    step: str,
    chosen: Sequence[Contract],
    *,
    named: bool,
    follow: bool = False,
    full: bool = False,
) -> dict[str, dict[str, str]]:
    """The jobs of a step with their arguments; ingestion has one for each group of streams."""
    if step != "ingest":
        whole = {"--full": "true"} if full else {}
        return {step: whole | (_datasets(chosen) if named else {})}
    groups: dict[str, list[Contract]] = {}
    for contract in chosen:
        groups.setdefault(contract.group, []).append(contract)
    once = {"--once": "false" if follow else "true"}
    return {
        f"ingest-{group}": once | (_datasets(members) if named else {})
        for group, members in groups.items()
    }


def _datasets(contracts: Sequence[Contract]) -> dict[str, str]:
    return {"--datasets": ",".join(contract.dataset for contract in contracts)}


def _state(answer: Mapping[str, Any]) -> str:
    seconds = (datetime.now(UTC) - answer["StartedOn"]).total_seconds()
    return f"{answer['JobName']}: {answer['JobRunState'].lower()}, {seconds:.0f} s"


def _report(
    aws: Aws,
    ended: Sequence[Mapping[str, Any]],
    before: Sequence[DatasetStatus],
    chosen: Sequence[Contract],
) -> None:
    for answer in ended:
        state = answer["JobRunState"].lower()
        out.print(
            Text.assemble(
                (state, {"succeeded": "green", "stopped": "yellow"}.get(state, "red")),
                f"  {answer['JobName']} in {answer.get('ExecutionTime', 0)} s",
                (f"  {answer['Id']}", "dim"),
            )
        )
    width = max((len(contract.dataset) for contract in chosen), default=0)
    after = all_status(aws, chosen, datetime.now(UTC))
    for dataset, done in show.changes(before, after):
        out.print(Text(f"  {dataset.ljust(width)}  {done}", "dim" if done == "nothing new" else ""))
