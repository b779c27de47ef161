"""What services may do that act for the estate, and who may take a role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from estate.access.grants import Statement, allow
from estate.account import Account


def in_network(account: Account) -> list[Statement]:
    """What a Glue job does to have its workers in the estate's network."""
    connection = account.arn("glue", f"connection/{account.prefix}-network")
    return [
        allow("Connection", ["glue:GetConnection"], [account.arn("glue", "catalog"), connection]),
        # EC2 has no resource to name for these calls.
        allow(
            "NetworkLooks",
            [
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcEndpoints",
            ],
            ["*"],
        ),
        allow("NetworkAsks", ["ec2:DescribeVpcAttribute"], [account.arn("ec2", "vpc/*")]),
        allow(
            "NetworkInterfaces",
            ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"],
            [
                account.arn("ec2", kind)
                for kind in ("network-interface/*", "security-group/*", "subnet/*")
            ],
        ),
        allow(
            "NetworkTags",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            [account.arn("ec2", "network-interface/*")],
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}},
        ),
    ]


def supervisor(account: Account, key: str, jobs: Sequence[str]) -> list[Statement]:
    """Starts the ingest jobs, and nothing else."""
    return [
        allow("Start", ["glue:StartJobRun"], [account.job(job) for job in jobs]),
        # What a schedule sends is encrypted, and read under the role that it acts by.
        allow("ScheduleKey", ["kms:Decrypt"], [key]),
    ]


def flow_logs(group: str) -> list[Statement]:
    """Writes the network's flow logs, and nothing else."""
    return [
        allow(
            "FlowLogs",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [f"{group}:*"],
        )
    ]


def trust(account: Account, *services: str) -> dict[str, Any]:
    """Who may take a role: services, acting for this account alone."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
            }
        ],
    }
