"""Who is in the network: one security group for the workers of jobs and for Airflow."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from estate.accepted import accepted


def members(vpc: aws.ec2.Vpc, prefix: str, opts: pulumi.ResourceOptions) -> aws.ec2.SecurityGroup:
    """The group: its members talk to each other on any port, and to the outside by TLS alone."""
    group = aws.ec2.SecurityGroup(
        "members",
        name=f"{prefix}-members",
        description="Jobs and Airflow: among themselves, and out by TLS",
        vpc_id=vpc.id,
        tags={"Name": f"{prefix}-members"},
        opts=opts,
    )
    for kind, rule in (
        ("in", aws.vpc.SecurityGroupIngressRule),
        ("out", aws.vpc.SecurityGroupEgressRule),
    ):
        rule(
            f"members-{kind}",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="members among themselves",
            opts=opts,
        )
    aws.vpc.SecurityGroupEgressRule(
        "tls-out",
        security_group_id=group.id,
        cidr_ipv4="0.0.0.0/0",
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        description="AWS, and the APIs that are pulled from",
        opts=opts,
    )
    return accepted(group, CKV2_AWS_5="Glue's connection has it, and MWAA; the check knows neither")
