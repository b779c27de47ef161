"""KMS keys: one for what comes in, one a layer, one for the platform's own records."""

from __future__ import annotations

import functools
import json
from typing import Any, Final, Literal, get_args

import pulumi
import pulumi_aws as aws

from estate.account import Account
from estate.config import KeysConfig
from lakehouse.naming import BucketPurpose

KeyName = Literal["inbound", "bronze", "silver", "gold", "operations"]
KEYS: Final[tuple[KeyName, ...]] = get_args(KeyName)
BUCKET_KEYS: Final[dict[BucketPurpose, KeyName]] = {
    "landing": "inbound",
    "bronze": "bronze",
    "silver": "silver",
    "gold": "gold",
    "results": "gold",
    "artifacts": "operations",
    "ledger": "operations",
    "verdicts": "operations",
}
"""Which key a bucket's objects are encrypted with. Streams use ``inbound``."""


class Keys(pulumi.ComponentResource):
    """The keys and their aliases ``alias/<prefix>-<name>``."""

    def __init__(
        self, prefix: str, config: KeysConfig, account: pulumi.Output[Account], *, protect: bool
    ) -> None:
        super().__init__("lakehouse:estate:Keys", "keys")
        self._arns: dict[KeyName, pulumi.Output[str]] = {}
        for name in KEYS:
            key = aws.kms.Key(
                f"key-{name}",
                description=f"{prefix}: {name}",
                enable_key_rotation=True,
                deletion_window_in_days=config.deletion_days,
                policy=account.apply(functools.partial(_policy_text, name)),
                tags={"Name": f"{prefix}-{name}"},
                opts=pulumi.ResourceOptions(parent=self, protect=protect),
            )
            aws.kms.Alias(
                f"alias-{name}",
                name=f"alias/{prefix}-{name}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self._arns[name] = key.arn
        self.register_outputs({})

    def __getitem__(self, name: KeyName) -> pulumi.Output[str]:
        """ARN of a key."""
        return self._arns[name]

    def of_bucket(self, purpose: BucketPurpose) -> pulumi.Output[str]:
        """ARN of the key of a bucket."""
        return self._arns[BUCKET_KEYS[purpose]]

    def arns(self) -> pulumi.Output[dict[KeyName, str]]:
        """All keys' ARNs by name."""
        return pulumi.Output.all(*self._arns.values()).apply(
            lambda arns: dict(zip(self._arns, arns, strict=True))
        )


def key_policy(account: Account, name: KeyName) -> dict[str, Any]:
    """The policy of a key: IAM decides, and services that act for this account may use it.

    In a key's own policy the resource ``*`` is that key.
    """
    statements: list[dict[str, Any]] = [
        {
            "Sid": "AccountDecidesByIam",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{account.partition}:iam::{account.id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
    if name == "inbound":
        # EventBridge puts arrivals into an encrypted queue.
        statements.append(_events("Arrivals"))
    if name == "operations":
        statements += [
            _logs(account),
            # Alarms, budgets, anomalies and failed runs are told to an encrypted topic.
            _service(account, "Alerts", ["cloudwatch", "budgets", "costalerts"]),
            _events("FailedRuns"),
            _trail(account),
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def _service(account: Account, sid: str, services: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
    }


def _events(sid: str) -> dict[str, Any]:
    """EventBridge may encrypt. Its calls name no source, so that a condition would refuse them.

    Source: key management in SNS's developer guide. What it may send where, the policies of
    queues and topics say.
    """
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
    }


def _trail(account: Account) -> dict[str, Any]:
    """CloudTrail looks at the key before it takes it, then encrypts for this one trail."""
    return {
        "Sid": "Trail",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "aws:SourceArn": account.arn("cloudtrail", f"trail/{account.prefix}-lake")
            }
        },
    }


def _logs(account: Account) -> dict[str, Any]:
    """CloudWatch Logs may encrypt the estate's own groups: of jobs, Airflow and the network."""
    groups = ("/aws-glue/*", f"airflow-{account.prefix}-*", f"/lakehouse/{account.prefix}/*")
    return {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{account.region}.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": [
                    account.arn("logs", f"log-group:{group}") for group in groups
                ]
            }
        },
    }


def _policy_text(name: KeyName, account: Account) -> str:
    return json.dumps(key_policy(account, name))
