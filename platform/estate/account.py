"""Where the estate is built, and the ARNs that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from lakehouse import naming
from lakehouse.naming import BucketPurpose, Layer


@dataclass(frozen=True)
class Account:
    """An AWS account and region, and the prefix of the deployment in it."""

    prefix: str
    partition: str
    region: str
    id: str

    @classmethod
    def current(cls, prefix: str) -> pulumi.Output[Account]:
        """The account and region that the provider is configured for."""
        return pulumi.Output.all(
            partition=aws.get_partition_output().partition,
            region=aws.get_region_output().region,
            id=aws.get_caller_identity_output().account_id,
        ).apply(lambda known: cls(prefix, known["partition"], known["region"], known["id"]))

    def arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    def bucket(self, purpose: BucketPurpose) -> str:
        """ARN of a bucket."""
        return f"arn:{self.partition}:s3:::{naming.bucket(self.prefix, purpose)}"

    def stream(self, dataset: str) -> str:
        """ARN of a dataset's stream."""
        return self.arn("kinesis", f"stream/{naming.stream(self.prefix, dataset)}")

    def job(self, name: str) -> str:
        """ARN of a Glue job."""
        return self.arn("glue", f"job/{naming.job(self.prefix, name)}")

    def tables(self, layer: Layer, *datasets: str) -> list[str]:
        """ARNs that a Glue call on a layer's tables needs; without datasets: on any of them."""
        tables = [self.arn("glue", f"table/{layer}/{name}") for name in datasets or ("*",)]
        return [self.arn("glue", "catalog"), self.arn("glue", f"database/{layer}"), *tables]
