"""Who talked to whom in the network: flow logs, encrypted, kept for a year."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.access import servicepolicies
from estate.access.grants import policy
from estate.access.role import make_role
from estate.account import Account

if TYPE_CHECKING:
    from estate.config import StackConfig
    from estate.network.vpc import NetworkConfig


def flow_logs(
    vpc: aws.ec2.Vpc,
    stack: StackConfig,
    config: NetworkConfig,
    *,
    account: pulumi.Output[Account],
    key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Log what the network accepts and rejects to CloudWatch."""
    name = f"{stack.prefix}-flow-logs"
    group = aws.cloudwatch.LogGroup(
        "flow-logs",
        name=f"/lakehouse/{stack.prefix}/flow-logs",
        kms_key_id=key,
        retention_in_days=config.flow_log_days,
        opts=opts,
    )
    role, _ = make_role(
        "flow-logs",
        called=name,
        description="Lets the network's flow logs be written",
        trust=account.apply(
            lambda known: json.dumps(servicepolicies.trust(known, "vpc-flow-logs"))
        ),
        own=group.arn.apply(lambda arn: policy(name, servicepolicies.flow_logs(arn))),
        opts=opts,
    )
    aws.ec2.FlowLog(
        "flow-logs",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        max_aggregation_interval=600,
        tags={"Name": name},
        opts=opts,
    )
