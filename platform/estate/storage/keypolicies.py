"""The policies of the keys: IAM decides, and services that act for the account may use some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from estate.account import Account
from estate.compute.joblogs import log_folder

if TYPE_CHECKING:
    from estate.storage.keys import KeyName


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
    groups = (
        log_folder(account.prefix, "*"),
        f"airflow-{account.prefix}-*",
        f"/lakehouse/{account.prefix}/*",
    )
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
