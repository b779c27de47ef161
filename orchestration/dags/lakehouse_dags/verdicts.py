"""Reads the verdicts that a promotion left in S3, and says what they mean."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook


def verdicts_since(dataset: str, since: datetime, bucket: str, s3: S3Hook) -> list[dict[str, Any]]:
    """The verdicts on a dataset that were written at ``since`` or later, oldest first.

    By time and not by Glue run: what a run published before it failed is published, and the run of
    a retry does not know of it. Older verdicts, which only become more, are listed but not read.
    """
    # S3 dates objects to the second, and the hook leaves out the bound itself.
    bound = since.replace(microsecond=0) - timedelta(seconds=1)
    keys = s3.list_keys(bucket, prefix=f"dataset={dataset}/", from_datetime=bound) or []
    found: list[dict[str, Any]] = [json.loads(s3.read_key(key, bucket)) for key in keys]
    return sorted(found, key=lambda verdict: str(verdict["checked_at"]))


def in_words(verdict: dict[str, Any]) -> str:
    """One line for the log."""
    loads = ", ".join(map(str, verdict["loads"]))
    passed = sum(check["outcome"] == "pass" for check in verdict["checks"])
    outcome = "passed" if verdict["passed"] else f"FAILED, {verdict['reason']}"
    return f"loads {loads}: {outcome} ({passed} of {len(verdict['checks'])} checks pass)"
