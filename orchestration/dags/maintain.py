"""Keeps tables small, once a day: compacts files, expires snapshots, removes orphans.

What was done to each table is the XCom ``report`` of ``result``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param
from lakehouse_dags.alerts import log_last_words
from lakehouse_dags.deployment import DEFAULTS, bucket, glue_job
from lakehouse_dags.operations import result

with DAG(
    "maintain",
    doc_md=__doc__,
    schedule="23 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={"dry_run": Param(False, type="boolean")},
    tags=["operations"],
):
    dry_run = "{{ 'true' if params.dry_run else 'false' }}"
    maintained = glue_job(
        "maintain",
        "maintain",
        {"--dry-run": dry_run},
        # ``result`` tells of it, with all that was done.
        on_failure_callback=log_last_words,
    )
    maintained >> result("maintain", bucket("verdicts"))
