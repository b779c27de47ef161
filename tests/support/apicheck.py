"""What AWS would refuse of a call, by botocore's own models and by limits that only pages tell.

botocore checks types, required parameters and least lengths itself. Enumerations, patterns and
greatest lengths stand in its models, and are checked here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import botocore.session
from botocore.validate import ParamValidator
from support.apicalls import Call

NEWER: Final = {
    ("glue", "WorkerType"): {"R.1X", "R.2X", "R.4X", "R.8X"},
}
"""Values that the service takes and this botocore does not list yet."""
RETENTION_DAYS: Final = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400}
    | {545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
"""Days for which CloudWatch Logs can keep. Source: API reference of PutRetentionPolicy."""
_EXPRESSION: Final = re.compile(
    r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)|cron\((\S+ ){5}\S+\)"
    r"|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
)
_BUCKET: Final = re.compile(
    r"(?!xn--|sthree-)(?!.*(-s3alias|--ol-s3)$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
)
_EC2_TEXT: Final = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")


def refusals(call: Call) -> list[str]:
    """Why AWS would refuse a call, each in one line; none if nothing speaks against it."""
    shape = _model(call.service).operation_model(call.operation).input_shape
    report = ParamValidator().validate(call.parameters, shape)
    found: list[str] = report.generate_report().splitlines() if report.has_errors() else []
    if not found:
        found += _walk(call.service, shape, call.parameters, "")
        found += _RULES.get(call.operation, _nothing)(call.parameters)
    return [f"{call.service} {call.operation}: {line}" for line in found]


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()


@functools.cache
def _model(service: str) -> Any:
    return _session().get_service_model(service)


def _walk(service: str, shape: Any, value: Any, path: str) -> Iterator[str]:
    """Everything in a value that its shape's enumeration, pattern or bounds exclude."""
    kind = shape.type_name
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        for name, item in value.items():
            yield from _walk(service, shape.members[name], item, f"{path}.{name}")
    elif kind == "list":
        yield from _bounded(shape, len(value), path, "items")
        for number, item in enumerate(value):
            yield from _walk(service, shape.member, item, f"{path}[{number}]")
    elif kind == "map":
        yield from _bounded(shape, len(value), path, "entries")
        for key, item in value.items():
            yield from _walk(service, shape.key, key, f"{path} (key)")
            yield from _walk(service, shape.value, item, f"{path}[{key!r}]")
    elif kind == "string":
        yield from _text(service, shape, value, path)
    elif kind in {"integer", "long", "float", "double"}:
        yield from _bounded(shape, value, path, "")


def _bounded(shape: Any, size: float, path: str, unit: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path}: {size} {unit} are not between {low} and {high}"


def _text(service: str, shape: Any, value: str, path: str) -> Iterator[str]:
    name = re.sub(r"\W", "", path.rpartition(".")[2])
    if shape.enum and value not in {*shape.enum, *NEWER.get((service, name), ())}:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    yield from _bounded(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield f"{path}: {value!r} does not match {pattern}"


def _matches(pattern: str, value: str) -> bool:
    # Surrogates are pairs in Java's strings and never stand alone in Python's.
    plain = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    flags = re.IGNORECASE if "(?i)" in plain else 0
    plain = plain.replace("(?i)", "")
    return re.fullmatch(plain, value, flags) is not None


def _nothing(_parameters: Mapping[str, Any]) -> list[str]:
    return []


def _bucket(p: Mapping[str, Any]) -> list[str]:
    name = p["Bucket"]
    return [] if _BUCKET.fullmatch(name) else [f"{name!r} is no bucket's name"]


def _retention(p: Mapping[str, Any]) -> list[str]:
    days = p["retentionInDays"]
    return [] if days in RETENTION_DAYS else [f"{days} days are none of {sorted(RETENTION_DAYS)}"]


def _schedule(p: Mapping[str, Any]) -> list[str]:
    text = p["ScheduleExpression"]
    return [] if _EXPRESSION.fullmatch(text) else [f"{text!r} is no rate(), cron() or at()"]


def _job(p: Mapping[str, Any]) -> list[str]:
    """Source: CreateJob in Glue's API reference."""
    command, worker = p["Command"]["Name"], p.get("WorkerType")
    wrong = []
    if command not in {"glueetl", "gluestreaming", "pythonshell", "glueray"}:
        wrong.append(f"command {command!r} is none of Glue's")
    if worker == "G.025X" and command != "gluestreaming":
        wrong.append("G.025X is for gluestreaming")
    if p.get("ExecutionClass") == "FLEX" and command != "glueetl":
        wrong.append("FLEX is for glueetl")
    if "MaintenanceWindow" in p and command != "gluestreaming":
        wrong.append("MaintenanceWindow is for gluestreaming")
    if not 1 <= p.get("Timeout", 1) <= 10_080:
        wrong.append(f"Timeout {p['Timeout']} is not between 1 and 10080 minutes")
    if p.get("NumberOfWorkers", 2) < 2:
        wrong.append("NumberOfWorkers is at least 2")
    return wrong


def _queue(p: Mapping[str, Any]) -> list[str]:
    """Source: SetQueueAttributes in SQS's API reference."""
    wrong = []
    bounds = {"MessageRetentionPeriod": (60, 1_209_600), "VisibilityTimeout": (0, 43_200)}
    for name, (low, high) in bounds.items():
        value = p["Attributes"].get(name)
        if value is not None and not low <= int(value) <= high:
            wrong.append(f"{name} {value} is not between {low} and {high}")
    if not re.fullmatch(r"[\w-]{1,80}(\.fifo)?", p["QueueName"]):
        wrong.append(f"{p['QueueName']!r} is no queue's name")
    return wrong


def _alarm(p: Mapping[str, Any]) -> list[str]:
    """Source: PutMetricAlarm in CloudWatch's API reference."""
    stats = [query["MetricStat"] for query in p.get("Metrics", ()) if "MetricStat" in query]
    periods = [p["Period"]] if "Period" in p else [stat["Period"] for stat in stats]
    wrong = [
        f"period {n} is no multiple of 60" for n in periods if n % 60 and n not in {10, 20, 30}
    ]
    longest = max(periods, default=0)
    looked = longest * p["EvaluationPeriods"]
    if looked > (604_800 if longest >= 3600 else 86_400):
        wrong.append(f"it looks back over {looked} s, a day at the most")
    if ("Metrics" in p) == ("MetricName" in p):
        wrong.append("it has one of a metric and an expression")
    if "Metrics" in p and sum(bool(q.get("ReturnData", False)) for q in p["Metrics"]) != 1:
        wrong.append("exactly one of its queries returns data")
    return wrong


def _airflow(p: Mapping[str, Any]) -> list[str]:
    """Source: CreateEnvironment in MWAA's API reference."""
    wrong = []
    if len(p["NetworkConfiguration"]["SubnetIds"]) != 2:
        wrong.append("it takes two subnets")
    if p["EnvironmentClass"] not in {
        f"mw1.{size}" for size in ("micro", "small", "medium", "large", "xlarge", "2xlarge")
    }:
        wrong.append(f"class {p['EnvironmentClass']!r} is none of MWAA's")
    if not 1 <= p["MinWorkers"] <= p["MaxWorkers"] <= 25:
        wrong.append("1 to 25 workers, the least no more than the most")
    return wrong


def _group(p: Mapping[str, Any]) -> list[str]:
    targets = (
        target
        for permission in p.get("IpPermissions", ())
        for target in (*permission.get("IpRanges", ()), *permission.get("UserIdGroupPairs", ()))
    )
    texts = [part.get("Description", "") for part in (p, *targets)] + [p.get("GroupName", "")]
    return [
        f"{text!r} has characters that EC2 refuses"
        for text in texts
        if not _EC2_TEXT.fullmatch(text)
    ]


def _rule(p: Mapping[str, Any]) -> list[str]:
    """Source: EventBridge's quotas."""
    size = len(p.get("EventPattern", ""))
    if size > 2048:
        return [f"a pattern of {size} characters is longer than 2048"]
    text = p.get("ScheduleExpression")
    return (
        [] if text is None or _EXPRESSION.fullmatch(text) else [f"{text!r} is no rate() or cron()"]
    )


def _role_policy(p: Mapping[str, Any]) -> list[str]:
    size = len(re.sub(r"\s", "", p["PolicyDocument"]))
    return [] if size <= 10_240 else [f"{size} characters are more than 10240"]


def _flow_logs(p: Mapping[str, Any]) -> list[str]:
    seconds = p.get("MaxAggregationInterval", 600)
    return [] if seconds in {60, 600} else [f"{seconds} s are neither 60 nor 600"]


def _deletion(p: Mapping[str, Any]) -> list[str]:
    days = p["PendingWindowInDays"]
    return [] if 7 <= days <= 30 else [f"{days} days are not between 7 and 30"]


_RULES: Final[dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "AuthorizeSecurityGroupEgress": _group,
    "AuthorizeSecurityGroupIngress": _group,
    "CreateBucket": _bucket,
    "CreateEnvironment": _airflow,
    "CreateFlowLogs": _flow_logs,
    "CreateJob": _job,
    "CreateQueue": _queue,
    "CreateSchedule": _schedule,
    "CreateSecurityGroup": _group,
    "PutMetricAlarm": _alarm,
    "PutRetentionPolicy": _retention,
    "PutRolePolicy": _role_policy,
    "PutRule": _rule,
    "ScheduleKeyDeletion": _deletion,
}
"""Limits that stand in the services' pages and not in their models, by operation."""
