"""Publishes a held candidate once a person has approved it, in that person's name.

The run waits under "Required actions" for somebody who may answer there. What was approved, by
whom and why is recorded in the published snapshot; the next report of ``promote`` starts the marts.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from lakehouse_dags.datasets import read_datasets
from lakehouse_dags.deployment import DEFAULTS, PATIENT, DecidedGlueJob, bucket, glue_job

marts = [dataset.name for dataset in read_datasets("mart")]
gated = [dataset.name for dataset in read_datasets("stream", "files", "pull", "mart")]
_WHO = "(ti.xcom_pull(task_ids='decide') or {}).get('responded_by_user') or {}"

with DAG(
    "approve",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args=DEFAULTS,
    params={
        "dataset": Param(gated[0] if gated else "", type="string", enum=gated or [""]),
        # As text: a browser rounds numbers of this size.
        "snapshot": Param("", type="string", pattern=r"^\d{1,19}$", description="of the verdict"),
        "reason": Param("", type="string", minLength=1, description="why it may be published"),
    },
    tags=["silver", "gold"],
):

    @task
    def verdict(verdicts: str) -> str:
        """What the gate found, for whoever decides; fails where nothing can be approved."""
        params = get_current_context()["params"]
        key = f"dataset={params['dataset']}/{params['snapshot']}.json"
        hook = S3Hook()
        if not hook.check_for_key(key, verdicts):
            raise AirflowFailException(
                f"there is no verdict {key} in {verdicts}; the snapshot stands in the report of "
                "the promotion that holds it"
            )
        found = json.loads(hook.read_key(key, verdicts))
        if found["passed"]:
            raise AirflowFailException(f"{key} has passed its gate; there is nothing to approve")
        lines = [
            f"- {check['name']}: {check['value']}, expected {check['threshold']}"
            for check in found["checks"]
            if check["outcome"] not in {"pass", "warn"}
        ]
        return "\n".join(
            [f"{found['reason']}", "", *lines, "", f"Asked for because: {params['reason']}"]
        )

    said = verdict(bucket("verdicts"))
    decide = ApprovalOperator(
        task_id="decide",
        subject="Publish snapshot {{ params.snapshot }} of {{ params.dataset }}, which failed its "
        "gate?",
        body="{{ ti.xcom_pull(task_ids='verdict') }}",
        response_timeout=timedelta(days=3),
        retries=0,
    )
    publish = glue_job(
        "publish",
        # Whose role may write the table.
        f"{{{{ 'marts' if params.dataset in {marts!r} else 'promote' }}}}",
        {
            "--publish": "{{ params.dataset }}:{{ params.snapshot }}",
            "--by": f"{{% set who = {_WHO} %}}{{{{ who.get('name') or who.get('id') }}}}",
            "--reason": "{{ params.reason }}",
        },
        DecidedGlueJob,
        **PATIENT,
    )
    said >> decide >> publish
