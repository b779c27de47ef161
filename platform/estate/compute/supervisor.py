"""Keeps the ingest jobs going: a schedule tries to start each of them again and again.

While a run is under way Glue refuses another one, which is just what is wanted. So a job that
ended for another release, or was lost, is back within minutes, under the code that is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.access import servicepolicies
from estate.access.grants import policy
from estate.access.role import make_role
from estate.account import Account
from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig


class Supervisor(pulumi.ComponentResource):
    """A schedule a job, under a role that may start these jobs."""

    def __init__(
        self,
        config: StackConfig,
        jobs: Sequence[str],
        account: pulumi.Output[Account],
        key: pulumi.Output[str],
        *,
        after: pulumi.Resource,
    ) -> None:
        super().__init__("lakehouse:estate:Supervisor", "supervisor")
        name = naming.job(config.prefix, "supervisor")
        role, _ = make_role(
            "supervisor",
            called=name,
            description="Starts the ingest jobs",
            trust=account.apply(
                lambda known: json.dumps(servicepolicies.trust(known, "scheduler"))
            ),
            own=pulumi.Output.all(account, key).apply(
                lambda known: policy(name, servicepolicies.supervisor(known[0], known[1], jobs))
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for job in jobs:
            aws.scheduler.Schedule(
                job,
                name=naming.job(config.prefix, job),
                description=f"Starts {job} unless it runs",
                schedule_expression=every(config.jobs.ingest.every_minutes),
                state="DISABLED" if config.jobs.ingest.paused else "ENABLED",
                flexible_time_window={"mode": "OFF"},
                kms_key_arn=key,
                target={
                    "arn": account.apply(start_job_run),
                    "role_arn": role.arn,
                    "input": json.dumps({"JobName": naming.job(config.prefix, job)}),
                    # The next minutes bring the next try.
                    "retry_policy": {"maximum_retry_attempts": 0},
                },
                opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
            )
        self.register_outputs({})


def start_job_run(account: Account) -> str:
    """The schedule's target: Glue's own call."""
    return f"arn:{account.partition}:scheduler:::aws-sdk:glue:startJobRun"


def every(minutes: int) -> str:
    """A rate as the scheduler reads it, which tells one from many."""
    return "rate(1 minute)" if minutes == 1 else f"rate({minutes} minutes)"
