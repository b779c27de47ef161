"""Says why a task failed: in its log, and to whom it may concern."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from airflow.providers.amazon.aws.hooks.glue import GlueJobHook
from airflow.providers.amazon.aws.hooks.sns import SnsHook
from airflow.sdk import Variable

log = logging.getLogger("lakehouse.alerts")

_SUBJECT: Final = 100
"""Characters that SNS takes as a subject."""
_MESSAGE: Final = 200_000
"""Of the 256 KiB that SNS takes, so that no character is too many."""


def last_words(context: Any) -> str:
    """Why a task failed: as Glue has it for a Glue run, else the task's own error."""
    if said := glue_failure(context["ti"], context["ti"].task_id, context["task"]):
        return said
    error = context.get("exception")
    if error is None:
        return (
            "no reason given; the task was killed or its worker lost, see its log and the "
            "scheduler's"
        )
    return str(error) or type(error).__name__


def glue_failure(instance: Any, task_id: str, task: Any) -> str | None:
    """The last line of the failed Glue run of a task, None where there is no such run.

    Glue keeps that line; the operator's error has only the run's state.
    """
    job = getattr(task, "job_name", None)
    run_id = instance.xcom_pull(task_ids=task_id, key="glue_job_run_id") if job else None
    if not run_id:
        return None
    try:
        run = GlueJobHook().conn.get_job_run(JobName=job, RunId=run_id)["JobRun"]
    except Exception:
        # Why a task failed must be told even where Glue cannot be asked.
        log.exception("Glue does not say how %s %s ended", job, run_id)
        return None
    said = run.get("ErrorMessage")
    if not said and run["JobRunState"] in {"SUCCEEDED", "RUNNING", "STARTING"}:
        return None
    return f"{job} {run_id} {run['JobRunState']}: {said or 'Glue gives no reason'}"


def log_last_words(context: Any) -> None:
    """Put the reason of a failure into the task's log."""
    log.error("%s", last_words(context))


def alert(context: Any) -> None:
    """Put the reason of a failure into the task's log, and send it."""
    words = last_words(context)
    log.error("%s", words)
    notify(context["ti"], "failed", words)


def notify(instance: Any, what: str, words: str) -> None:
    """Send what happened to the alert topic; without one nobody is told.

    The topic's ARN is ``$LAKEHOUSE_ALERT_TOPIC``, else Airflow's variable
    ``lakehouse_alert_topic``. Not by SnsNotifier, which takes braces in an error for a template.
    """
    subject = f"{instance.dag_id}.{instance.task_id} {what}"
    message = f"{subject} in run {instance.run_id}, try {instance.try_number}\n\n{words}"
    try:
        topic = os.environ.get("LAKEHOUSE_ALERT_TOPIC") or Variable.get(
            "lakehouse_alert_topic", default=None
        )
        if topic:
            SnsHook().publish_to_target(topic, message[:_MESSAGE], subject[:_SUBJECT])
    except Exception:
        # The task is as it is, whoever could be told.
        log.exception("nobody could be told that %s", subject)
