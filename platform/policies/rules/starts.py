"""Rules of what starts runs, and of who hears when one fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policies.graph import Graph, Resource, called
from policies.rule import each


@each("Schedule")
def schedules_may_start_their_jobs(schedule: Resource, graph: Graph) -> Iterator[str]:
    """A schedule that may not start its job fails where nobody looks."""
    target = schedule["target"]
    job, role = json.loads(target["input"])["JobName"], called(target["roleArn"])
    if not graph.may(role, "glue:StartJobRun", graph.arn("glue", f"job/{job}")):
        yield f"role {role} may not start {job}; grant glue:StartJobRun on it"
    if not graph.may(role, "kms:Decrypt", schedule.get("kmsKeyArn", "")):
        yield f"role {role} may not read what it is to send; grant kms:Decrypt on its key"


@each("Job")
def ended_ingest_jobs_are_started_again(job: Resource, graph: Graph) -> Iterator[str]:
    """Nothing but a schedule brings back a run that has ended."""
    started = {json.loads(s["target"]["input"])["JobName"] for s in graph.of("Schedule")}
    if job.name.startswith("ingest-") and job["name"] not in started:
        yield "nothing starts it again; give it a schedule"


@each("Job")
def every_failed_run_is_told(job: Resource, graph: Graph) -> Iterator[str]:
    """A run whose driver fails counts no failed task, so that no metric shows it."""
    targets = {t["rule"] for t in graph.of("EventTarget")}
    heard: set[str] = set()
    for rule in graph.of("EventRule"):
        pattern = json.loads(rule["eventPattern"])
        if pattern.get("source") == ["aws.glue"] and rule["name"] in targets:
            for start in pattern["detail"]["jobName"]:
                if job["name"].startswith(start["prefix"]):
                    heard |= set(pattern["detail"]["state"])
    untold = {"ERROR", "FAILED", "TIMEOUT"} - heard
    if untold:
        yield f"nobody is told when it ends as {', '.join(sorted(untold))}; add an event rule"


@each("EventRule")
def buckets_tell_of_arrivals(rule: Resource, graph: Graph) -> Iterator[str]:
    """A bucket sends nothing to EventBridge unless it is told to, and the rule waits for ever."""
    pattern = json.loads(rule.get("eventPattern", "{}"))
    if pattern.get("source") != ["aws.s3"]:
        return
    telling = {n["bucket"] for n in graph.of("BucketNotification") if n.get("eventbridge")}
    for bucket in sorted(set(pattern["detail"]["bucket"]["name"]) - telling):
        yield f"bucket {bucket} tells EventBridge nothing; set eventbridge=True on it"


@each("EventTarget")
def events_are_sent_again(target: Resource, _graph: Graph) -> Iterator[str]:
    """What a target does not take at once is tried again only as long as the rule says."""
    if not target.get("retryPolicy", {}).get("maximumRetryAttempts"):
        yield "tries once; give it a retry_policy"
