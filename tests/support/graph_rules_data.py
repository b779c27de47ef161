"""Rules of what keeps and what tells: traps of real AWS, each named for what must hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from support.graph import (
    KEEPING,
    ONCE,
    Graph,
    allows_service,
    listed,
    rule,
    statements,
)


@rule
def nothing_live_expires(graph: Graph) -> Iterator[str]:
    """A claim, a table's file or a record that a lifecycle removes is lost without a word."""
    for name, lifecycle in graph.of("BucketLifecycleConfiguration").items():
        for found in lifecycle.inputs["rules"]:
            moved = {"transitions", "noncurrentVersionTransitions"} & set(found)
            if name in KEEPING and ("expiration" in found or moved):
                yield f"bucket {name}: rule {found['id']} removes or moves what is current"


@rule
def what_was_erased_ends(graph: Graph) -> Iterator[str]:
    """Replaced versions keep erased rows, and unfinished uploads are paid for."""
    lifecycles = graph.of("BucketLifecycleConfiguration")
    for name in graph.of("Bucket"):
        rules = lifecycles[name].inputs["rules"] if name in lifecycles else []
        rules = [r for r in rules if r["status"] == "Enabled" and not r["filter"].get("prefix")]
        days = [
            r["noncurrentVersionExpiration"]["noncurrentDays"]
            for r in rules
            if "noncurrentVersionExpiration" in r
        ]
        if not days or min(days) > 90:
            yield f"bucket {name} keeps replaced versions for {min(days, default='ever')} days"
        if not any("abortIncompleteMultipartUpload" in r for r in rules):
            yield f"bucket {name} keeps uploads that nobody finished"


@rule
def records_are_written_once(graph: Graph) -> Iterator[str]:
    """A put without a condition could replace a claim or a verdict, and a delete free it."""
    policies = graph.of("BucketPolicy")
    for name, keys in ONCE.items():
        denied = [
            pattern
            for s in statements(policies[name].inputs["policy"])
            if s["Effect"] == "Deny"
            and s["Action"] == "s3:PutObject"
            and s["Condition"].get("Null") == {"s3:if-none-match": "true"}
            for pattern in listed(s["Resource"])
        ]
        for key in keys:
            arn = f"arn:aws:s3:::{policies[name].inputs['bucket']}/{key}"
            if not any(fnmatchcase(arn, pattern) for pattern in denied):
                yield f"bucket {name} takes puts that may replace {key}"
            for role in graph.of("Role").values():
                if graph.may(role.inputs["name"], "s3:DeleteObject", arn):
                    yield f"role {role.name} may remove {key} from {name}"


@rule
def what_the_gates_wrote_is_found(graph: Graph) -> Iterator[str]:
    """Where a projection does not lead, a query finds nothing, and says nothing of it."""
    bucket = graph.of("Bucket")["verdicts"].inputs["bucket"]
    declared = {
        contract.removesuffix(".yaml")
        for o in graph.of("BucketObjectv2").values()
        for contract in re.findall(r"^contracts/[0-9a-f]+/([^/]+\.yaml)$", o.inputs["key"])
    }
    reached = set()
    for name, table in graph.of("CatalogTable").items():
        if not table.inputs.get("partitionKeys"):
            continue
        given = table.inputs["parameters"]
        if given.get("projection.enabled") != "true":
            yield f"table {name} has partitions that nobody registers"
        projected = set(given.get("projection.dataset.values", "").split(","))
        for dataset in sorted(declared ^ projected):
            yield f"table {name}: {dataset} is a dataset here alone or a partition alone"
        reached.add(given.get("storage.location.template", "").replace("${dataset}", "flights"))
    for key in ONCE["verdicts"]:
        folder = f"s3://{bucket}/{key.rpartition('/')[0]}/"
        if folder not in reached:
            yield f"no table reads {folder}"


@rule
def events_reach_encrypted_queues(graph: Graph) -> Iterator[str]:
    """EventBridge drops, without an error anywhere, what it may not encrypt or send."""
    queues = {q.inputs["name"]: q for q in graph.of("Queue").values()}
    policies = {
        p.inputs["queueUrl"].rpartition("/")[2]: p for p in graph.of("QueuePolicy").values()
    }
    for name, target in graph.of("EventTarget").items():
        if ":sqs:" not in target.inputs["arn"]:
            continue
        for arn in (target.inputs["arn"], target.inputs.get("deadLetterConfig", {}).get("arn")):
            if arn is None:
                yield f"target {name} has no queue for what it cannot deliver"
                continue
            queue = arn.rpartition(":")[2]
            key = queues[queue].inputs.get("kmsMasterKeyId", "")
            granted = graph.key_statements(key)
            if not allows_service(granted, "events", "kms:Decrypt", "kms:GenerateDataKey"):
                yield f"the key of queue {queue} does not let EventBridge encrypt"
            allowed = statements(policies[queue].inputs["policy"]) if queue in policies else []
            if not allows_service(allowed, "events", "sqs:SendMessage"):
                yield f"queue {queue} does not let EventBridge send"


@rule
def dead_letters_outlive_the_letters(graph: Graph) -> Iterator[str]:
    """A dead letter keeps the age of the message, so it needs the longer retention."""
    queues = {q.inputs["name"]: q for q in graph.of("Queue").values()}
    redriven = {
        n: json.loads(q.inputs["redrivePolicy"])
        for n, q in queues.items()
        if "redrivePolicy" in q.inputs
    }
    if not redriven:
        yield "no queue has dead letters"
    for name, policy in redriven.items():
        dead = queues[policy["deadLetterTargetArn"].rpartition(":")[2]].inputs
        if dead["messageRetentionSeconds"] <= queues[name].inputs["messageRetentionSeconds"]:
            yield f"dead letters of {name} end no later than its messages"


@rule
def alarms_reach_the_encrypted_topic(graph: Graph) -> Iterator[str]:
    """Who publishes to an encrypted topic without its key fails, and nobody hears of it."""
    topics = {t.inputs["name"]: t for t in graph.of("Topic").values()}
    policies = {p.inputs["arn"].rpartition(":")[2]: p for p in graph.of("TopicPolicy").values()}
    senders = {
        "cloudwatch": [
            a for r in graph.of("MetricAlarm").values() for a in r.inputs.get("alarmActions", [])
        ],
        "events": [
            t.inputs["arn"] for t in graph.of("EventTarget").values() if ":sns:" in t.inputs["arn"]
        ],
        "budgets": [
            a
            for r in graph.of("Budget").values()
            for n in r.inputs["notifications"]
            for a in n["subscriberSnsTopicArns"]
        ],
        "costalerts": [
            s["address"]
            for r in graph.of("AnomalySubscription").values()
            for s in r.inputs["subscribers"]
        ],
    }
    for alarm, found in graph.of("MetricAlarm").items():
        if not found.inputs.get("alarmActions"):
            yield f"alarm {alarm} tells nobody"
    for service, arns in senders.items():
        for name in sorted({arn.rpartition(":")[2] for arn in arns}):
            key = topics[name].inputs.get("kmsMasterKeyId", "")
            granted = graph.key_statements(key)
            if not allows_service(granted, service, "kms:Decrypt", "kms:GenerateDataKey"):
                yield f"the key of topic {name} does not let {service} encrypt"
            allowed = statements(policies[name].inputs["policy"]) if name in policies else []
            if not allows_service(allowed, service, "sns:Publish"):
                yield f"topic {name} does not let {service} publish"


@rule
def logs_can_be_encrypted(graph: Graph) -> Iterator[str]:
    """CloudWatch Logs refuses a group whose key does not name it, and a job logs nothing."""
    wanting = [
        (f"log group {name}", group.inputs.get("kmsKeyId", ""), group.inputs["name"])
        for name, group in graph.of("LogGroup").items()
    ]
    wanting += [
        (
            f"security configuration {name}",
            s.inputs["encryptionConfiguration"]["cloudwatchEncryption"].get("kmsKeyArn", ""),
            "/aws-glue/jobs/output",
        )
        for name, s in graph.of("SecurityConfiguration").items()
    ]
    wanting += [
        (f"environment {name}", e.inputs.get("kmsKey", ""), f"airflow-{e.inputs['name']}-Task")
        for name, e in graph.of("Environment").items()
    ]
    for what, key, group in wanting:
        patterns = [
            pattern.partition(":log-group:")[2]
            for s in graph.key_statements(key)
            if str(s["Principal"].get("Service", "")).startswith("logs.")
            for pattern in listed(s["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"])
        ]
        if not any(re.fullmatch(p.replace("*", ".*"), group) for p in patterns):
            yield f"{what}: its key does not let CloudWatch Logs encrypt {group}"


@rule
def the_trail_can_be_written(graph: Graph) -> Iterator[str]:
    """CloudTrail must see its key and its bucket before it is made."""
    policies = graph.of("BucketPolicy")
    buckets = {b.inputs["bucket"]: name for name, b in graph.of("Bucket").items()}
    for name, trail in graph.of("Trail").items():
        granted = graph.key_statements(trail.inputs.get("kmsKeyId", ""))
        if not allows_service(granted, "cloudtrail", "kms:DescribeKey", "kms:GenerateDataKey"):
            yield f"the key of trail {name} does not let CloudTrail encrypt"
        allowed = statements(policies[buckets[trail.inputs["s3BucketName"]]].inputs["policy"])
        if not allows_service(allowed, "cloudtrail", "s3:PutObject", "s3:GetBucketAcl"):
            yield f"the bucket of trail {name} does not let CloudTrail write"


@rule
def every_failed_run_is_told(graph: Graph) -> Iterator[str]:
    """A run whose driver fails counts no failed task, so that no metric shows it."""
    told: list[tuple[str, set[str]]] = []
    targets = {t.inputs["rule"] for t in graph.of("EventTarget").values()}
    for found in graph.of("EventRule").values():
        pattern = json.loads(found.inputs["eventPattern"])
        if pattern.get("source") == ["aws.glue"] and found.inputs["name"] in targets:
            states = set(pattern["detail"]["state"])
            told += [(start["prefix"], states) for start in pattern["detail"]["jobName"]]
    for name, job in graph.of("Job").items():
        called = job.inputs["name"]
        heard = [states for start, states in told if called.startswith(start)]
        untold = {"ERROR", "FAILED", "TIMEOUT"}.difference(*heard)
        if untold:
            yield f"nobody is told when job {name} ends as {', '.join(sorted(untold))}"


@rule
def eventbridge_is_asked_for_no_source(graph: Graph) -> Iterator[str]:
    """Its calls for encrypted queues and topics carry none, and fail where one is asked for."""
    for kind in ("Key", "TopicPolicy"):
        for name, resource in graph.of(kind).items():
            for statement in statements(resource.inputs["policy"]):
                services = str(statement["Principal"])
                if "events.amazonaws.com" in services and "Condition" in statement:
                    yield f"{kind} {name}: statement {statement['Sid']} has a condition"
