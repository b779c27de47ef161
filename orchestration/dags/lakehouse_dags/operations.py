"""What an operation said, as its Glue run left it in the bucket of verdicts."""

from __future__ import annotations

import json

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from lakehouse_dags.alerts import glue_failure


@task(trigger_rule="all_done")
def result(task_id: str, verdicts: str) -> None:
    """What the Glue run of a task said, as XCom ``report``; fails as the run did.

    A run that failed for one dataset has done its work for the others, and says so.
    """
    context = get_current_context()
    instance = context["ti"]
    run_id = instance.xcom_pull(task_ids=task_id, key="glue_job_run_id")
    if not run_id:
        raise AirflowFailException(f"{task_id} was not started, its log says why")
    key, hook = f"operations/{run_id}.json", S3Hook()
    words = "it left no result"
    if hook.check_for_key(key, verdicts):
        words = json.dumps(json.loads(hook.read_key(key, verdicts)), indent=1)
    instance.xcom_push(key="report", value=words)
    failure = glue_failure(instance, task_id, context["dag"].get_task(task_id))
    if failure:
        raise AirflowFailException(f"{failure}\n{words}")
