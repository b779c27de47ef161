"""Lands what has arrived as files. A sweep: what to land is the listing less the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, glue_job

files = read_datasets("files")

with DAG(
    "land",
    doc_md=__doc__,
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(files)},
    tags=["bronze"],
):
    glue_job("land", "land", [dataset.name for dataset in files])
