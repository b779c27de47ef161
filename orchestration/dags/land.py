"""Lands what has arrived as files or was pulled: at once, and every quarter of an hour.

A sweep: what to land is the listing less the ledger, so a run too many is cheap. The only DAG that
starts the job ``land``, of which one run may be under way.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, arrivals, glue_job

landed = read_datasets("files", "pull")
pulled = [Asset(f"landing.{dataset.name}") for dataset in landed if dataset.source == "pull"]
wakes = [*pulled, *arrivals()]
sweep = CronTriggerTimetable("*/15 * * * *", timezone="UTC")

with DAG(
    "land",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=sweep, assets=AssetAny(*wakes)) if wakes else sweep,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(landed)},
    tags=["bronze"],
):
    glue_job("land", "land")
