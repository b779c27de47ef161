"""Reads the verdicts that a promotion left in S3, and says what they mean."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook


def verdicts_of_run(dataset: str, run_id: str, bucket: str, s3: S3Hook) -> list[dict[str, Any]]:
    """The verdicts on a dataset that one Glue run made, oldest first."""
    keys = s3.list_keys(bucket, prefix=f"dataset={dataset}/") or []
    found: list[dict[str, Any]] = [json.loads(s3.read_key(key, bucket)) for key in keys]
    made = [verdict for verdict in found if verdict["run_id"] == run_id]
    return sorted(made, key=lambda verdict: str(verdict["checked_at"]))


def in_words(verdict: dict[str, Any]) -> str:
    """One line for the log."""
    loads = ", ".join(map(str, verdict["loads"]))
    passed = sum(check["outcome"] == "pass" for check in verdict["checks"])
    outcome = "passed" if verdict["passed"] else f"FAILED, {verdict['reason']}"
    return f"loads {loads}: {outcome} ({passed} of {len(verdict['checks'])} checks pass)"
