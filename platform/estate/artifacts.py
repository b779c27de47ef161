"""The release in the artifacts bucket."""

from __future__ import annotations

import base64

import pulumi
import pulumi_aws as aws

from estate.release import Release


class Artifacts(pulumi.ComponentResource):
    """Every object of a release.

    Objects of earlier releases stay: a run that started with them may start again, and a rollback
    finds them.
    """

    def __init__(self, release: Release, bucket: aws.s3.Bucket) -> None:
        super().__init__("lakehouse:estate:Artifacts", "artifacts")
        for key, body in release.content.items():
            aws.s3.BucketObjectv2(
                key,
                bucket=bucket.bucket,
                key=key,
                content_base64=base64.b64encode(body).decode(),
                content_type=_CONTENT_TYPES.get(key.rpartition(".")[2], "text/plain"),
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
        self.register_outputs({})


_CONTENT_TYPES = {"zip": "application/zip", "yaml": "application/yaml", "py": "text/x-python"}
