"""Handlers of what tells and wakes: queues, topics, rules, alarms, dashboards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from localaws.handlers import LACKING, Endpoint, Made, found, handles

LACKING["aws:glue/registry:Registry"] = (
    "no Schema Registry: writer schemas are served by the tests' own stand-in"
)
LACKING["aws:glue/schema:Schema"] = LACKING["aws:glue/registry:Registry"]

_QUEUE: Final = {
    "kmsMasterKeyId": "KmsMasterKeyId",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "redrivePolicy": "RedrivePolicy",
}
_ALARM: Final = {
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "evaluationPeriods": "EvaluationPeriods",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
}


@handles("aws:sqs/queue:Queue")
def queue(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A queue."""
    sqs = endpoint.client("sqs")
    attributes = {_QUEUE[key]: _text(value) for key, value in inputs.items() if key in _QUEUE}
    name = inputs["name"]
    known = found(
        lambda: sqs.get_queue_url(QueueName=name),
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    )
    if known is None:
        known = sqs.create_queue(QueueName=name, Attributes=attributes)
    else:
        sqs.set_queue_attributes(QueueUrl=known["QueueUrl"], Attributes=attributes)
    url = known["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, {"arn": answer["Attributes"]["QueueArn"], "url": url}


@handles("aws:cloudwatch/logGroup:LogGroup")
def log_group(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A log group, and for how long it keeps."""
    logs = endpoint.client("logs")
    name = inputs["name"]
    found(
        lambda: logs.create_log_group(logGroupName=name, kmsKeyId=inputs["kmsKeyId"]),
        "ResourceAlreadyExistsException",
    )
    logs.put_retention_policy(logGroupName=name, retentionInDays=int(inputs["retentionInDays"]))
    arn = f"arn:aws:logs:{endpoint.region}:{endpoint.account}:log-group:{name}"
    return name, {"arn": arn}


def _text(value: object) -> str:
    """The program's numbers arrive as floats."""
    return str(int(value)) if isinstance(value, float) else str(value)


@handles("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """Who may use a queue."""
    url = inputs["queueUrl"]
    endpoint.client("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": inputs["policy"]}
    )
    return url, {}


@handles("aws:sns/topic:Topic")
def topic(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A topic; making one that is there gives it."""
    arn = endpoint.client("sns").create_topic(
        Name=inputs["name"], Attributes={"KmsMasterKeyId": inputs["kmsMasterKeyId"]}
    )["TopicArn"]
    return arn, {"arn": arn}


@handles("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """Who may publish to a topic."""
    endpoint.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return inputs["arn"], {}


@handles("aws:sns/topicSubscription:TopicSubscription")
def subscription(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """Somebody who is told."""
    arn = endpoint.client("sns").subscribe(
        TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"]
    )["SubscriptionArn"]
    return arn, {"arn": arn}


@handles("aws:cloudwatch/eventRule:EventRule")
def event_rule(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A rule of EventBridge; a put brings it up to date."""
    arn = endpoint.client("events").put_rule(
        Name=inputs["name"],
        EventPattern=inputs["eventPattern"],
        Description=inputs["description"],
    )["RuleArn"]
    return inputs["name"], {"arn": arn}


@handles("aws:cloudwatch/eventTarget:EventTarget")
def event_target(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """Where a rule's events go; the id is the last part of the target's ARN."""
    name = inputs["arn"].rpartition(":")[2]
    retry = inputs["retryPolicy"]
    target: dict[str, Any] = {
        "Id": name,
        "Arn": inputs["arn"],
        "RetryPolicy": {
            "MaximumEventAgeInSeconds": int(retry["maximumEventAgeInSeconds"]),
            "MaximumRetryAttempts": int(retry["maximumRetryAttempts"]),
        },
    }
    if "deadLetterConfig" in inputs:
        target["DeadLetterConfig"] = {"Arn": inputs["deadLetterConfig"]["arn"]}
    if "inputTransformer" in inputs:
        transformer = inputs["inputTransformer"]
        target["InputTransformer"] = {
            "InputPathsMap": transformer["inputPaths"],
            "InputTemplate": transformer["inputTemplate"],
        }
    endpoint.client("events").put_targets(Rule=inputs["rule"], Targets=[target])
    return name, {}


@handles("aws:s3/bucketNotification:BucketNotification")
def notification(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A bucket's events go to EventBridge."""
    endpoint.client("s3").put_bucket_notification_configuration(
        Bucket=inputs["bucket"],
        NotificationConfiguration={"EventBridgeConfiguration": {}},
    )
    return inputs["bucket"], {}


@handles("aws:cloudwatch/metricAlarm:MetricAlarm")
def alarm(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """An alarm; a put brings it up to date."""
    wanted: dict[str, Any] = {_ALARM[key]: value for key, value in inputs.items() if key in _ALARM}
    for whole in ("EvaluationPeriods", "Period"):
        if whole in wanted:
            wanted[whole] = int(wanted[whole])
    if "dimensions" in inputs:
        wanted["Dimensions"] = _dimensions(inputs["dimensions"])
    if "metricQueries" in inputs:
        wanted["Metrics"] = [_query(query) for query in inputs["metricQueries"]]
    endpoint.client("cloudwatch").put_metric_alarm(AlarmName=inputs["name"], **wanted)
    return inputs["name"], {}


def _dimensions(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in given.items()]


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"Id": query["id"], "ReturnData": bool(query.get("returnData", False))}
    if "expression" in query:
        return made | {"Expression": query["expression"], "Label": query["label"]}
    metric = query["metric"]
    return made | {
        "MetricStat": {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": _dimensions(metric["dimensions"]),
            },
            "Period": int(metric["period"]),
            "Stat": metric["stat"],
        }
    }


@handles("aws:cloudwatch/dashboard:Dashboard")
def dashboard(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A dashboard; a put brings it up to date."""
    body = json.dumps(json.loads(inputs["dashboardBody"]))
    endpoint.client("cloudwatch").put_dashboard(
        DashboardName=inputs["dashboardName"], DashboardBody=body
    )
    return inputs["dashboardName"], {}


@handles("aws:scheduler/schedule:Schedule")
def schedule(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A schedule, switched off: on one machine jobs run when somebody starts them."""
    scheduler = endpoint.client("scheduler")
    name, target = inputs["name"], inputs["target"]
    wanted = {
        "Name": name,
        "Description": inputs["description"],
        "ScheduleExpression": inputs["scheduleExpression"],
        "FlexibleTimeWindow": {"Mode": inputs["flexibleTimeWindow"]["mode"]},
        "State": "DISABLED",
        "Target": {
            "Arn": target["arn"],
            "RoleArn": target["roleArn"],
            "Input": target["input"],
            "RetryPolicy": {
                "MaximumRetryAttempts": int(target["retryPolicy"]["maximumRetryAttempts"])
            },
        },
    }
    if found(lambda: scheduler.get_schedule(Name=name), "ResourceNotFoundException") is None:
        scheduler.create_schedule(**wanted)
    else:
        scheduler.update_schedule(**wanted)
    return name, {}
