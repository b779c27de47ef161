"""Promotes new loads of bronze to silver, and reports each dataset's verdict.

A load that fails its gate is held or set aside by the job; its report here says why. A report that
finds rows published updates the asset ``silver.<dataset>``, which starts the marts.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, Asset, task
from airflow.sdk.exceptions import AirflowSkipException
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.verdicts import in_words, verdicts_of_run

log = logging.getLogger("lakehouse.promote")
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

    @task(trigger_rule="all_done", retries=0)
    def report(dataset: str, glue_run: str | None) -> str:
        """What became of the dataset; skipped when nothing of it was published."""
        found = verdicts_of_run(dataset, glue_run or "", bucket("verdicts"), S3Hook())
        for verdict in found:
            log.log(logging.INFO if verdict["passed"] else logging.WARNING, in_words(verdict))
        words = "; ".join(map(in_words, found)) or "no new loads"
        if not any(verdict["passed"] for verdict in found):
            raise AirflowSkipException(words)
        return words

    run = glue_job("promote", "promote")
    for dataset in promoted:
        report.override(
            task_id=f"report_{dataset.name}", outlets=[Asset(f"silver.{dataset.name}")]
        )(dataset.name, run.output)
