"""A bucket as every bucket of the estate is: encrypted, versioned, private, reached by TLS only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.accepted import accepted

if TYPE_CHECKING:
    # Only named: the module warns of its own deprecated classes where it is looked into.
    from estate.config import StackConfig

    Rules = Sequence[aws.s3.BucketLifecycleConfigurationRuleArgsDict]


class PrivateBucket(pulumi.ComponentResource):
    """The bucket ``called``, with its lifecycle ``rules`` and the ``policy`` as JSON."""

    def __init__(
        self,
        name: str,
        called: str,
        *,
        key: pulumi.Output[str],
        rules: Rules,
        policy: pulumi.Output[str],
        stack: StackConfig,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__(
            "lakehouse:estate:PrivateBucket",
            name,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        self.bucket = accepted(
            aws.s3.Bucket(
                name,
                bucket=called,
                force_destroy=stack.disposable,
                opts=stack.holding(self),
            ),
            CKV_AWS_144="one region: a second copy doubles the cost; what was deleted has versions",
        )
        # A bucket that stays, stays as closed as it was.
        below = pulumi.ResourceOptions(parent=self.bucket, retain_on_delete=stack.retain)
        private = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=below,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=below,
        )
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=self.bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=below,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=self.bucket.bucket,
            rules=list(rules),
            # Rules on noncurrent versions are only valid on a versioned bucket.
            opts=pulumi.ResourceOptions.merge(
                below, pulumi.ResourceOptions(depends_on=[versioning])
            ),
        )
        aws.s3.BucketPolicy(
            name,
            bucket=self.bucket.bucket,
            policy=policy,
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions.merge(below, pulumi.ResourceOptions(depends_on=[private])),
        )
        self.register_outputs({})


def leftovers(days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgsDict:
    """Replaced objects end after some days, uploads that nobody finished after a week."""
    return {
        "id": "leftovers",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": days},
    }


def expiring(name: str, days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgsDict:
    """Every object ends after some days."""
    return {
        "id": name,
        "status": "Enabled",
        "filter": {"prefix": ""},
        "expiration": {"days": days},
    }
