"""The deployment that the DAGs work on, and its Glue jobs as tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator

DEFAULTS: Final[dict[str, Any]] = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}
"""Defaults of every task: jobs are idempotent, so trying again is always right."""


def prefix() -> str:
    """The deployment's prefix: ``$LAKEHOUSE_PREFIX``, which MWAA's environment sets."""
    return os.environ.get("LAKEHOUSE_PREFIX", "lakehouse-local")


def bucket(purpose: str) -> str:
    """Name of a bucket of the deployment."""
    return f"{prefix()}-{purpose}"


def glue_job(task_id: str, job: str, datasets: Sequence[str] = (), **task: Any) -> GlueJobOperator:
    """A run of one of the deployment's Glue jobs, for the named datasets or all of them.

    A retry adopts the run that is still under way; the job's own timeout bounds it. Deferred, the
    wait costs no worker.
    """
    # Glue wants every argument to have a value.
    arguments = {"--datasets": ",".join(datasets)} if datasets else {}
    poll = int(os.environ.get("LAKEHOUSE_GLUE_POLL_SECONDS", "30"))
    return GlueJobOperator(
        task_id=task_id,
        job_name=f"{prefix()}-{job}",
        script_args=arguments,
        deferrable=os.environ.get("LAKEHOUSE_GLUE_DEFERRABLE", "true") == "true",
        job_poll_interval=poll,
        waiter_delay=poll,
        waiter_max_attempts=12 * 3600 // poll,
        resume_glue_job_on_retry=True,
        verbose=False,
        **task,
    )
