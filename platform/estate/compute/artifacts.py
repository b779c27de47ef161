"""The release in the artifacts bucket, and which one is wanted."""

from __future__ import annotations

import base64

import pulumi
import pulumi_aws as aws

from estate.compute.release import Release
from lakehouse.release import WANTED_KEY


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


class WantedRelease(pulumi.ComponentResource):
    """The name of the release that is to run, written once the jobs are those of the release.

    A streaming job of another release ends between two loads when it reads it; while ingestion is
    paused, one of any release does.
    """

    def __init__(self, release: str, bucket: aws.s3.Bucket, *, after: pulumi.Resource) -> None:
        super().__init__("lakehouse:estate:WantedRelease", "wanted-release")
        aws.s3.BucketObjectv2(
            "wanted-release",
            bucket=bucket.bucket,
            key=WANTED_KEY,
            content_base64=base64.b64encode(release.encode()).decode(),
            content_type="text/plain",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
        )
        self.register_outputs({})


_CONTENT_TYPES = {"zip": "application/zip", "yaml": "application/yaml", "py": "text/x-python"}
