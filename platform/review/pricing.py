"""What every type of resource costs in a month, from its inputs; each type is priced or free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lakehouse.errors import EstateError
from localaws.apply import Recorded
from review.month import Line, Month

_DPUS: Final = {
    "G.025X": 0.25, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "R.1X": 1, "R.2X": 2,
}  # fmt: skip
"""Of a worker. Source: worker types in Glue's developer guide; memory-optimised ones cost more."""

Pricer = Callable[[Recorded, Month], Iterator[tuple[str, float, str]]]
PRICED: Final[dict[str, Pricer]] = {}
_NOTHING: Final = "nothing is asked for it"
FREE: Final = {
    "aws:s3/bucketObjectv2:BucketObjectv2": "some megabytes",
    "aws:cloudwatch/eventRule:EventRule": "events of AWS's own services are free",
    "aws:cloudwatch/eventTarget:EventTarget": "events of AWS's own services are free",
    "aws:ec2/flowLog:FlowLog": "paid for at the log group that it writes to",
    "aws:glue/catalogDatabase:CatalogDatabase": "the first million objects are free",
    "aws:glue/catalogTable:CatalogTable": "the first million objects are free",
    "aws:budgets/budget:Budget": "budgets that only tell are free",
    **dict.fromkeys(
        (
            "aws:athena/namedQuery:NamedQuery",
            "aws:costexplorer/anomalyMonitor:AnomalyMonitor",
            "aws:costexplorer/anomalySubscription:AnomalySubscription",
            "aws:costexplorer/costAllocationTag:CostAllocationTag",
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            "aws:ec2/internetGateway:InternetGateway",
            "aws:ec2/route:Route",
            "aws:ec2/routeTable:RouteTable",
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "aws:ec2/securityGroup:SecurityGroup",
            "aws:ec2/subnet:Subnet",
            "aws:ec2/vpc:Vpc",
            "aws:glue/connection:Connection",
            "aws:glue/registry:Registry",
            "aws:glue/schema:Schema",
            "aws:glue/securityConfiguration:SecurityConfiguration",
            "aws:iam/role:Role",
            "aws:iam/rolePolicy:RolePolicy",
            "aws:kms/alias:Alias",
            "aws:lakeformation/lfTag:LfTag",
            "aws:lakeformation/optIn:OptIn",
            "aws:lakeformation/permissions:Permissions",
            "aws:lakeformation/resource:Resource",
            "aws:lakeformation/resourceLfTags:ResourceLfTags",
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "aws:s3/bucketNotification:BucketNotification",
            "aws:s3/bucketPolicy:BucketPolicy",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "aws:s3/bucketVersioning:BucketVersioning",
            "aws:sns/topicPolicy:TopicPolicy",
            "aws:sns/topicSubscription:TopicSubscription",
            "aws:sqs/queuePolicy:QueuePolicy",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        ),
        _NOTHING,
    ),
}
"""Types that cost nothing, or nothing of their own, each with the reason."""


def lines(month: Month) -> list[Line]:
    """Every line of a month; EstateError for a type that nobody has a price for."""
    found = []
    for resource in month.resources:
        if resource.type in FREE:
            continue
        if resource.type not in PRICED:
            raise EstateError(
                f"{resource.type} {resource.name!r} has no price; write its function in "
                f"{__name__}, or add the type to FREE with the reason"
            )
        found += [
            Line(resource.component, *line) for line in PRICED[resource.type](resource, month)
        ]
    return [line for line in found if line.quantity]


def priced(kind: str) -> Callable[[Pricer], Pricer]:
    """Register what a type costs."""

    def register(pricer: Pricer) -> Pricer:
        PRICED[kind] = pricer
        return pricer

    return register


def _gb(month: Month) -> float:
    """Gigabytes that come through a stream."""
    usage, everywhere = month.prices.stacks[month.stack], month.prices.everywhere
    return usage.events_a_second * everywhere.record_kb * everywhere.hours * 3600 / 1e6


@priced("aws:glue/job:Job")
def _job(job: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    everywhere, told = month.prices.everywhere, job.inputs["defaultArguments"]
    workers = job.inputs["numberOfWorkers"]
    if "--enable-auto-scaling" in told:
        workers = min(workers, everywhere.scaled_workers)
    dpus, runs = workers * _DPUS[job.inputs["workerType"]], month.runs(job)
    if job.inputs["command"]["name"] == "gluestreaming":
        hours = everywhere.hours
    else:
        minutes = month.prices.stacks[month.stack].minutes
        hours = runs * minutes["ingest" if job.name.startswith("ingest-") else job.name] / 60
    flex = job.inputs.get("executionClass") == "FLEX"
    yield f"job {job.name}", dpus * hours, "glue_flex_dpu_hour" if flex else "glue_dpu_hour"
    if "--enable-metrics" in told:
        measured = max(hours, runs) * everywhere.glue_metrics_a_run / everywhere.hours
        yield f"Glue's metrics of {job.name}", measured, "metric_month"


@priced("aws:kinesis/stream:Stream")
def _stream(stream: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    hours, written = month.prices.everywhere.hours, _gb(month)
    kept = stream.inputs["retentionPeriod"] - 24
    what = f"stream {stream.name}"
    if stream.inputs["streamModeDetails"]["streamMode"] == "ON_DEMAND":
        yield what, hours, "kinesis_stream_hour"
        yield f"{what}: written", written, "kinesis_gb_in"
        yield f"{what}: read", written, "kinesis_gb_out"
        yield f"{what}: kept", written / hours * kept, "kinesis_gb_kept"
        return
    shards = stream.inputs["shardCount"]
    yield what, shards * hours, "kinesis_shard_hour"
    yield f"{what}: kept", shards * hours if kept else 0, "kinesis_shard_hour_kept"
    events = month.prices.stacks[month.stack].events_a_second * hours * 3600
    yield f"{what}: records", events / 1e6, "kinesis_million_units"


@priced("aws:s3/bucket:Bucket")
def _bucket(bucket: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    if bucket.name in {"bronze", "silver", "gold"}:
        stored = month.prices.stacks[month.stack].stored_gb / 3
        yield "stored", stored, "s3_gb"
    everywhere, share = month.prices.everywhere, month.all_runs() / len(month.of("Bucket"))
    yield "puts", share * everywhere.puts_a_run / 1e3, "s3_thousand_puts"
    yield "gets", share * everywhere.gets_a_run / 1e3, "s3_thousand_gets"


@priced("aws:cloudtrail/trail:Trail")
def _trail(_trail: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    everywhere = month.prices.everywhere
    events = month.all_runs() * (everywhere.puts_a_run + everywhere.gets_a_run)
    yield "events of objects", events / 1e5, "trail_hundred_thousand"


@priced("aws:kms/key:Key")
def _key(_key: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "keys", 1, "key_month"
    share = month.prices.stacks[month.stack].kms_requests / len(month.of("Key"))
    yield "requests", share / 1e4, "kms_ten_thousand"


@priced("aws:mwaa/environment:Environment")
def _airflow(airflow: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    usage, hours = month.prices.stacks[month.stack], month.prices.everywhere.hours
    size = airflow.inputs["environmentClass"].partition(".")[2]
    yield "environment", hours, f"mwaa_{size}_hour"
    if size != "micro":
        more = (airflow.inputs["minWorkers"] - 1) * hours
        yield "more workers", more + usage.worker_hours, f"mwaa_{size}_worker_hour"
    yield "database", usage.airflow_gb, "mwaa_gb"


@priced("aws:ec2/natGateway:NatGateway")
def _nat(_nat: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "NAT gateways", month.prices.everywhere.hours, "nat_hour"
    share = month.prices.stacks[month.stack].nat_gb / len(month.of("NatGateway"))
    yield "through NAT", share, "nat_gb"


@priced("aws:ec2/eip:Eip")
def _address(_eip: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "addresses", month.prices.everywhere.hours, "address_hour"


@priced("aws:ec2/vpcEndpoint:VpcEndpoint")
def _endpoint(endpoint: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    if endpoint.inputs["vpcEndpointType"] == "Interface":
        zones = len(endpoint.inputs["subnetIds"])
        yield "interface endpoints", zones * month.prices.everywhere.hours, "endpoint_hour"
        ways = [e for e in month.of("VpcEndpoint") if e.inputs["vpcEndpointType"] == "Interface"]
        through = month.prices.stacks[month.stack].nat_gb / len(ways)
        yield "through endpoints", through, "endpoint_gb"


@priced("aws:cloudwatch/logGroup:LogGroup")
def _logs(group: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    usage, everywhere = month.prices.stacks[month.stack], month.prices.everywhere
    siblings = sum(g.component == group.component for g in month.of("LogGroup"))
    written = {
        "Network": usage.flow_log_gb,
        "Airflow": usage.airflow_log_gb,
        "Jobs": month.all_runs() * everywhere.log_mb_a_run / 1e3,
    }[group.component] / siblings
    yield "logs", written, "logs_gb"
    months = group.inputs["retentionInDays"] / 30
    yield "logs kept", written * months * everywhere.compressed, "logs_gb_kept"


@priced("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(alarm: Recorded, _month: Month) -> Iterator[tuple[str, float, str]]:
    queries = [q for q in alarm.inputs.get("metricQueries", []) if "metric" in q]
    yield "alarms", len(queries) or 1, "alarm_month"


@priced("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(_dashboard: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "dashboard", 1, "dashboard_month"
    everywhere, alarms = month.prices.everywhere, [a.name for a in month.of("MetricAlarm")]
    metrics = (
        sum(name.endswith("-held") for name in alarms) * everywhere.metrics_a_dataset
        + sum(name.endswith("-rejects") for name in alarms) * everywhere.metrics_an_ingested
        + sum(name.endswith("-lag") for name in alarms) * everywhere.metrics_a_stream
    )
    share = month.prices.stacks[month.stack].metric_share
    yield "the datasets' metrics", metrics * share, "metric_month"


@priced("aws:athena/workgroup:Workgroup")
def _queries(_workgroup: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    scanned = month.prices.stacks[month.stack].scanned_tb / len(month.of("Workgroup"))
    yield "queries", scanned, "athena_tb"


@priced("aws:scheduler/schedule:Schedule")
def _schedule(schedule: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "starts", month.starts(schedule) / 1e6, "schedule_million"


@priced("aws:sqs/queue:Queue")
def _queue(_queue: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    share = month.prices.stacks[month.stack].queue_requests / len(month.of("Queue"))
    yield "requests", share / 1e6, "sqs_million"


@priced("aws:sns/topic:Topic")
def _topic(_topic: Recorded, month: Month) -> Iterator[tuple[str, float, str]]:
    yield "mails", month.prices.stacks[month.stack].mails / 1e5, "mail_hundred_thousand"
