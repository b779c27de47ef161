"""Calls of what tells, wakes, watches and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from support.apicalls import ACCOUNT, CALLS, Call, Inputs, makes, pairs, pascal, plain

CALLS["aws:cloudwatch/eventRule:EventRule"] = plain("events", "PutRule")
CALLS["aws:cloudwatch/dashboard:Dashboard"] = plain("cloudwatch", "PutDashboard")
CALLS["aws:scheduler/schedule:Schedule"] = plain("scheduler", "CreateSchedule")
CALLS["aws:sns/topicSubscription:TopicSubscription"] = plain("sns", "Subscribe", TopicArn="topic")


@makes("aws:sqs/queue:Queue")
def queue(i: Inputs) -> Iterator[Call]:
    """A queue; its attributes are texts."""
    name = {"QueueName": i["name"]}
    renamed = {"MessageRetentionSeconds": "MessageRetentionPeriod"} | {
        "VisibilityTimeoutSeconds": "VisibilityTimeout"
    }
    attributes = {renamed.get(key, key): str(value) for key, value in i.rest().items()}
    yield Call("sqs", "CreateQueue", name | {"Attributes": attributes})


@makes("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(i: Inputs) -> Iterator[Call]:
    """Who may use a queue."""
    policy = {"Attributes": {"Policy": i["policy"]}}
    yield Call("sqs", "SetQueueAttributes", {"QueueUrl": i["queueUrl"]} | policy)


@makes("aws:sns/topic:Topic")
def topic(i: Inputs) -> Iterator[Call]:
    """A topic."""
    attributes = {"Attributes": {"KmsMasterKeyId": i["kmsMasterKeyId"]}}
    yield Call("sns", "CreateTopic", {"Name": i["name"]} | attributes)


@makes("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(i: Inputs) -> Iterator[Call]:
    """Who may publish."""
    policy = {"AttributeName": "Policy", "AttributeValue": i["policy"]}
    yield Call("sns", "SetTopicAttributes", {"TopicArn": i["arn"]} | policy)


@makes("aws:cloudwatch/eventTarget:EventTarget")
def event_target(i: Inputs) -> Iterator[Call]:
    """Where a rule's events go."""
    target: dict[str, Any] = {"Id": "1"}
    if "inputTransformer" in i:
        given = i["inputTransformer"]
        target["InputTransformer"] = {
            "InputPathsMap": given["inputPaths"],
            "InputTemplate": given["inputTemplate"],
        }
    rule = {"Rule": i["rule"]}
    yield Call("events", "PutTargets", rule | {"Targets": [target | i.rest()]})


@makes("aws:cloudwatch/metricAlarm:MetricAlarm")
def alarm(i: Inputs) -> Iterator[Call]:
    """An alarm over one metric, or over an expression."""
    wanted = i.given(AlarmName="name", OKActions="okActions")
    wanted["Tags"] = pairs(i["tags"])
    if "dimensions" in i:
        wanted["Dimensions"] = pairs(i["dimensions"], "Name")
    if "metricQueries" in i:
        wanted["Metrics"] = [_query(query) for query in i["metricQueries"]]
    yield Call("cloudwatch", "PutMetricAlarm", wanted | i.rest())


def _query(query: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = pascal({key: v for key, v in query.items() if key != "metric"})
    if "metric" in query:
        metric = pascal({k: v for k, v in query["metric"].items() if k != "dimensions"})
        metric["Dimensions"] = pairs(query["metric"]["dimensions"], "Name")
        stat = {"Period": metric.pop("Period"), "Stat": metric.pop("Stat")}
        made["MetricStat"] = stat | {"Metric": metric}
    return made


@makes("aws:cloudtrail/trail:Trail")
def trail(i: Inputs) -> Iterator[Call]:
    """A trail, and what it notes."""
    selectors = [
        {
            "Name": selector["name"],
            "FieldSelectors": [
                {_SELECTOR.get(key, key.capitalize()): value for key, value in field.items()}
                for field in selector["fieldSelectors"]
            ],
        }
        for selector in i["advancedEventSelectors"]
    ]
    name = {"TrailName": i["name"]}
    yield Call("cloudtrail", "PutEventSelectors", name | {"AdvancedEventSelectors": selectors})
    named = i.given(Name="name", S3BucketName="s3BucketName")
    yield Call("cloudtrail", "CreateTrail", named | i.rest())


_SELECTOR = {"startsWiths": "StartsWith"}


@makes("aws:budgets/budget:Budget")
def budget(i: Inputs) -> Iterator[Call]:
    """A budget, and who is told."""
    wanted = {
        "BudgetName": i["name"],
        "BudgetLimit": {"Amount": i["limitAmount"], "Unit": i["limitUnit"]},
        "CostFilters": {item["name"]: item["values"] for item in i["costFilters"]},
        **i.given(BudgetType="budgetType", TimeUnit="timeUnit"),
    }
    told = []
    for given in i["notifications"]:
        topics = given["subscriberSnsTopicArns"]
        rest = {key: value for key, value in given.items() if key != "subscriberSnsTopicArns"}
        told.append(
            {
                "Notification": pascal(rest),
                "Subscribers": [{"SubscriptionType": "SNS", "Address": topic} for topic in topics],
            }
        )
    everything = {"Budget": wanted, "NotificationsWithSubscribers": told}
    yield Call("budgets", "CreateBudget", {"AccountId": ACCOUNT} | everything)


@makes("aws:costexplorer/anomalyMonitor:AnomalyMonitor")
def monitor(i: Inputs) -> Iterator[Call]:
    """What is watched for sudden change."""
    wanted = {
        "MonitorSpecification": json.loads(i["monitorSpecification"]),
        **i.given(MonitorName="name"),
    }
    yield Call("ce", "CreateAnomalyMonitor", {"AnomalyMonitor": wanted | i.rest()})


@makes("aws:costexplorer/costAllocationTag:CostAllocationTag")
def cost_tag(i: Inputs) -> Iterator[Call]:
    """A tag by which costs are told apart."""
    status = i.given(TagKey="tagKey", Status="status")
    yield Call("ce", "UpdateCostAllocationTagsStatus", {"CostAllocationTagsStatus": [status]})


@makes("aws:costexplorer/anomalySubscription:AnomalySubscription")
def anomalies(i: Inputs) -> Iterator[Call]:
    """Who is told of sudden change."""
    threshold = pascal(i["thresholdExpression"])
    wanted = {
        "ThresholdExpression": {"Dimensions": threshold.pop("Dimension")} | threshold,
        **i.given(SubscriptionName="name", MonitorArnList="monitorArnLists"),
    }
    yield Call("ce", "CreateAnomalySubscription", {"AnomalySubscription": wanted | i.rest()})
