"""The buckets: encrypted, versioned, private, reached by TLS only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.accepted import accepted
from estate.account import Account
from estate.settings import Settings
from estate.storage.bucket import PrivateBucket, expiring, leftovers
from estate.storage.bucketpolicies import as_json, own_key_only, tls_only
from estate.storage.keys import Keys
from lakehouse import naming
from lakehouse.naming import BucketPurpose

if TYPE_CHECKING:
    from estate.config import StackConfig

_IMMUTABLE: Final[dict[BucketPurpose, tuple[str, ...]]] = {
    "ledger": ("*",),
    "verdicts": ("dataset=*", "approvals/*"),
}
"""Keys that are only ever written once: a put that may overwrite is refused."""


class LakeConfig(Settings):
    """Buckets."""

    noncurrent_days: int = Field(default=7, ge=1, le=365)
    """Days for which a replaced object can be brought back; what was erased ends only then."""


class Lake(pulumi.ComponentResource):
    """One bucket a purpose, ``<prefix>-<purpose>``."""

    def __init__(self, config: StackConfig, account: pulumi.Output[Account], keys: Keys) -> None:
        super().__init__("lakehouse:estate:Lake", "lake")
        self._buckets = {
            purpose: self._bucket(purpose, config, account, keys) for purpose in naming.BUCKETS
        }
        self.register_outputs({})

    def __getitem__(self, purpose: BucketPurpose) -> aws.s3.Bucket:
        """The bucket of a purpose."""
        return self._buckets[purpose]

    def _bucket(
        self,
        purpose: BucketPurpose,
        config: StackConfig,
        account: pulumi.Output[Account],
        keys: Keys,
    ) -> aws.s3.Bucket:
        key = keys.of_bucket(purpose)
        bucket = PrivateBucket(
            purpose,
            naming.bucket(config.prefix, purpose),
            key=key,
            rules=lifecycle(purpose, config),
            policy=pulumi.Output.all(account, key).apply(
                as_json(lambda known, arn: bucket_policy(known, purpose, arn))
            ),
            stack=config,
            parent=self,
        ).bucket
        if purpose != "landing":
            accepted(bucket, CKV2_AWS_62="nothing starts because an object is written here")
        return accepted(
            bucket, CKV_AWS_18="the trail says who read and wrote, where the stack has audit"
        )


def lifecycle(
    purpose: BucketPurpose, config: StackConfig
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """What disappears by itself; current objects only from ``results``, never a ledger's claims."""
    rules = [leftovers(config.lake.noncurrent_days)]
    if purpose == "results":
        rules.append(expiring("results", config.analytics.results_days))
    return rules


def bucket_policy(account: Account, purpose: BucketPurpose, key: str) -> dict[str, Any]:
    """Denies what nobody may do: no TLS, another encryption, a record made once overwritten."""
    arn = account.bucket(purpose)
    statements = [tls_only(arn), *own_key_only(arn, key)]
    if purpose in _IMMUTABLE:
        statements.append(
            {
                "Sid": "WrittenOnce",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": [f"{arn}/{key}" for key in _IMMUTABLE[purpose]],
                "Condition": {
                    "Null": {"s3:if-none-match": "true"},
                    "Bool": {"s3:ObjectCreationOperation": "true"},
                },
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}
