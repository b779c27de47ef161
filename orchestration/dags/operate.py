"""Runs one of the operations that a person decides on: replay, rebuild, drop-branch.

A dry run, which is the default, says what would be done and changes nothing. What the operation
said is the XCom ``report`` of ``result``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param
from lakehouse_dags.alerts import log_last_words
from lakehouse_dags.datasets import read_datasets
from lakehouse_dags.deployment import DEFAULTS, PATIENT, DecidedGlueJob, bucket, glue_job
from lakehouse_dags.operations import result

known = [dataset.name for dataset in read_datasets("stream", "files", "pull", "mart")]
_OPERATIONS = ["replay", "rebuild", "drop-branch"]

with DAG(
    "operate",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={
        "operation": Param("replay", type="string", enum=_OPERATIONS),
        "datasets": Param(
            known[:1],
            type="array",
            items={"type": "string", "enum": known or [""]},
            minItems=1,
        ),
        "dry_run": Param(True, type="boolean"),
        "arguments": Param(
            {},
            type="object",
            description="What the operation takes besides: of replay its filters, of rebuild "
            "as_of, including, contract, now or publish, of drop-branch the branch.",
        ),
    },
    tags=["operations"],
):
    operate = glue_job(
        "operate",
        "operate",
        {
            "--operation": "{{ params.operation }}",
            "--datasets": "{{ params.datasets | join(',') }}",
            "--dry-run": "{{ 'true' if params.dry_run else 'false' }}",
            "--arguments": "{{ params.arguments | tojson }}",
        },
        DecidedGlueJob,
        # ``result`` tells of it, with all that was done.
        on_failure_callback=log_last_words,
        **PATIENT,
    )
    operate >> result("operate", bucket("verdicts"))
