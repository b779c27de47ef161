"""What the demo waits for while the platform works."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from lakehouse.aws import Aws
from lakehouse.cli.runs import JobRun
from lakehouse.errors import EstateError
from lakehouse.naming import Layer
from lakehouse.tables import load_table

_POLL: Final = 0.5
"""Seconds between two questions for the state of a run or table."""
_STANDSTILL: Final = 180.0
"""Seconds without a new delivery in bronze after which ingestion counts as stuck."""


def rows(aws: Aws, layer: Layer, dataset: str) -> int:
    """How many rows a table has, 0 when it is not there; from its metadata alone."""
    table = load_table(aws, layer, dataset)
    snapshot = table.current_snapshot() if table else None
    summary = snapshot.summary if snapshot else None
    return int(summary["total-records"] or 0) if summary else 0


def wait_for_rows(
    aws: Aws, dataset: str, wanted: int, run: JobRun, say: Callable[[str], None]
) -> None:
    """Wait until bronze has that many deliveries of a dataset, which a run ingests.

    Raises EstateError when the run ends, or bronze gets more, or no more.
    """
    seen, since = -1, time.monotonic()
    while (now := rows(aws, "bronze", dataset)) < wanted:
        if not run.under_way():
            raise EstateError(
                f"run {run.run_id} of {run.name} ended with {now:,} of {wanted:,} deliveries in "
                f"bronze: {run.answer().get('ErrorMessage') or 'it gave no reason'}"
            )
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


def stop(run: JobRun) -> None:
    """Stop a run and wait until it has ended."""
    run.stop()
    while run.under_way():
        time.sleep(_POLL)
