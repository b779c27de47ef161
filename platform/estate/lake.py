"""The buckets: encrypted, versioned, private, reached by TLS only."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from estate.account import Account
from estate.config import StackConfig
from estate.keys import Keys
from lakehouse import naming
from lakehouse.naming import BucketPurpose

_IMMUTABLE: Final[dict[BucketPurpose, tuple[str, ...]]] = {
    "ledger": ("*",),
    "verdicts": ("dataset=*", "approvals/*"),
}
"""Keys that are only ever written once: a put that may overwrite is refused."""


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
        bucket = aws.s3.Bucket(
            purpose,
            bucket=naming.bucket(config.prefix, purpose),
            force_destroy=config.disposable,
            opts=pulumi.ResourceOptions(parent=self, protect=not config.disposable),
        )
        below = pulumi.ResourceOptions(parent=bucket)
        private = aws.s3.BucketPublicAccessBlock(
            purpose,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=below,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            purpose,
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": keys.of_bucket(purpose),
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=below,
        )
        versioning = aws.s3.BucketVersioning(
            purpose,
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=below,
        )
        aws.s3.BucketLifecycleConfiguration(
            purpose,
            bucket=bucket.bucket,
            rules=lifecycle(purpose, config),
            # Rules on noncurrent versions are only valid on a versioned bucket.
            opts=pulumi.ResourceOptions.merge(
                below, pulumi.ResourceOptions(depends_on=[versioning])
            ),
        )
        aws.s3.BucketPolicy(
            purpose,
            bucket=bucket.bucket,
            policy=account.apply(lambda known: json.dumps(bucket_policy(known, purpose))),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions.merge(below, pulumi.ResourceOptions(depends_on=[private])),
        )
        return bucket


def lifecycle(
    purpose: BucketPurpose, config: StackConfig
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """What disappears by itself; current objects only from ``results``, never a ledger's claims."""
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "leftovers",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            "noncurrent_version_expiration": {"noncurrent_days": config.lake.noncurrent_days},
        }
    ]
    if purpose == "results":
        rules.append(
            {
                "id": "results",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": config.analytics.results_days},
            }
        )
    return rules


def bucket_policy(account: Account, purpose: BucketPurpose) -> dict[str, Any]:
    """Denies what nobody may do: speak without TLS, and overwrite a record made once."""
    arn = account.bucket(purpose)
    statements: list[dict[str, Any]] = [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
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
