"""Tells of objects that arrive in the landing zone: a queue that wakes whoever lands them.

A message only wakes: what is to be landed is the listing less the ledger, so one that is lost or
comes twice changes nothing, and one that cannot be handled goes to the queue of dead letters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from estate.storage.lake import Lake
from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig

_TRIES: Final = 5
_KEPT_SECONDS: Final = 14 * 86_400


class Arrivals(pulumi.ComponentResource):
    """The rule over the landing bucket, the queue ``<prefix>-arrivals`` and its dead letters."""

    def __init__(
        self,
        config: StackConfig,
        lake: Lake,
        key: pulumi.Output[str],
    ) -> None:
        super().__init__("lakehouse:estate:Arrivals", "arrivals")
        below = pulumi.ResourceOptions(parent=self)
        dead = aws.sqs.Queue(
            "dead-arrivals",
            name=f"{config.prefix}-dead-arrivals",
            kms_master_key_id=key,
            message_retention_seconds=_KEPT_SECONDS,
            opts=below,
        )
        queue = aws.sqs.Queue(
            "arrivals",
            name=f"{config.prefix}-arrivals",
            kms_master_key_id=key,
            message_retention_seconds=4 * 86_400,
            visibility_timeout_seconds=300,
            redrive_policy=dead.arn.apply(
                lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": _TRIES})
            ),
            opts=below,
        )
        aws.s3.BucketNotification(
            "arrivals", bucket=lake["landing"].bucket, eventbridge=True, opts=below
        )
        rule = aws.cloudwatch.EventRule(
            "arrivals",
            name=f"{config.prefix}-arrivals",
            description="An object arrived in the landing zone",
            event_pattern=json.dumps(
                {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {"bucket": {"name": [naming.bucket(config.prefix, "landing")]}},
                }
            ),
            opts=below,
        )
        aws.sqs.QueuePolicy(
            "arrivals",
            queue_url=queue.url,
            policy=pulumi.Output.all(queue.arn, rule.arn).apply(
                lambda arns: json.dumps(queue_policy(*arns))
            ),
            opts=below,
        )
        aws.cloudwatch.EventTarget(
            "arrivals",
            rule=rule.name,
            arn=queue.arn,
            dead_letter_config={"arn": dead.arn},
            retry_policy={"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 10},
            opts=below,
        )
        aws.sqs.QueuePolicy(
            "dead-arrivals",
            queue_url=dead.url,
            policy=pulumi.Output.all(dead.arn, rule.arn).apply(
                lambda arns: json.dumps(queue_policy(*arns))
            ),
            opts=below,
        )
        self.queue, self.dead = queue, dead
        self.register_outputs({})


def queue_policy(queue: str, rule: str) -> dict[str, object]:
    """EventBridge may send for this one rule; nobody may speak without TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Arrivals",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
