"""Roles that people and partners take, and who may take them: named principals, nobody else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.access.role import Rules, measured_role
from estate.account import Account
from estate.storage.keys import Keys

Principal = Annotated[
    str, Field(pattern=r"^arn:aws(-[a-z]+)*:iam::\d{12}:(role|user)/[\w+=,.@/-]{3,}\*?$")
]
"""ARN of a role or user. Its end may be open, for the names of Identity Center's roles end in a
suffix that changes whenever a permission set is assigned anew."""
Principals = Annotated[tuple[Principal, ...], Field(strict=False)]


def role(
    parent: pulumi.Resource,
    name: str,
    prefix: str,
    principals: Sequence[str],
    rules: Rules,
    *,
    account: pulumi.Output[Account],
    keys: Keys,
) -> aws.iam.Role:
    """The role ``<prefix>-<name>``; EstateError for a name or a policy that IAM refuses."""
    return measured_role(
        name,
        prefix,
        rules,
        trust=json.dumps(trust(principals)),
        account=account,
        keys=keys,
        parent=parent,
        shorten="the dataset's name",
        remedy="let Lake Formation decide on tables",
    )


def trust(principals: Sequence[str]) -> dict[str, Any]:
    """Who may take a role: these, users only with a second factor; without any, nobody.

    Their accounts stand as principals, for IAM refuses a policy that names a role which is not
    there yet and cuts off one that was made anew; the condition is what lets nobody else in.
    """
    roles = [arn for arn in principals if ":role/" in arn]
    users = [arn for arn in principals if ":user/" in arn]
    statements = [_takes("Roles", roles, {})] if roles else []
    if users:
        statements.append(_takes("Users", users, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    return {"Version": "2012-10-17", "Statement": statements or [_NOBODY]}


_NOBODY: Final = {
    "Sid": "Nobody",
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "sts:AssumeRole",
}


def _takes(sid: str, arns: Sequence[str], also: dict[str, Any]) -> dict[str, Any]:
    accounts = sorted({arn.partition(":role/")[0].partition(":user/")[0] for arn in arns})
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": [f"{account}:root" for account in accounts]},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:PrincipalArn": sorted(arns)}} | also,
    }
