"""Whether the deployer may make what the stack consists of, by IAM's own simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakehouse.doctor.account import Account
from lakehouse.doctor.caller import caller
from lakehouse.doctor.finding import Finding
from lakehouse.doctor.need import Need

_CREATES: Final = {
    "Bucket": ("s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutEncryptionConfiguration"),
    "CatalogDatabase": ("glue:CreateDatabase",),
    "Environment": ("airflow:CreateEnvironment",),
    "Job": ("glue:CreateJob",),
    "Key": ("kms:CreateKey", "kms:PutKeyPolicy", "kms:EnableKeyRotation"),
    "MetricAlarm": ("cloudwatch:PutMetricAlarm",),
    "Queue": ("sqs:CreateQueue",),
    "Registry": ("glue:CreateRegistry",),
    "Role": ("iam:CreateRole", "iam:PutRolePolicy", "iam:PassRole"),
    "Schedule": ("scheduler:CreateSchedule",),
    "Stream": ("kinesis:CreateStream",),
    "Topic": ("sns:CreateTopic",),
    "Trail": ("cloudtrail:CreateTrail",),
    "Vpc": ("ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateNatGateway"),
    "Workgroup": ("athena:CreateWorkGroup",),
}
"""Calls that make a type of resource, a sample: those that a narrow role lacks first."""


def rights(account: Account, need: Need) -> Iterator[Finding]:
    """Which of the calls that make the stack the deployer may not make.

    The simulator knows the role's own policies and its boundary, not the organisation's.
    """
    who = caller(account)
    if who.is_root:
        return
    role = ":assumed-role/" in who.arn
    source = account.ask("iam", "get_role", RoleName=who.name)["Role"]["Arn"] if role else who.arn
    actions = sorted({a for kind, made in _CREATES.items() if need.count(kind) for a in made})
    answer = account.ask(
        "iam", "simulate_principal_policy", PolicySourceArn=source, ActionNames=actions
    )
    lacking = sorted(
        result["EvalActionName"]
        for result in answer["EvaluationResults"]
        if result["EvalDecision"] != "allowed"
    )
    if lacking:
        yield Finding(
            "rights",
            "fail",
            f"{who.name} may not {', '.join(lacking)}",
            f"attach a policy to {who.name} that allows them, or deploy as somebody who may",
        )
    else:
        yield Finding("rights", "ok", f"{who.name} may make {len(actions)} of {len(actions)} tried")
