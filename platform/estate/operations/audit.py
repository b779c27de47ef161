"""Who read and wrote the lake's objects: a trail of CloudTrail's data events."""

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
from estate.storage.lake import Lake
from lakehouse import naming
from lakehouse.naming import BucketPurpose

if TYPE_CHECKING:
    from estate.config import StackConfig

WATCHED: Final[tuple[BucketPurpose, ...]] = naming.BUCKETS


class AuditConfig(Settings):
    """CloudTrail on the lake's objects."""

    days: int = Field(default=365, ge=30, le=3650)


class Audit(pulumi.ComponentResource):
    """The trail ``<prefix>-lake`` and the bucket that it writes to, which only it can write."""

    def __init__(
        self,
        stack: StackConfig,
        config: AuditConfig,
        account: pulumi.Output[Account],
        lake: Lake,
        key: pulumi.Output[str],
    ) -> None:
        super().__init__("lakehouse:estate:Audit", "audit")
        name = f"{stack.prefix}-audit"
        bucket = PrivateBucket(
            "audit",
            name,
            key=key,
            rules=[leftovers(stack.lake.noncurrent_days), expiring("audit", config.days)],
            policy=pulumi.Output.all(account, key).apply(
                as_json(lambda known, own: trail_policy(known, name, own))
            ),
            stack=stack,
            parent=self,
        )
        self.bucket = accepted(
            bucket.bucket,
            CKV_AWS_18="a second trail would tell no more; a changed file shows by its digest",
            CKV2_AWS_62="nothing waits for the trail's files",
        ).bucket
        trail = aws.cloudtrail.Trail(
            "lake",
            name=f"{stack.prefix}-lake",
            s3_bucket_name=bucket.bucket.bucket,
            kms_key_id=key,
            enable_log_file_validation=True,
            include_global_service_events=False,
            advanced_event_selectors=[
                {
                    "name": "objects of the lake",
                    "field_selectors": [
                        {"field": "eventCategory", "equals": ["Data"]},
                        {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                        {
                            "field": "resources.ARN",
                            "starts_withs": [
                                lake[purpose].arn.apply(lambda arn: f"{arn}/")
                                for purpose in WATCHED
                            ],
                        },
                    ],
                }
            ],
            # CloudTrail tries at once whether it may write.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[bucket]),
        )
        accepted(
            trail,
            CKV_AWS_67="it watches buckets, which are in this region; the rest is the account's",
            CKV_AWS_252="nothing waits for the trail's files",
            CKV2_AWS_10="nothing is to be alarmed of: events are kept to be looked up",
        )
        self.register_outputs({})


def trail_policy(account: Account, bucket: str, key: str) -> dict[str, Any]:
    """The trail of this account may write; nobody without TLS or under another key."""
    arn = f"arn:{account.partition}:s3:::{bucket}"
    trail = {"aws:SourceArn": account.arn("cloudtrail", f"trail/{account.prefix}-lake")}
    service = {"Service": "cloudtrail.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TrailLooks",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:GetBucketAcl",
                "Resource": arn,
                "Condition": {"StringEquals": trail},
            },
            {
                "Sid": "TrailWrites",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": f"{arn}/AWSLogs/{account.id}/*",
                "Condition": {
                    "StringEquals": trail | {"s3:x-amz-acl": "bucket-owner-full-control"}
                },
            },
            tls_only(arn),
            *own_key_only(arn, key),
        ],
    }
