"""Pulls months of the API datasets into the landing zone, then lands them.

Scheduled, a run pulls the month of its date; ``{"months": ["2013-01", ...]}`` asks for others.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, Param, get_current_context, task
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.pulls import PULLS, pull_month

pulled = [dataset for dataset in read_datasets("pull") if dataset.name in PULLS]

with DAG(
    "pull",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(pulled)},
    params={"months": Param([], type="array", items={"pattern": r"^\d{4}-\d{2}$"})},
    tags=["bronze"],
):

    @task
    def fetch(dataset: str) -> int:
        """Pull the wanted months; the number of pages."""
        context = get_current_context()
        months = context["params"]["months"] or [f"{context['dag_run'].run_after:%Y-%m}"]
        s3 = S3Hook()
        return sum(len(pull_month(dataset, month, bucket("landing"), s3)) for month in months)

    for dataset in pulled:
        fetched = fetch.override(task_id=f"fetch_{dataset.name}")(dataset.name)
        fetched >> glue_job(f"land_{dataset.name}", "land", [dataset.name])
