"""The deployment that the DAGs work on, and its Glue jobs as tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
from airflow.sdk import Asset, AssetWatcher
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lakehouse_dags.alerts import alert, glue_failure, log_last_words

DEFAULTS: Final[dict[str, Any]] = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "on_retry_callback": log_last_words,
    "on_failure_callback": alert,
}
"""Defaults of every task: jobs are idempotent, so trying again is always right."""
PATIENT: Final[dict[str, Any]] = {"retries": 8, "max_retry_delay": timedelta(minutes=5)}
"""Of a task whose Glue job another DAG may have under way, for about half an hour."""


class DecidedGlueJob(GlueJobOperator):
    """A run that a person asked for: tried until it is started, and not again once it failed."""

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any
    ) -> Any:
        """See BaseOperator."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if said := glue_failure(context["ti"], self.task_id, self):
                raise AirflowFailException(said) from error
            raise


def prefix() -> str:
    """The deployment's prefix: ``$LAKEHOUSE_PREFIX``, else Airflow's variable ``lakehouse_prefix``.

    The variable comes as a template, so that parsing a DAG asks no database; it belongs into
    templated arguments only.
    """
    return os.environ.get("LAKEHOUSE_PREFIX") or "{{ var.value.lakehouse_prefix }}"


def bucket(purpose: str) -> str:
    """Name of a bucket of the deployment, for templated arguments as ``prefix``."""
    return f"{prefix()}-{purpose}"


def arrivals() -> list[Asset]:
    """What stands for objects that arrived, told by the queue ``$LAKEHOUSE_ARRIVALS_QUEUE`` (URL).

    The trigger removes a message before it tells of it, so one may be lost: a sweep finds what it
    stood for. Nothing where there is no queue.
    """
    queue = os.environ.get("LAKEHOUSE_ARRIVALS_QUEUE")
    if not queue:
        return []
    # Plain values only: Airflow mixes up watchers whose arguments are nested.
    trigger = SqsSensorTrigger(sqs_queue=queue, max_messages=10, num_batches=10, waiter_delay=15)
    return [Asset("landing.arrivals", watchers=[AssetWatcher("arrivals", trigger=trigger)])]


def glue_job(
    task_id: str,
    job: str,
    arguments: Mapping[str, str] | None = None,
    operator: type[GlueJobOperator] = GlueJobOperator,
    **task: Any,
) -> GlueJobOperator:
    """A run of one of the deployment's Glue jobs; every argument needs a value that is not empty.

    A retry adopts the run that is still under way; the job's own timeout bounds it. Deferred, the
    wait costs no worker.
    """
    poll = int(os.environ.get("LAKEHOUSE_GLUE_POLL_SECONDS", "30"))
    return operator(
        task_id=task_id,
        job_name=f"{prefix()}-{job}",
        script_args=dict(arguments or {}),
        deferrable=True,
        job_poll_interval=poll,
        waiter_delay=poll,
        waiter_max_attempts=12 * 3600 // poll,
        resume_glue_job_on_retry=True,
        verbose=False,
        **task,
    )
