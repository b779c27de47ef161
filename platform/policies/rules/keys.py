"""Rules of KMS keys: who must be let encrypt, and fails without a word where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, allows_service, called, listed, services, statements
from policies.rule import each, stack
from policies.rules.tables import LAYERS

LONGEST_WINDOW: Final = 30
"""Days that KMS waits at the most before it deletes a key."""


@each("EventTarget")
def events_reach_encrypted_queues(target: Resource, graph: Graph) -> Iterator[str]:
    """EventBridge drops, without an error anywhere, what it may not encrypt or send."""
    if ":sqs:" not in target["arn"]:
        return
    queues = graph.by("Queue", "name")
    policies = {called(p["queueUrl"]): p for p in graph.of("QueuePolicy")}
    for arn in (target["arn"], target.get("deadLetterConfig", {}).get("arn")):
        if arn is None:
            yield "no queue for what it cannot deliver; give it a dead_letter_config"
            continue
        queue = called(arn)
        granted = graph.key_statements(queues[queue].get("kmsMasterKeyId"))
        if not allows_service(granted, "events", "kms:Decrypt", "kms:GenerateDataKey"):
            yield f"the key of queue {queue} does not let EventBridge encrypt; grant both actions"
        allowed = statements(policies[queue]["policy"]) if queue in policies else []
        if not allows_service(allowed, "events", "sqs:SendMessage"):
            yield f"queue {queue} does not let EventBridge send; grant it sqs:SendMessage"


@each("Key", "TopicPolicy")
def eventbridge_is_asked_for_no_source(resource: Resource, _graph: Graph) -> Iterator[str]:
    """Its calls for encrypted queues and topics carry none, and fail where one is asked for."""
    for statement in statements(resource["policy"]):
        if "events.amazonaws.com" in services(statement) and "Condition" in statement:
            yield f"statement {statement.get('Sid')} has a condition; take it away"


@each("MetricAlarm", "EventTarget", "Budget", "AnomalySubscription")
def senders_reach_the_encrypted_topic(sender: Resource, graph: Graph) -> Iterator[str]:
    """Who publishes to an encrypted topic without its key fails, and nobody hears of it."""
    service, arns = _publishes(sender)
    topics = graph.by("Topic", "name")
    policies = {called(p["arn"]): p for p in graph.of("TopicPolicy")}
    for name in sorted({called(arn) for arn in arns if ":sns:" in arn}):
        granted = graph.key_statements(topics[name].get("kmsMasterKeyId"))
        if not allows_service(granted, service, "kms:Decrypt", "kms:GenerateDataKey"):
            yield f"the key of topic {name} does not let {service} encrypt; grant it both actions"
        allowed = statements(policies[name]["policy"]) if name in policies else []
        if not allows_service(allowed, service, "sns:Publish"):
            yield f"topic {name} does not let {service} publish; grant it sns:Publish"


def _publishes(sender: Resource) -> tuple[str, list[str]]:
    """The service behind a sender, and what it sends to."""
    match sender.kind:
        case "MetricAlarm":
            return "cloudwatch", sender.get("alarmActions", [])
        case "EventTarget":
            return "events", [sender["arn"]]
        case "Budget":
            found = [n.get("subscriberSnsTopicArns", []) for n in sender.get("notifications", [])]
            return "budgets", [arn for arns in found for arn in arns]
        case _:
            return "costalerts", [s["address"] for s in sender["subscribers"]]


@each("Trail")
def the_trail_can_be_written(trail: Resource, graph: Graph) -> Iterator[str]:
    """CloudTrail must see its key and its bucket before it is made."""
    granted = graph.key_statements(trail.get("kmsKeyId"))
    if not allows_service(granted, "cloudtrail", "kms:DescribeKey", "kms:GenerateDataKey"):
        yield "its key does not let CloudTrail encrypt; grant it both actions"
    policy = graph.by("BucketPolicy", "bucket").get(trail["s3BucketName"])
    allowed = statements(policy["policy"]) if policy else []
    if not allows_service(allowed, "cloudtrail", "s3:PutObject", "s3:GetBucketAcl"):
        yield "its bucket does not let CloudTrail write; grant s3:PutObject and s3:GetBucketAcl"


@each("Key")
def keys_rotate(key: Resource, _graph: Graph) -> Iterator[str]:
    """A key that leaked is of use for a year at most, and nothing is encrypted anew."""
    if key.get("enableKeyRotation") is not True:
        yield "never rotates; set enable_key_rotation=True"


@each("Key")
def keys_stay_in_hand(key: Resource, graph: Graph) -> Iterator[str]:
    """A key whose policy leaves the account out can be changed by nobody any more."""
    root = f"iam::{graph.account}:root"
    if not any(
        s["Effect"] == "Allow" and "kms:*" in listed(s["Action"]) and root in str(s["Principal"])
        for s in statements(key["policy"])
    ):
        yield "its policy leaves the account out; allow kms:* to the account's root"


@each("Key")
def keys_outlive_what_they_encrypt(key: Resource, graph: Graph) -> Iterator[str]:
    """A deleted object can be brought back only while its key can be."""
    days = key.get("deletionWindowInDays", LONGEST_WINDOW)
    lifecycles = graph.by("BucketLifecycleConfiguration", "bucket")
    for bucket, used in graph.keys_of_buckets.items():
        rules = lifecycles[bucket]["rules"] if used == key["arn"] and bucket in lifecycles else []
        for found in rules:
            kept = found.get("noncurrentVersionExpiration", {}).get("noncurrentDays", 0)
            if min(kept, LONGEST_WINDOW) > days:
                yield (
                    f"ends {days:g} days after the order, objects of {bucket} come back for "
                    f"{kept:g}; raise deletion_window_in_days"
                )


@each("Bucket")
def buckets_are_encrypted_by_the_estates_keys(bucket: Resource, graph: Graph) -> Iterator[str]:
    """Under AWS's own key whoever reads the bucket reads its content too."""
    found = graph.by("BucketServerSideEncryptionConfiguration", "bucket").get(bucket["bucket"])
    if found is None:
        yield "no encryption is declared; add a configuration with a key"
        return
    for rule in found["rules"]:
        given = rule.get("applyServerSideEncryptionByDefault", {})
        if given.get("sseAlgorithm") != "aws:kms":
            yield f"encrypted by {given.get('sseAlgorithm')}; set sse_algorithm to aws:kms"
        elif given.get("kmsMasterKeyId") not in graph.by("Key", "arn"):
            yield f"key {given.get('kmsMasterKeyId')} is not declared; name one that is"
        if rule.get("bucketKeyEnabled") is not True:
            yield "every object asks KMS, which is paid for; set bucket_key_enabled=True"


@stack
def layers_have_keys_of_their_own(graph: Graph) -> Iterator[str]:
    """So a policy on a bucket that is too wide opens nothing without the layer's key."""
    used: dict[str, str] = {}
    of_buckets = graph.keys_of_buckets
    for bucket in graph.of("Bucket"):
        key = of_buckets.get(bucket["bucket"])
        if bucket.name in LAYERS and key:
            if key in used:
                yield f"{used[key]} and {bucket.name} have one key, {key}; give each its own"
            used[key] = bucket.name


@each("Queue", "Topic")
def messages_are_encrypted_by_the_estates_keys(found: Resource, graph: Graph) -> Iterator[str]:
    """AWS's own keys cannot be granted to EventBridge, CloudWatch or Budgets."""
    if found.get("kmsMasterKeyId") not in graph.by("Key", "arn"):
        yield f"key {found.get('kmsMasterKeyId')} is not declared; name one that is"


@each("Stream")
def streams_are_encrypted_by_the_estates_keys(stream: Resource, graph: Graph) -> Iterator[str]:
    """A stream is encrypted by nothing unless it is asked for."""
    if stream.get("encryptionType") != "KMS":
        yield f"encryption {stream.get('encryptionType', 'NONE')}; set encryption_type to KMS"
    elif stream.get("kmsKeyId") not in graph.by("Key", "arn"):
        yield f"key {stream.get('kmsKeyId')} is not declared; name one that is"
