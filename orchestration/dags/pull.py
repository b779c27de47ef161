"""Pulls months of the API datasets into the landing zone, then lands them.

Scheduled, a run pulls the months of the last days, so that the end of a month is not forgotten on
the first of the next; ``{"months": ["2013-01", ...]}`` asks for others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, Param, get_current_context, task
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.pulls import months_before, pull_month

pulled = read_datasets("pull")

with DAG(
    "pull",
    doc_md=__doc__,
    # Off the quarters of an hour, when the sweep has the land job, of which one may run at a time.
    schedule="7 0 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(pulled)},
    params={
        "months": Param(
            [], type="array", items={"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}
        )
    },
    tags=["bronze"],
):
    # An API may ask to be waited for as long as it likes.
    @task(execution_timeout=timedelta(hours=1))
    def fetch(dataset: str, landing: str) -> int:
        """Pull the wanted months; the number of pages."""
        context = get_current_context()
        months = context["params"]["months"] or months_before(context["dag_run"].run_after)
        s3 = S3Hook()
        return sum(len(pull_month(dataset, month, landing, s3)) for month in months)

    for dataset in pulled:
        fetched = fetch.override(task_id=f"fetch_{dataset.name}", owner=dataset.owner)(
            dataset.name, bucket("landing")
        )
        # As patient as a land job that another run has may last.
        fetched >> glue_job(
            f"land_{dataset.name}", "land", [dataset.name], owner=dataset.owner, retries=5
        )
