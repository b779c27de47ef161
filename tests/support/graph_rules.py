"""Rules of jobs, roles and the network: traps of real AWS, each named for what must hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from support.graph import (
    POLICY_LIMIT,
    WEEK_MINUTES,
    Graph,
    allows_service,
    rule,
    statements,
)

from localaws.apply import Recorded

_LAYERS = ("bronze", "silver", "gold")
_ICEBERG = re.compile(r"iceberg|metadata_location", re.IGNORECASE)
_JSON = {"org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe"}
_SECRET = re.compile(r"password|secret|token|AKIA[0-9A-Z]{16}", re.IGNORECASE)


@rule
def a_retry_never_starts_a_twin(graph: Graph) -> Iterator[str]:
    """Airflow's retry adopts running and starting runs, and knows nothing of waiting ones."""
    for name, job in graph.of("Job").items():
        if job.inputs.get("jobRunQueuingEnabled") is not False:
            yield f"job {name} lets its runs wait in Glue's queue"
        if job.inputs.get("executionProperty", {}).get("maxConcurrentRuns") != 1:
            yield f"job {name} may run more than once at a time"
        if job.inputs.get("maxRetries") != 0:
            yield f"job {name} is retried by Glue as well"


@rule
def streaming_jobs_are_restarted_and_others_end(graph: Graph) -> Iterator[str]:
    """Glue restarts a streaming run for maintenance only if its timeout allows a week."""
    for name, job in graph.of("Job").items():
        timeout = job.inputs.get("timeout")
        if job.inputs["command"]["name"] == "gluestreaming":
            if "maintenanceWindow" not in job.inputs:
                yield f"streaming job {name} has no maintenance window"
            if timeout is not None and timeout < WEEK_MINUTES:
                yield f"streaming job {name} ends after {timeout} minutes and is not restarted"
        elif timeout is None:
            yield f"job {name} has no timeout and may hang for a day"


@rule
def flex_is_for_batch_on_common_workers(graph: Graph) -> Iterator[str]:
    """Glue takes FLEX for glueetl on G.1X and G.2X alone."""
    for name, job in graph.of("Job").items():
        flexible = job.inputs.get("executionClass") == "FLEX"
        if flexible and job.inputs["command"]["name"] != "glueetl":
            yield f"job {name} is FLEX and no glueetl"
        if flexible and job.inputs["workerType"] not in {"G.1X", "G.2X"}:
            yield f"job {name} is FLEX on {job.inputs['workerType']}"


@rule
def role_policies_fit(graph: Graph) -> Iterator[str]:
    """IAM refuses a role's inline policies beyond its limit."""
    for name, policy in graph.of("RolePolicy").items():
        size = len(re.sub(r"\s", "", policy.inputs["policy"]))
        if size > POLICY_LIMIT:
            yield f"policy {name} has {size} characters, IAM takes {POLICY_LIMIT}"


@rule
def iceberg_tables_belong_to_the_jobs(graph: Graph) -> Iterator[str]:
    """Columns that Pulumi owned would be set back whenever a table has evolved.

    Tables over JSON, and views, have the columns that they are declared with.
    """
    for resource in graph.resources:
        if resource.type == "aws:s3tables/table:Table":
            yield f"table {resource.name} is declared here"
    for name, table in graph.of("CatalogTable").items():
        told = json.dumps([table.inputs.get("parameters"), table.inputs["storageDescriptor"]])
        if table.inputs["databaseName"] in _LAYERS:
            yield f"table {name} is declared here, in {table.inputs['databaseName']}"
        if "openTableFormatInput" in table.inputs or _ICEBERG.search(told):
            yield f"table {name} is declared here, an Iceberg table"
        elif table.inputs.get("tableType") != "VIRTUAL_VIEW" and not _reads_json(table):
            yield f"table {name} is declared here, neither over JSON nor a view"


def _reads_json(table: Recorded) -> bool:
    reader = table.inputs["storageDescriptor"].get("serDeInfo", {}).get("serializationLibrary", "")
    return table.inputs.get("tableType") == "EXTERNAL_TABLE" and reader in _JSON


@rule
def every_job_has_a_role_of_its_own(graph: Graph) -> Iterator[str]:
    """Two jobs under one role have each other's rights."""
    roles = {role.inputs["name"]: role for role in graph.of("Role").values()}
    users: dict[str, str] = {}
    for name, job in graph.of("Job").items():
        role = job.inputs["roleArn"].rpartition("/")[2]
        if role in users:
            yield f"jobs {users[role]} and {name} share role {role}"
        users[role] = name
        if role not in roles:
            yield f"job {name} has role {role}, which is not declared"
        elif not allows_service(
            statements(roles[role].inputs["assumeRolePolicy"]), "glue", "sts:AssumeRole"
        ):
            yield f"Glue may not take role {role} of job {name}"


@rule
def jobs_find_what_they_are_told_of(graph: Graph) -> Iterator[str]:
    """A run that cannot read its code, or keep its environment, fails at its start."""
    objects = {(o.inputs["bucket"], o.inputs["key"]) for o in graph.of("BucketObjectv2").values()}
    for name, job in graph.of("Job").items():
        role, told = job.inputs["roleArn"].rpartition("/")[2], job.inputs["defaultArguments"]
        files = {job.inputs["command"]["scriptLocation"], told["--extra-py-files"]}
        files |= {told[a] for a in ("--additional-python-modules",) if a in told}
        for file in sorted(files):
            bucket, _, key = file.removeprefix("s3://").partition("/")
            if (bucket, key) not in objects:
                yield f"job {name} is told of {file}, which nobody uploads"
            if not graph.may(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"):
                yield f"job {name} may not read {file}"
        kept = told.get("--python-virtual-env-storage-prefix", "").removeprefix("s3://")
        if kept and not graph.may(role, "s3:PutObject", f"arn:aws:s3:::{kept}x"):
            yield f"job {name} may not keep its environment at {kept}"


@rule
def no_secret_is_an_argument(graph: Graph) -> Iterator[str]:
    """A job's arguments can be read by whoever may look at jobs."""
    for name, job in graph.of("Job").items():
        for key, value in job.inputs["defaultArguments"].items():
            if _SECRET.search(key) or _SECRET.search(value):
                yield f"job {name}: argument {key} looks like a secret"


@rule
def dags_only_start_jobs(graph: Graph) -> Iterator[str]:
    """All DAGs have one role, so that what it may do, each of them may."""
    for name, role in graph.of("Role").items():
        if "airflow" not in str(role.inputs["assumeRolePolicy"]):
            continue
        for action, resource in graph.grants(role.inputs["name"]):
            layer = next((x for x in _LAYERS if resource.split("/")[0].endswith(f"-{x}")), None)
            if layer or re.match(r"glue:.*(Table|Database|Partition)|iam:|athena:", action):
                yield f"role {name} may {action} on {resource}"
            if re.match(r"s3:(Put|Delete)", action) and "-landing/" not in resource:
                yield f"role {name} may {action} on {resource}"
    for name, environment in graph.of("Environment").items():
        role = environment.inputs["executionRoleArn"].rpartition("/")[2]
        if role in {job.inputs["roleArn"].rpartition("/")[2] for job in graph.of("Job").values()}:
            yield f"environment {name} runs under a job's role {role}"


@rule
def ended_ingest_jobs_are_started_again(graph: Graph) -> Iterator[str]:
    """Nothing but a schedule brings back a run that has ended."""
    started = {}
    for name, schedule in graph.of("Schedule").items():
        target = schedule.inputs["target"]
        job = json.loads(target["input"])["JobName"]
        started[job] = name
        role = target["roleArn"].rpartition("/")[2]
        if not graph.may(
            role, "glue:StartJobRun", f"arn:aws:glue:eu-west-1:123456789012:job/{job}"
        ):
            yield f"schedule {name} may not start {job}"
        if not graph.may(role, "kms:Decrypt", schedule.inputs.get("kmsKeyArn", "")):
            yield f"schedule {name} may not read what it is to send"
    for name, job in graph.of("Job").items():
        if name.startswith("ingest-") and job.inputs["name"] not in started:
            yield f"nothing starts job {name} again"


@rule
def what_is_referred_to_is_there(graph: Graph) -> Iterator[str]:
    """A name that nobody declares is an outage that only a run finds."""
    keys = set(graph.of("Key"))
    buckets = {b.inputs["bucket"] for b in graph.of("Bucket").values()}
    for resource in graph.resources:
        text = json.dumps({k: v for k, v in resource.inputs.items() if k != "contentBase64"})
        for key in set(re.findall(r":kms:[\w-]*:\d*:key/([\w-]+)", text)) - keys:
            yield f"{resource.type} {resource.name} names key {key}, which is not declared"
        for bucket in set(re.findall(r"(?:s3://|:s3:::)([a-z0-9-]+)", text)) - buckets:
            yield f"{resource.type} {resource.name} names bucket {bucket}, which is not declared"


@rule
def private_subnets_stay_private(graph: Graph) -> Iterator[str]:
    """A subnet whose way out is the internet's gateway can be reached from there."""
    routes = graph.of("Route").values()
    tables = {
        a.inputs["subnetId"]: a.inputs["routeTableId"]
        for a in graph.of("RouteTableAssociation").values()
    }
    public = {r.inputs["routeTableId"] for r in routes if "gatewayId" in r.inputs}
    for name, subnet in graph.of("Subnet").items():
        if subnet.inputs.get("mapPublicIpOnLaunch") is not False:
            yield f"subnet {name} gives public addresses"
    used = {
        f"connection {n}": [c.inputs["physicalConnectionRequirements"]["subnetId"]]
        for n, c in graph.of("Connection").items()
    } | {
        f"environment {n}": e.inputs["networkConfiguration"]["subnetIds"]
        for n, e in graph.of("Environment").items()
    }
    for what, subnets in used.items():
        for subnet in subnets:
            if tables.get(subnet) in public:
                yield f"{what} is in subnet {subnet}, which the internet reaches"
            if subnet not in tables:
                yield f"{what} is in subnet {subnet}, which has no routes of its own"
    inside = {tables.get(subnet) for subnets in used.values() for subnet in subnets}
    gateways = {
        t
        for e in graph.of("VpcEndpoint").values()
        if e.inputs["vpcEndpointType"] == "Gateway"
        for t in e.inputs["routeTableIds"]
    }
    for table in sorted(str(t) for t in inside - gateways):
        yield f"route table {table} leads to S3 by the paid way"


@rule
def jobs_run_in_the_network_if_there_is_one(graph: Graph) -> Iterator[str]:
    """A job without the connection runs in Glue's own network, past every flow log."""
    connections = {c.inputs["name"] for c in graph.of("Connection").values()}
    for name, job in graph.of("Job").items():
        given = set(job.inputs.get("connections") or ())
        if given != connections:
            yield f"job {name} has connections {sorted(given)} of {sorted(connections)}"
        role = job.inputs["roleArn"].rpartition("/")[2]
        if given and not graph.may(
            role, "ec2:CreateNetworkInterface", "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-1"
        ):
            yield f"job {name} may not have its workers in the network"
