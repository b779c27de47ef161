"""Tells of every run of a Glue job that failed, whatever it failed of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from estate.config import StackConfig


STATES: Final = ("ERROR", "FAILED", "TIMEOUT")
_TEXT: Final = "Glue job <job>: run <run> ended as <state>: <why>"


class Failures(pulumi.ComponentResource):
    """The rule ``<prefix>-failed-runs`` over the jobs' changes of state, told to the topic.

    Glue's metrics count tasks that fail, which Spark tries again, and nothing of a run whose
    driver fails.
    """

    def __init__(self, config: StackConfig, topic: pulumi.Output[str]) -> None:
        super().__init__("lakehouse:estate:Failures", "failures")
        below = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            "failed-runs",
            name=f"{config.prefix}-failed-runs",
            description="A run of a job of this deployment failed",
            event_pattern=json.dumps(
                {
                    "source": ["aws.glue"],
                    "detail-type": ["Glue Job State Change"],
                    # A pattern ends at 2,048 characters: no list of the jobs.
                    "detail": {
                        "jobName": [{"prefix": f"{config.prefix}-"}],
                        "state": list(STATES),
                    },
                }
            ),
            opts=below,
        )
        aws.cloudwatch.EventTarget(
            "failed-runs",
            rule=rule.name,
            arn=topic,
            input_transformer={
                "input_paths": {
                    "job": "$.detail.jobName",
                    "run": "$.detail.jobRunId",
                    "state": "$.detail.state",
                    "why": "$.detail.message",
                },
                "input_template": json.dumps(_TEXT),
            },
            retry_policy={"maximum_event_age_in_seconds": 86_400, "maximum_retry_attempts": 185},
            opts=below,
        )
        self.register_outputs({})
