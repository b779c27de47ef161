"""Promotes new loads of bronze to silver, and reports what became of each dataset.

A report that finds rows published updates the asset ``silver.<dataset>``, which starts the marts.
What a person has to look at turns ``attention`` red, and with it the run.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from lakehouse_dags.alerts import glue_failure, log_last_words, notify
from lakehouse_dags.datasets import owners, read_datasets
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.verdicts import Mark, failures_by_dataset, in_words, read_entries

log = logging.getLogger("lakehouse.promotion.promote")
promoted = {dataset.name: dataset for dataset in read_datasets("stream", "files", "pull")}
_FIRST = timedelta(days=1)
"""How far back the first report of a dataset looks."""

with DAG(
    "promote",
    doc_md=__doc__,
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        **DEFAULTS,
        "owner": owners(list(promoted.values())),
        # Whatever fails, ``attention`` tells of it, once.
        "on_failure_callback": log_last_words,
    },
    tags=["silver"],
) as dag:

    @task(trigger_rule="all_done")
    def report(dataset: str, verdicts: str) -> None:
        """What became of the dataset, as XCom ``report``.

        Success when rows were published, skipped when there was nothing to do, failed when its load
        is held or its promotion failed. What is told once stands in the XCom ``told``; what was
        published goes on being news until an asset event has it.
        """
        context = get_current_context()
        instance, asset = context["ti"], Asset(f"silver.{dataset}")
        first = context["dag_run"].run_after - _FIRST
        events = context["inlet_events"][asset].ascending(False).limit(1)
        marked = Mark.load(events[0].extra if len(events) else None, first)
        said = instance.xcom_pull(
            task_ids=instance.task_id, key="told", include_prior_dates=True, default=None
        )
        told = Mark.load(said, first)
        entries = read_entries(
            dataset, min(marked.since, told.since), verdicts, S3Hook().get_conn()
        )
        published = [entry for entry in marked.new(entries) if entry.published]
        aside = promoted[dataset].sets_aside
        news = {entry.key: entry for entry in [*published, *told.new(entries)]}
        lines = [in_words(entry, sets_aside=aside) for entry in news.values()]
        failure = glue_failure(instance, "promote", dag.get_task("promote")) or ""
        why = failures_by_dataset(failure, list(promoted)).get(dataset)
        if why is not None:
            lines.append(f"the promotion FAILED: {why}")
        elif failure and not lines:
            lines.append(f"the promotion failed before it came to this: {failure}")
        words = "; ".join(lines) or "no new loads"
        blamed = any(entry.blamed for entry in told.new(entries))
        stuck = why is not None or (blamed and not aside)
        log.log(logging.WARNING if blamed or failure else logging.INFO, "%s: %s", dataset, words)
        instance.xcom_push(key="report", value=words)
        if blamed or stuck:
            instance.xcom_push(key="attention", value={"words": words, "stuck": stuck})
        instance.xcom_push(key="told", value=told.after(entries).dump())
        if published:
            context["outlet_events"][asset].extra.update(marked.after(entries).dump())
        elif stuck:
            raise AirflowFailException(words)
        else:
            raise AirflowSkipException(words)

    @task(trigger_rule="all_done", on_failure_callback=DEFAULTS["on_failure_callback"])
    def attention() -> None:
        """What a person has to look at, as XCom ``report``; skipped when there is nothing.

        Failed while a load is held or something failed, success when loads were set aside.
        """
        context = get_current_context()
        instance = context["ti"]
        states = instance.get_task_states(dag_id=dag.dag_id, run_ids=[context["run_id"]])
        lines, stuck = [], False
        for name, state in states[context["run_id"]].items():
            if name == instance.task_id:
                continue
            said = instance.xcom_pull(task_ids=name, key="attention", default=None)
            if said:
                lines.append(f"{name.removeprefix('report_')}: {said['words']}")
                stuck = stuck or said["stuck"]
            elif state in {"failed", "upstream_failed"}:
                failure = glue_failure(instance, name, dag.get_task(name))
                lines.append(f"{name}: {failure or 'failed, its log says why'}")
                stuck = True
        words = "\n".join(lines)
        instance.xcom_push(key="report", value=words)
        if stuck:
            raise AirflowFailException(words)
        if not lines:
            raise AirflowSkipException("nothing to look at")
        log.warning("%s", words)
        notify(instance, "asks for attention", words)

    run = glue_job("promote", "promote")
    last = attention()
    for dataset in promoted.values():
        asset = Asset(f"silver.{dataset.name}")
        reported = report.override(
            task_id=f"report_{dataset.name}", owner=dataset.owner, inlets=[asset], outlets=[asset]
        )(dataset.name, bucket("verdicts"))
        run >> reported >> last
    run >> last
