"""Rules of alarms, queues and what else tells that something is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policies.graph import Graph, Resource, called
from policies.rule import each


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
