"""Where the jobs log: Glue's own names for it, the groups made beforehand so that lines end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig

STREAMS: Final = ("error", "output")
"""Spark's and the library's log, and what is printed."""


def log_folder(prefix: str, job: str) -> str:
    """The start of the names of a job's log groups.

    Glue 5 and later makes it of the security configuration and the role, so that every job has
    groups of its own without being told. Read in public code that looks for these groups, not in a
    page of AWS: to be compared with the first real run.
    """
    return f"/aws-glue/jobs/{prefix}-role/{naming.job(prefix, job)}"


def job_logs(
    config: StackConfig, job: str, key: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> list[aws.cloudwatch.LogGroup]:
    """A job's log groups; Glue would make them too, and keep them for ever."""
    return [
        aws.cloudwatch.LogGroup(
            f"{job}-{stream}",
            name=f"{log_folder(config.prefix, job)}/{stream}",
            kms_key_id=key,
            retention_in_days=config.jobs.log_days,
            opts=opts,
        )
        for stream in STREAMS
    ]
