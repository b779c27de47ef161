"""Calls of what holds data and works on it: keys, buckets, streams, Glue, Athena, roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.apicalls import CALLS, Call, Inputs, Make, makes, pairs, pascal, plain


@makes("aws:kms/key:Key")
def key(i: Inputs) -> Iterator[Call]:
    """A key, its rotation, and the order to delete it, which has bounds of its own."""
    tags = pairs(i["tags"], "TagKey", "TagValue")
    yield Call(
        "kms", "CreateKey", {"Tags": tags} | i.given(Description="description", Policy="policy")
    )
    if i["enableKeyRotation"]:
        yield Call("kms", "EnableKeyRotation", {"KeyId": "1"})
    days = {"PendingWindowInDays": i["deletionWindowInDays"]}
    yield Call("kms", "ScheduleKeyDeletion", {"KeyId": "1"} | days)


CALLS["aws:kms/alias:Alias"] = plain("kms", "CreateAlias", AliasName="name")
CALLS["aws:s3/bucket:Bucket"] = lambda i: iter(
    [Call("s3", "CreateBucket", {"Bucket": i["bucket"]})]
)
CALLS["aws:s3/bucketPolicy:BucketPolicy"] = plain("s3", "PutBucketPolicy")
CALLS["aws:s3/bucketVersioning:BucketVersioning"] = plain("s3", "PutBucketVersioning")


@makes("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access(i: Inputs) -> Iterator[Call]:
    """The wall around a bucket."""
    bucket = {"Bucket": i["bucket"]}
    block = {"PublicAccessBlockConfiguration": i.rest()}
    yield Call("s3", "PutPublicAccessBlock", bucket | block)


@makes("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(i: Inputs) -> Iterator[Call]:
    """How a bucket's objects are encrypted."""
    rules = []
    for rule in i["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        applied = {
            "SSEAlgorithm": default["sseAlgorithm"],
            "KMSMasterKeyID": default["kmsMasterKeyId"],
        }
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": applied,
                "BucketKeyEnabled": rule["bucketKeyEnabled"],
            }
        )
    whole = {"ServerSideEncryptionConfiguration": {"Rules": rules}}
    yield Call("s3", "PutBucketEncryption", {"Bucket": i["bucket"]} | whole)


@makes("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(i: Inputs) -> Iterator[Call]:
    """What ends by itself."""
    rules = [{"ID": rule.pop("Id")} | rule for rule in pascal(i["rules"])]
    where = {"Bucket": i["bucket"]}
    configuration = {"LifecycleConfiguration": {"Rules": rules}}
    yield Call("s3", "PutBucketLifecycleConfiguration", where | configuration)


@makes("aws:s3/bucketNotification:BucketNotification")
def notification(i: Inputs) -> Iterator[Call]:
    """A bucket's events."""
    told: dict[str, Any] = {"EventBridgeConfiguration": {}} if i["eventbridge"] else {}
    where = {"Bucket": i["bucket"]}
    yield Call(
        "s3", "PutBucketNotificationConfiguration", where | {"NotificationConfiguration": told}
    )


@makes("aws:kinesis/stream:Stream")
def stream(i: Inputs) -> Iterator[Call]:
    """A stream, for how long it keeps, how it is encrypted."""
    name = {"StreamName": i["name"]}
    created = i.given(ShardCount="shardCount", MaxRecordSizeInKiB="maxRecordSizeInKib", Tags="tags")
    mode = {"StreamModeDetails": pascal(i["streamModeDetails"])}
    yield Call("kinesis", "CreateStream", name | created | mode)
    hours = {"RetentionPeriodHours": i["retentionPeriod"]}
    yield Call("kinesis", "IncreaseStreamRetentionPeriod", name | hours)
    encrypted = i.given(EncryptionType="encryptionType", KeyId="kmsKeyId")
    yield Call("kinesis", "StartStreamEncryption", name | encrypted)


def _glue(operation: str, under: str) -> Make:
    def make(i: Inputs) -> Iterator[Call]:
        yield Call("glue", operation, {under: i.rest()})

    return make


CALLS["aws:glue/catalogDatabase:CatalogDatabase"] = _glue("CreateDatabase", "DatabaseInput")
CALLS["aws:glue/registry:Registry"] = plain("glue", "CreateRegistry")


@makes("aws:glue/catalogTable:CatalogTable")
def table(i: Inputs) -> Iterator[Call]:
    """A table over files, or a view; the names of its parameters are its own."""
    storage = pascal(i["storageDescriptor"])
    if "SerDeInfo" in storage:
        storage["SerdeInfo"] = storage.pop("SerDeInfo")
    where = i.given(DatabaseName="databaseName")
    wanted = {"StorageDescriptor": storage} | i.given(Parameters="parameters") | i.rest()
    yield Call("glue", "CreateTable", where | {"TableInput": wanted})


@makes("aws:glue/connection:Connection")
def connection(i: Inputs) -> Iterator[Call]:
    """Where in the network jobs run; a connection of this type has no properties."""
    place = pascal(i["physicalConnectionRequirements"])
    place["SecurityGroupIdList"] = place.pop("SecurityGroupIdLists")
    wanted = {"ConnectionProperties": {}, "PhysicalConnectionRequirements": place} | i.rest()
    yield Call("glue", "CreateConnection", {"ConnectionInput": wanted})


@makes("aws:glue/schema:Schema")
def schema(i: Inputs) -> Iterator[Call]:
    """A schema in a registry."""
    registry = {"RegistryId": {"RegistryArn": i["registryArn"]}}
    yield Call("glue", "CreateSchema", registry | i.given(Tags="tags") | i.rest())


@makes("aws:glue/securityConfiguration:SecurityConfiguration")
def security_configuration(i: Inputs) -> Iterator[Call]:
    """How Glue encrypts."""
    wanted: dict[str, Any] = pascal(i["encryptionConfiguration"])
    made = {
        "CloudWatchEncryption": wanted.pop("CloudwatchEncryption"),
        "S3Encryption": [wanted.pop("S3Encryption")],
    } | wanted
    logs = made["CloudWatchEncryption"]
    logs["CloudWatchEncryptionMode"] = logs.pop("CloudwatchEncryptionMode")
    name = {"Name": i["name"]}
    yield Call("glue", "CreateSecurityConfiguration", name | {"EncryptionConfiguration": made})


@makes("aws:glue/job:Job")
def job(i: Inputs) -> Iterator[Call]:
    """A job."""
    arguments = {"DefaultArguments": i["defaultArguments"]} | i.given(Role="roleArn", Tags="tags")
    if "connections" in i:
        arguments["Connections"] = {"Connections": i["connections"]}
    yield Call("glue", "CreateJob", arguments | i.rest())


@makes("aws:athena/workgroup:Workgroup")
def workgroup(i: Inputs) -> Iterator[Call]:
    """A workgroup."""
    settings = pascal(i["configuration"])
    settings["EnforceWorkGroupConfiguration"] = settings.pop("EnforceWorkgroupConfiguration")
    settings["PublishCloudWatchMetricsEnabled"] = settings.pop("PublishCloudwatchMetricsEnabled")
    encryption = settings["ResultConfiguration"]["EncryptionConfiguration"]
    encryption["KmsKey"] = encryption.pop("KmsKeyArn")
    about = i.given(Name="name", Description="description")
    yield Call("athena", "CreateWorkGroup", about | {"Configuration": settings})


CALLS["aws:athena/namedQuery:NamedQuery"] = plain(
    "athena", "CreateNamedQuery", QueryString="query", WorkGroup="workgroup"
)
CALLS["aws:iam/role:Role"] = plain(
    "iam", "CreateRole", RoleName="name", AssumeRolePolicyDocument="assumeRolePolicy"
)
CALLS["aws:iam/rolePolicy:RolePolicy"] = plain(
    "iam", "PutRolePolicy", RoleName="role", PolicyName="name", PolicyDocument="policy"
)
