"""IAM statements, the building blocks of every role's policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from estate.account import Account
from estate.compute.joblogs import log_folder
from estate.storage.keys import KeyName
from lakehouse.errors import EstateError
from lakehouse.metrics import NAMESPACE
from lakehouse.naming import BucketPurpose, Layer

Statement = dict[str, Any]
KeyArns = Mapping[KeyName, str]
POLICY_LIMIT: Final = 10_240
"""Characters, white space aside, of all inline policies of a role. Source: IAM quotas."""
GROUP_REMEDY: Final = (
    "give some of its datasets another group, or fewer of them streams of other accounts"
)


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Any = None
) -> Statement:
    """One statement."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    return statement | ({"Condition": condition} if condition else {})


def policy(role: str, statements: Iterable[Statement], remedy: str = GROUP_REMEDY) -> str:
    """The policy document; EstateError, with a remedy, when IAM would refuse it for its size."""
    text = json.dumps(
        {"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")
    )
    if len(text) > POLICY_LIMIT:
        raise EstateError(
            f"the policy of role {role} has {len(text)} characters; IAM takes {POLICY_LIMIT}: "
            f"{remedy}"
        )
    return text


def objects(
    account: Account,
    purpose: BucketPurpose,
    *keys: str,
    write: bool = False,
    delete: bool = False,
    versions: bool = False,
    listing: bool = True,
) -> list[Statement]:
    """Rights on a bucket's objects below key patterns such as ``flights/*``; none: all of them.

    Tables are read by what their metadata names, for which nothing has to be listed.
    """
    bucket = account.bucket(purpose)
    name = purpose.title()
    # What is read by its version needs no other right.
    get = ["s3:GetObjectVersion" if versions else "s3:GetObject"]
    put = ["s3:PutObject", "s3:AbortMultipartUpload"] if write else []
    end = ["s3:DeleteObject"] if delete else []
    found = [
        allow(f"{name}Objects", get + put + end, [f"{bucket}/{key}" for key in keys or ("*",)])
    ]
    if not listing:
        return found
    lists = ["s3:ListBucket", *(["s3:ListBucketVersions"] if versions else [])]
    # A get of an absent key has no prefix; without the right to list it is answered "denied" where
    # "no such key" is meant, which ledger and claims rely on.
    condition = {"StringLikeIfExists": {"s3:prefix": list(keys)}} if keys else None
    return [*found, allow(f"{name}List", lists, [bucket], condition)]


def tables(
    account: Account, layer: Layer, *datasets: str, write: bool = False, create: bool = False
) -> Statement:
    """Rights on a layer's tables in the catalog; without datasets: on all of them."""
    make = ["glue:CreateTable"] if create else []
    change = ["glue:UpdateTable"] if write else []
    return allow(
        f"{layer.title()}Tables",
        ["glue:GetTable", *make, *change],
        account.tables(layer, *datasets),
    )


def use_keys(
    arns: KeyArns, *, read: Sequence[KeyName] = (), write: Sequence[KeyName] = ()
) -> list[Statement]:
    """Rights on keys. Writing includes reading, as a multipart upload needs both."""
    found = []
    if read:
        found.append(allow("KeysRead", ["kms:Decrypt"], [arns[name] for name in read]))
    if write:
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        found.append(allow("KeysWrite", actions, [arns[name] for name in write]))
    return found


def job_basics(account: Account, job: str, *, environment: bool) -> list[Statement]:
    """What every Glue job needs: its code, its log, its metrics, its Python environment."""
    own = f"environments/{job}/*"
    put = allow("Environment", ["s3:PutObject"], [f"{account.bucket('artifacts')}/{own}"])
    return [
        *objects(account, "artifacts", "code/*", "contracts/*", *([own] if environment else [])),
        *([put] if environment else []),
        allow(
            "Logs",
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "logs:AssociateKmsKey",
            ],
            [account.arn("logs", f"log-group:{log_folder(account.prefix, job)}/*")],
        ),
        # CloudWatch has no resources to name for this call.
        allow(
            "Metrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": [NAMESPACE, "Glue"]}},
        ),
        # Nor has Glue for this one, with which a run finds how to encrypt its log.
        allow("Encryption", ["glue:GetSecurityConfiguration"], ["*"]),
    ]
