"""A role and the one policy that it has, as every role of the estate is made."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import pulumi
import pulumi_aws as aws

from estate.access.grants import GROUP_REMEDY, KeyArns, Statement, policy
from estate.account import Account
from estate.storage.keys import KEYS, Keys
from lakehouse import naming
from lakehouse.errors import EstateError

Rules = Callable[[Account, KeyArns], list[Statement]]
"""What a role may do, once the account and its keys are known."""
_ROLE_NAME_LIMIT: Final = 64
"""Characters. Source: IAM quotas."""


def make_role(
    name: str,
    *,
    called: str,
    description: str,
    trust: pulumi.Input[str],
    own: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """The role, and its policy for those that have to wait for it."""
    role = aws.iam.Role(
        name,
        name=called,
        description=description,
        assume_role_policy=trust,
        opts=opts,
    )
    rights = aws.iam.RolePolicy(
        name,
        name="own",
        role=role.name,
        policy=own,
        opts=pulumi.ResourceOptions(parent=role),
    )
    return role, rights


def measured_role(
    name: str,
    prefix: str,
    rules: Rules,
    *,
    trust: pulumi.Input[str],
    account: pulumi.Output[Account],
    keys: Keys,
    parent: pulumi.Resource,
    shorten: str,
    remedy: str = GROUP_REMEDY,
) -> aws.iam.Role:
    """The role ``<prefix>-<name>``, its policy measured before anything is built.

    EstateError where IAM would refuse its name or its policy; ``shorten`` and ``remedy`` say what
    to do about the one and the other.
    """
    called = naming.job(prefix, name)
    if len(called) > _ROLE_NAME_LIMIT:
        raise EstateError(
            f"role name {called!r} has {len(called)} characters, IAM takes {_ROLE_NAME_LIMIT}; "
            f"shorten the prefix or {shorten}"
        )

    def document(account: Account, keys: KeyArns) -> str:
        return policy(called, rules(account, keys), remedy)

    # In the region with the longest name.
    sample = Account(prefix, "aws", "ap-southeast-1", "0" * 12)
    document(sample, {key: sample.arn("kms", f"key/{uuid.UUID(int=0)}") for key in KEYS})
    own = pulumi.Output.all(account, keys.arns()).apply(lambda known: document(*known))
    role, _ = make_role(
        name,
        called=called,
        description=f"What {called} may do",
        trust=trust,
        own=own,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role
