"""Promotes new loads of bronze to silver, and reports each dataset's verdict.

A load that fails its gate is held or set aside by the job; its report here says why. A report that
finds rows published updates the asset ``silver.<dataset>``, which starts the marts.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.verdicts import in_words, verdicts_since

log = logging.getLogger("lakehouse.promotion.promote")
promoted = read_datasets("stream", "files", "pull")

with DAG(
    "promote",
    doc_md=__doc__,
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(promoted)},
    tags=["silver"],
):

    @task(trigger_rule="all_done")
    def report(dataset: str, verdicts: str) -> None:
        """What became of the dataset, as XCom ``report``; skipped when nothing was published."""
        context = get_current_context()
        found = verdicts_since(dataset, context["dag_run"].run_after, verdicts, S3Hook())
        for verdict in found:
            level = logging.INFO if verdict["passed"] else logging.WARNING
            log.log(level, "%s, %s", dataset, in_words(verdict))
        words = "; ".join(map(in_words, found)) or "no new loads"
        context["ti"].xcom_push(key="report", value=words)
        if not any(verdict["passed"] for verdict in found):
            raise AirflowSkipException(words)

    run = glue_job("promote", "promote")
    for dataset in promoted:
        run >> report.override(
            task_id=f"report_{dataset.name}",
            owner=dataset.owner,
            outlets=[Asset(f"silver.{dataset.name}")],
        )(dataset.name, bucket("verdicts"))
    # A DAG run is as its last tasks are, and the reports come whatever became of the job.
    run >> EmptyOperator(task_id="promoted")
