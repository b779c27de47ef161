"""The deployment that the DAGs work on, and its Glue jobs as tasks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.hooks.glue import GlueJobHook
from airflow.providers.amazon.aws.operators.glue import GlueJobOperator

log = logging.getLogger("lakehouse.glue")

DEFAULTS: Final[dict[str, Any]] = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}
"""Defaults of every task: jobs are idempotent, so trying again is always right."""


def prefix() -> str:
    """The deployment's prefix: ``$LAKEHOUSE_PREFIX``, else Airflow's variable ``lakehouse_prefix``.

    The variable comes as a template, so that parsing a DAG asks no database; it belongs into
    templated arguments only.
    """
    return os.environ.get("LAKEHOUSE_PREFIX") or "{{ var.value.lakehouse_prefix }}"


def bucket(purpose: str) -> str:
    """Name of a bucket of the deployment, for templated arguments as ``prefix``."""
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
        on_retry_callback=log_last_words,
        on_failure_callback=log_last_words,
        **task,
    )


def last_words(context: Any) -> str:
    """Why the Glue run of a failed task ended, as Glue has it; else the task's own error.

    Glue keeps the last line of a failed run; the operator's error has only the run's state.
    """
    error = str(context.get("exception") or "no reason given")
    job = getattr(context["task"], "job_name", None)
    run_id = context["ti"].xcom_pull(task_ids=context["ti"].task_id, key="glue_job_run_id")
    if not job or not run_id:
        return error
    run = GlueJobHook().conn.get_job_run(JobName=job, RunId=run_id)["JobRun"]
    if said := run.get("ErrorMessage"):
        return f"{job} {run_id} {run['JobRunState']}: {said}"
    return error


def log_last_words(context: Any) -> None:
    """Put the reason of a failed Glue run into the task's log."""
    log.error("%s", last_words(context))
