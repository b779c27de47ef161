"""Handlers of keys, buckets, objects and streams."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from localaws.handlers import Endpoint, Made, found, handles


@handles("aws:kms/key:Key")
def key(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A key, known by its tag ``Name``, for a key has no name of its own."""
    kms = endpoint.client("kms")
    name = inputs["tags"]["Name"]
    arn = next((arn for arn in _key_arns(kms) if _key_name(kms, arn) == name), None)
    if arn is None:
        arn = kms.create_key(
            Description=inputs["description"],
            Policy=inputs["policy"],
            Tags=[{"TagKey": tag, "TagValue": value} for tag, value in inputs["tags"].items()],
        )["KeyMetadata"]["Arn"]
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=inputs["policy"])
    if inputs["enableKeyRotation"]:
        kms.enable_key_rotation(KeyId=arn)
    key_id = arn.rpartition("/")[2]
    return key_id, {"arn": arn, "keyId": key_id}


def _key_arns(kms: Any) -> list[str]:
    pages = kms.get_paginator("list_keys").paginate()
    return [item["KeyArn"] for page in pages for item in page["Keys"]]


def _key_name(kms: Any, arn: str) -> str | None:
    tags = kms.list_resource_tags(KeyId=arn)["Tags"]
    return next((tag["TagValue"] for tag in tags if tag["TagKey"] == "Name"), None)


@handles("aws:kms/alias:Alias")
def alias(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """An alias of a key."""
    kms = endpoint.client("kms")
    target = {"AliasName": inputs["name"], "TargetKeyId": inputs["targetKeyId"]}
    pages = kms.get_paginator("list_aliases").paginate()
    known = {item["AliasName"] for page in pages for item in page["Aliases"]}
    (kms.update_alias if inputs["name"] in known else kms.create_alias)(**target)
    return inputs["name"], {}


@handles("aws:s3/bucket:Bucket")
def bucket(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A bucket."""
    s3 = endpoint.client("s3")
    name = inputs["bucket"]
    if found(lambda: s3.head_bucket(Bucket=name), "404", "NoSuchBucket") is None:
        place = (
            {}
            if endpoint.region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": endpoint.region}}
        )
        s3.create_bucket(Bucket=name, **place)
    return name, {"arn": f"arn:aws:s3:::{name}"}


@handles("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access_block(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """The wall around a bucket."""
    endpoint.client("s3").put_public_access_block(
        Bucket=inputs["bucket"],
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": inputs["blockPublicAcls"],
            "BlockPublicPolicy": inputs["blockPublicPolicy"],
            "IgnorePublicAcls": inputs["ignorePublicAcls"],
            "RestrictPublicBuckets": inputs["restrictPublicBuckets"],
        },
    )
    return inputs["bucket"], {}


@handles("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """How a bucket's objects are encrypted."""
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"],
                "KMSMasterKeyID": rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"],
            },
            "BucketKeyEnabled": rule["bucketKeyEnabled"],
        }
        for rule in inputs["rules"]
    ]
    endpoint.client("s3").put_bucket_encryption(
        Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
    )
    return inputs["bucket"], {}


@handles("aws:s3/bucketVersioning:BucketVersioning")
def versioning(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """Whether a bucket keeps replaced objects."""
    endpoint.client("s3").put_bucket_versioning(
        Bucket=inputs["bucket"],
        VersioningConfiguration={"Status": inputs["versioningConfiguration"]["status"]},
    )
    return inputs["bucket"], {}


@handles("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """What disappears from a bucket by itself."""
    endpoint.client("s3").put_bucket_lifecycle_configuration(
        Bucket=inputs["bucket"],
        LifecycleConfiguration={"Rules": [_lifecycle_rule(rule) for rule in inputs["rules"]]},
    )
    return inputs["bucket"], {}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    made = {
        "ID": rule["id"],
        "Status": rule["status"],
        "Filter": {"Prefix": rule["filter"]["prefix"]},
    }
    if "abortIncompleteMultipartUpload" in rule:
        days = rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    if "noncurrentVersionExpiration" in rule:
        days = rule["noncurrentVersionExpiration"]["noncurrentDays"]
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    if "expiration" in rule:
        made["Expiration"] = {"Days": int(rule["expiration"]["days"])}
    return made


@handles("aws:s3/bucketPolicy:BucketPolicy")
def bucket_policy(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """What nobody may do with a bucket."""
    endpoint.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
    return inputs["bucket"], {}


@handles("aws:s3/bucketObjectv2:BucketObjectv2")
def bucket_object(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """An object; one with that content is left as it is."""
    s3 = endpoint.client("s3")
    where = {"Bucket": inputs["bucket"], "Key": inputs["key"]}
    body = base64.b64decode(inputs["contentBase64"])
    there = found(lambda: s3.head_object(**where), "404", "NoSuchKey")
    if there is None or there["ETag"].strip('"') != hashlib.md5(body).hexdigest():  # noqa: S324 - what S3 answers with
        s3.put_object(**where, Body=body, ContentType=inputs["contentType"])
    return inputs["key"], {}


@handles("aws:kinesis/stream:Stream")
def stream(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A stream. One that is there keeps its shards: resharding here loses unread records."""
    kinesis = endpoint.client("kinesis")
    name = inputs["name"]

    def describe() -> Any:
        return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]

    summary = found(describe, "ResourceNotFoundException")
    if summary is None:
        mode = inputs["streamModeDetails"]["streamMode"]
        # Shards of the emulator are made once, so that an on-demand stream gets a fixed few.
        shards = int(inputs.get("shardCount") or 4)
        kinesis.create_stream(
            StreamName=name, ShardCount=shards, StreamModeDetails={"StreamMode": mode}
        )
        kinesis.get_waiter("stream_exists").wait(StreamName=name)
        summary = describe()
    hours, wanted = summary["RetentionPeriodHours"], int(inputs["retentionPeriod"])
    if hours < wanted:
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=wanted)
    elif hours > wanted:
        kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=wanted)
    if summary.get("EncryptionType") != inputs["encryptionType"]:
        kinesis.start_stream_encryption(
            StreamName=name, EncryptionType=inputs["encryptionType"], KeyId=inputs["kmsKeyId"]
        )
    kinesis.add_tags_to_stream(StreamName=name, Tags=inputs["tags"])
    return name, {"arn": summary["StreamARN"]}
