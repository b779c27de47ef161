"""Where alarms go: an encrypted topic that on-call subscribes to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.account import Account
from estate.settings import Settings

if TYPE_CHECKING:
    from estate.config import StackConfig

SENDERS = ("cloudwatch", "budgets", "costalerts")
"""Services that publish; they need the topic's key as well."""


_Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class AlertsConfig(Settings):
    """Who is told."""

    emails: Annotated[tuple[_Address, ...], Field(strict=False)] = ()
    """Addresses that confirm by a link before they are sent anything."""


class Alerts(pulumi.ComponentResource):
    """The topic ``<prefix>-alerts`` and its subscribers."""

    def __init__(
        self,
        config: StackConfig,
        account: pulumi.Output[Account],
        key: pulumi.Output[str],
    ) -> None:
        super().__init__("lakehouse:estate:Alerts", "alerts")
        below = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            "alerts", name=f"{config.prefix}-alerts", kms_master_key_id=key, opts=below
        )
        aws.sns.TopicPolicy(
            "alerts",
            arn=topic.arn,
            policy=pulumi.Output.all(topic.arn, account).apply(
                lambda known: json.dumps(topic_policy(*known))
            ),
            opts=below,
        )
        for number, address in enumerate(config.alerts.emails):
            aws.sns.TopicSubscription(
                f"mail-{number}", topic=topic.arn, protocol="email", endpoint=address, opts=below
            )
        self.topic = topic.arn
        self.register_outputs({})


def topic_policy(topic: str, account: Account) -> dict[str, object]:
    """Alarms, rules, budgets and anomalies of this account may publish, by TLS alone."""
    own = {"StringEquals": {"aws:SourceAccount": account.id}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Senders",
                "Effect": "Allow",
                "Principal": {"Service": [f"{sender}.amazonaws.com" for sender in SENDERS]},
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": own,
            },
            {
                # Its calls name no source that a condition could ask for.
                "Sid": "Rules",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
