"""Runs jobs: one step for many datasets, one log, one last line that says why it failed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

import structlog

from lakehouse.contracts.model import Contract
from lakehouse.errors import LakehouseError

log = structlog.get_logger(__name__)


def each_dataset(
    job: str, contracts: Iterable[Contract], step: Callable[[Contract], Mapping[str, object]]
) -> None:
    """Run the step for each contract, log what it did, and fail at the end if any failed.

    Raises LakehouseError naming each dataset that failed, with its reason.
    """
    failed: dict[str, str] = {}
    done: dict[str, Mapping[str, object]] = {}
    for contract in contracts:
        try:
            done[contract.dataset] = step(contract)
        except LakehouseError as error:
            failed[contract.dataset] = str(error)
            log.error("dataset_failed", job=job, dataset=contract.dataset, why=str(error))  # noqa: TRY400 - the reason is in the message
        except Exception as error:
            # Spark's and AWS's own errors concern one dataset too; what they were is in the log.
            failed[contract.dataset] = f"{type(error).__name__}: {_first_line(error)}"
            log.exception("dataset_failed", job=job, dataset=contract.dataset)
        else:
            # A step may name its dataset too.
            said = {**done[contract.dataset], "job": job, "dataset": contract.dataset}
            log.info("dataset_done", **said)
    log.info("summary", job=job, done=sorted(done), failed=sorted(failed))
    if failed:
        raise LakehouseError("; ".join(f"{name}: {why}" for name, why in failed.items()))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


def run_job(main: Callable[[], None]) -> None:
    """Run a job's main with its log as JSON lines; an error raised on purpose ends it in one line.

    Glue shows the last line of a failed run as its reason.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    try:
        main()
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the job's last word
        sys.exit(1)
