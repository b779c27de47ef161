"""Builds the marts whose inputs have changed, after any dataset of silver was published.

The job itself compares each mart's inputs with those it was made of, so a run too many is cheap.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, AssetAny
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, glue_job

marts = read_datasets("mart")
inputs = [Asset(f"silver.{dataset.name}") for dataset in read_datasets("stream", "files", "pull")]

with DAG(
    "marts",
    doc_md=__doc__,
    schedule=AssetAny(*inputs),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(marts)},
    tags=["gold"],
):
    glue_job("marts", "marts", outlets=[Asset(f"gold.{dataset.name}") for dataset in marts])
