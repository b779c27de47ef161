"""Pulls the API datasets into the landing zone, and wakes the DAG ``land``.

Scheduled, a run pulls the days or months that the contract's ``lookBack`` reaches back to;
``{"months": ["2013-01", ...], "days": ["2013-01-31", ...]}`` asks for others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import (
    DAG,
    Asset,
    BaseHook,
    CronTriggerTimetable,
    Param,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from lakehouse_dags.client import Api, ApiError
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket
from lakehouse_dags.pulls import Landing, pull_period
from lakehouse_dags.pullspec import periods_asked, periods_before, read_pull

pulled = {dataset.name: dataset for dataset in read_datasets("pull")}
_MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
_DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"

with DAG(
    "pull",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("7 0 * * *", timezone="UTC"),
    # What is older than this cannot be backfilled.
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": owners(list(pulled.values()))},
    params={
        "months": Param([], type="array", items={"type": "string", "pattern": _MONTH}),
        "days": Param([], type="array", items={"type": "string", "pattern": _DAY}),
        "datasets": Param(
            [],
            type="array",
            items={"type": "string", "enum": sorted(pulled) or [""]},
            description="All, where none is named.",
        ),
    },
    tags=["bronze"],
):
    # An API may ask to be waited for, and a backfill may run beside the schedule.
    @task(execution_timeout=timedelta(hours=1), max_active_tis_per_dag=1)
    def fetch(dataset: str, landing: str) -> None:
        """Pull the wanted periods, as XCom ``report``; skipped when no page has changed."""
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        if params["datasets"] and dataset not in params["datasets"]:
            raise AirflowSkipException("not asked for")
        pull, form = read_pull(pulled[dataset].custom)
        due = run.logical_date or run.run_after
        if params["months"] or params["days"]:
            periods = periods_asked(params["months"], params["days"], due, pull)
        else:
            periods = periods_before(due, pull)
        place = Landing(S3Hook().get_conn(), landing, dataset)
        connection = BaseHook.get_connection(pull.connection)
        done, refused = [], []
        with Api(connection, max_bytes=pull.max_page_megabytes << 20) as api:
            for period in periods:
                try:
                    done.append(pull_period(place, api, pull, form, period))
                except ApiError as error:
                    # Of what an API cannot give of one period it may have the next.
                    refused.append(f"{period.name}: {error}")
        words = "; ".join([*map(str, done), *refused]) or "no such day has come yet"
        context["ti"].xcom_push(key="report", value=words)
        if refused:
            raise AirflowFailException(f"{dataset}: {words}")
        if not any(period.written or period.removed for period in done):
            raise AirflowSkipException(f"nothing new: {words}")

    for dataset in pulled.values():
        fetch.override(
            task_id=f"fetch_{dataset.name}",
            owner=dataset.owner,
            outlets=[Asset(f"landing.{dataset.name}")],
        )(dataset.name, bucket("landing"))
