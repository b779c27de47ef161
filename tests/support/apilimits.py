"""Limits that stand in the services' pages and not in their models, by operation."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

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
_NAME: Final = re.compile(r"[a-z0-9_]+")
_TABLE_BYTES: Final = 1_000_000
"""Of a table's whole entry, compressed."""


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


def _table(p: Mapping[str, Any]) -> list[str]:
    """Source: Glue's quotas; partition projection and names of tables in Athena's user guide."""
    table = p["TableInput"]
    columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    keys = [key["Name"] for key in table.get("PartitionKeys", ())]
    wrong = [
        f"{name!r} is not in lower case, digits and _"
        for name in (p["DatabaseName"], table["Name"], *columns, *keys)
        if not _NAME.fullmatch(name)
    ]
    if len({*columns, *keys}) < len(columns) + len(keys):
        wrong.append("two columns have one name")
    size = len(gzip.compress(json.dumps(table).encode()))
    if size > _TABLE_BYTES:
        wrong.append(f"{size} compressed bytes are more than {_TABLE_BYTES}")
    if table.get("TableType") == "VIRTUAL_VIEW":
        wrong += _view(table, columns)
    if table.get("Parameters", {}).get("projection.enabled") == "true":
        wrong += _projection(table["Parameters"], keys)
    return wrong


def _projection(given: Mapping[str, str], keys: Sequence[str]) -> Iterator[str]:
    """What makes Athena refuse a query of a table whose partitions are projected."""
    template = given.get("storage.location.template")
    for key in keys:
        kind, values = (given.get(f"projection.{key}.{part}") for part in ("type", "values"))
        if kind not in {"enum", "integer", "date", "injected"}:
            yield f"partition {key!r} has projection {kind!r}"
        if kind == "enum" and not re.fullmatch(r"[^\s,]+(,[^\s,]+)*", values or ""):
            yield f"partition {key!r} has values {values!r}"
        if template is not None and f"${{{key}}}" not in template:
            yield f"location {template} has no place for {key!r}"


def _view(table: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    """What makes Athena call a view stale, or take it for none."""
    if table.get("Parameters", {}).get("presto_view") != "true":
        yield "it has no parameter presto_view"
    text = re.fullmatch(r"/\* Presto View: (\S+) \*/", table.get("ViewOriginalText", ""))
    if text is None:
        yield "its text is none of Athena's views"
        return
    view = json.loads(base64.b64decode(text[1]))
    if missing := {"originalSql", "catalog", "schema", "columns"} - set(view):
        yield f"its text lacks {sorted(missing)}"
    elif [column["name"] for column in view["columns"]] != columns:
        yield "its text has other columns than the table"


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


LIMITS: Final[dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "AuthorizeSecurityGroupEgress": _group,
    "AuthorizeSecurityGroupIngress": _group,
    "CreateBucket": _bucket,
    "CreateEnvironment": _airflow,
    "CreateFlowLogs": _flow_logs,
    "CreateJob": _job,
    "CreateQueue": _queue,
    "CreateSchedule": _schedule,
    "CreateSecurityGroup": _group,
    "CreateTable": _table,
    "PutMetricAlarm": _alarm,
    "PutRetentionPolicy": _retention,
    "PutRolePolicy": _role_policy,
    "PutRule": _rule,
    "ScheduleKeyDeletion": _deletion,
}
"""Why a call's parameters would be refused, each reason in one line."""
