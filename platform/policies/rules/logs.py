"""Rules of logs: they are written, encrypted, and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called, listed, services
from policies.rule import each

_AIRFLOW: Final = ("DAGProcessing", "Scheduler", "Task", "WebServer", "Worker")


@each("LogGroup", "Job", "Environment")
def logs_can_be_encrypted(resource: Resource, graph: Graph) -> Iterator[str]:
    """CloudWatch Logs refuses a group whose key does not name it, and a job logs nothing."""
    match resource.kind:
        case "LogGroup":
            key, groups = resource.get("kmsKeyId"), [resource["name"]]
        case "Job":
            key, groups = _job_key(resource, graph), _groups(resource)
        case _:
            key, groups = resource.get("kmsKey"), _groups(resource)
    patterns = [
        pattern.partition(":log-group:")[2]
        for s in graph.key_statements(key)
        if any(service.startswith("logs.") for service in services(s))
        for pattern in listed(s["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"])
    ]
    for group in groups:
        if not any(re.fullmatch(p.replace("*", ".*"), group) for p in patterns):
            yield f"its key does not let CloudWatch Logs encrypt {group}; name it in its policy"


@each("LogGroup", "Job", "Environment")
def logs_end(resource: Resource, graph: Graph) -> Iterator[str]:
    """A group that a service makes for itself keeps its lines for ever."""
    if resource.kind == "LogGroup":
        if not resource.get("retentionInDays"):
            yield "keeps its lines for ever; give it retention_in_days"
        return
    declared = graph.by("LogGroup", "name")
    for group in _groups(resource):
        if group not in declared:
            yield f"logs to {group}, which nobody declares; add it with retention_in_days"


@each("Job")
def jobs_may_log(job: Resource, graph: Graph) -> Iterator[str]:
    """A run that may not write to its log fails without a reason that anybody could read."""
    role = called(job["roleArn"])
    for group in _groups(job):
        stream = graph.arn("logs", f"log-group:{group}:log-stream:jr_1")
        if not graph.may(role, "logs:PutLogEvents", stream):
            yield f"role {role} may not write to {group}; grant it logs:PutLogEvents"


def _job_key(job: Resource, graph: Graph) -> str | None:
    """The key of a job's log; none without a security configuration, which another rule tells."""
    known = graph.by("SecurityConfiguration", "name")
    found = known.get(job.get("securityConfiguration", ""))
    if found is None:
        return None
    key: str | None = found["encryptionConfiguration"]["cloudwatchEncryption"].get("kmsKeyArn")
    return key


def _groups(resource: Resource) -> list[str]:
    """Where MWAA logs, or Glue 5 and later; a job with a security configuration under its name."""
    if resource.kind == "Environment":
        return [f"airflow-{resource['name']}-{kind}" for kind in _AIRFLOW]
    folder, secured = "/aws-glue/jobs", resource.get("securityConfiguration")
    if secured:
        folder += f"/{secured}-role/{called(resource['roleArn'])}"
    return [f"{folder}/{stream}" for stream in ("error", "output")]
