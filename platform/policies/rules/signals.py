"""Rules of alarms, queues and what else tells that something is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called
from policies.rule import each, stack

DAY_SECONDS: Final = 86_400
WEEKEND_HOURS: Final = 72
WATCHED: Final = ("landing", "bronze", "silver", "gold", "verdicts")
"""Buckets whose objects are data of datasets, or decisions on them."""


@each("Queue")
def dead_letters_outlive_the_letters(queue: Resource, graph: Graph) -> Iterator[str]:
    """A dead letter keeps the age of the message, so it needs the longer retention."""
    if "redrivePolicy" not in queue:
        return
    dead = graph.by("Queue", "arn")[json.loads(queue["redrivePolicy"])["deadLetterTargetArn"]]
    if dead["messageRetentionSeconds"] <= queue["messageRetentionSeconds"]:
        yield f"its dead letters in {dead.name} end no later than its messages; keep them longer"


@each("Queue")
def every_queue_has_dead_letters(queue: Resource, graph: Graph) -> Iterator[str]:
    """A message that nobody can handle comes back for ever, or goes without a word."""
    others = [json.loads(q["redrivePolicy"]) for q in graph.of("Queue") if "redrivePolicy" in q]
    dead = {called(policy["deadLetterTargetArn"]) for policy in others}
    if "redrivePolicy" not in queue and queue["name"] not in dead:
        yield "no queue for dead letters; give it a redrive_policy"


@each("MetricAlarm")
def every_alarm_tells_somebody(alarm: Resource, _graph: Graph) -> Iterator[str]:
    """An alarm without actions turns red where nobody looks."""
    if not alarm.get("alarmActions"):
        yield "tells nobody; give it alarm_actions"


@each("MetricAlarm")
def silence_is_an_alarm(alarm: Resource, _graph: Graph) -> Iterator[str]:
    """Who fails sends no figures: an alarm of too little must go off when there are none."""
    missing = alarm.get("treatMissingData", "missing")
    if missing == "missing":
        yield "does not say what silence means; set treat_missing_data"
    elif missing != "breaching" and alarm["comparisonOperator"].startswith("LessThan"):
        yield f"too little alarms it, nothing at all is {missing}; set breaching"


@each("MetricAlarm")
def alarms_look_back_a_day_at_most(alarm: Resource, _graph: Graph) -> Iterator[str]:
    """CloudWatch refuses an alarm whose periods together are longer than a day."""
    seconds = alarm.get("period", 0) * alarm["evaluationPeriods"]
    if seconds > DAY_SECONDS:
        yield f"looks back {seconds / 3600:g} h; shorten period or evaluation_periods"


@each("Queue")
def dead_letters_are_told(queue: Resource, graph: Graph) -> Iterator[str]:
    """A dead letter that nobody hears of ends with the queue's retention."""
    if "redrivePolicy" not in queue:
        return
    dead = called(json.loads(queue["redrivePolicy"])["deadLetterTargetArn"])
    if dead not in {a.get("dimensions", {}).get("QueueName") for a in graph.of("MetricAlarm")}:
        yield f"no alarm watches its dead letters in {dead}; add one"


@each("Stream")
def throttled_streams_are_told(stream: Resource, graph: Graph) -> Iterator[str]:
    """A producer that is throttled gives up after some retries, and its records are nowhere."""
    watched = {a.get("dimensions", {}).get("StreamName") for a in graph.of("MetricAlarm")}
    if stream["name"] not in watched:
        yield "no alarm watches its throttling; add one"


@each("Stream")
def streams_keep_a_weekend(stream: Resource, _graph: Graph) -> Iterator[str]:
    """What a stopped job has not read in time is lost; a protected stream waits over a weekend."""
    hours = stream.get("retentionPeriod", 24)
    if stream.protect and hours < WEEKEND_HOURS:
        yield f"keeps records for {hours:g} h; set retention_period to {WEEKEND_HOURS} or more"


@each("Trail")
def the_trail_sees_all_data(trail: Resource, graph: Graph) -> Iterator[str]:
    """A bucket that the selectors leave out is read and written unseen."""
    starts = [
        start
        for selector in trail.get("advancedEventSelectors", [])
        for field in selector["fieldSelectors"]
        if field["field"] == "resources.ARN"
        for start in field.get("startsWiths", [])
    ]
    for bucket in graph.of("Bucket"):
        arn = f":s3:::{bucket['bucket']}/"
        if bucket.name in WATCHED and not any(start.endswith(arn) for start in starts):
            yield f"does not watch bucket {bucket.name}; add it to the selectors"


@each("Trail")
def the_trail_cannot_be_forged(trail: Resource, _graph: Graph) -> Iterator[str]:
    """Without digests a changed or missing file of the trail does not show."""
    if trail.get("enableLogFileValidation") is not True:
        yield "its files can be changed unseen; set enable_log_file_validation=True"
    if trail.get("enableLogging") is False:
        yield "switched off; set enable_logging=True"


@stack
def prod_is_watched(graph: Graph) -> Iterator[str]:
    """Who read what, and what it costs, cannot be asked afterwards."""
    if graph.default_tags.get("stage") == "prod":
        for kind in ("Trail", "Budget", "AnomalySubscription"):
            if not graph.of(kind):
                yield f"no {kind} in a stack that is tagged as prod; configure audit and cost"
