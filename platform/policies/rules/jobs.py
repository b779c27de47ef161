"""Rules of Glue jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, allows_service, called, statements
from policies.rule import each

WEEK_MINUTES: Final = 7 * 24 * 60
GLUE: Final = "6.0"
"""The release that the library is tested with, and the first with Spark 4.1."""
_CATALOG: Final = ("type=glue", "S3FileIO", "cache-enabled=false")
_SECRET: Final = re.compile(r"password|secret|token|AKIA[0-9A-Z]{16}", re.IGNORECASE)


@each("Job")
def runs_do_not_wait_in_a_queue(job: Resource, _graph: Graph) -> Iterator[str]:
    """Airflow's retry adopts running and starting runs, knows no waiting one, and starts a twin."""
    if job.get("jobRunQueuingEnabled") is not False:
        yield "its runs may wait in Glue's queue; set job_run_queuing_enabled=False"


@each("Job")
def runs_have_no_twin(job: Resource, _graph: Graph) -> Iterator[str]:
    """Two runs of one job at a time would work on the same loads."""
    limit = job.get("executionProperty", {}).get("maxConcurrentRuns")
    if limit != 1:
        yield f"{limit or 'any number of'} runs at a time; set max_concurrent_runs to 1"


@each("Job")
def nobody_but_airflow_retries(job: Resource, _graph: Graph) -> Iterator[str]:
    """A run that Glue tries again by itself is one that Airflow takes for failed."""
    if job.get("maxRetries") != 0:
        yield "Glue retries it as well; set max_retries=0"


@each("Job")
def streaming_jobs_are_restarted(job: Resource, _graph: Graph) -> Iterator[str]:
    """Glue restarts a streaming run for maintenance only if its timeout allows a week."""
    if job["command"]["name"] != "gluestreaming":
        return
    timeout = job.get("timeout")
    if "maintenanceWindow" not in job:
        yield "a streaming job without maintenance window; set one such as Sun:10"
    if timeout and timeout < WEEK_MINUTES:
        yield f"a streaming job that ends after {timeout:g} minutes; take the timeout away"


@each("Job")
def batch_jobs_end(job: Resource, _graph: Graph) -> Iterator[str]:
    """A deferred task does not end its run, so only the job's own timeout bounds it."""
    if job["command"]["name"] != "gluestreaming" and not job.get("timeout"):
        yield "no timeout, so it may hang for a day; set one"


@each("Job")
def flex_is_for_batch_on_common_workers(job: Resource, _graph: Graph) -> Iterator[str]:
    """Glue takes FLEX for glueetl on G.1X and G.2X alone."""
    if job.get("executionClass") != "FLEX":
        return
    if job["command"]["name"] != "glueetl":
        yield f"FLEX with {job['command']['name']}; use STANDARD"
    if job["workerType"] not in {"G.1X", "G.2X"}:
        yield f"FLEX on {job['workerType']}; use STANDARD, or G.1X or G.2X"


@each("Job")
def every_job_has_a_role_of_its_own(job: Resource, graph: Graph) -> Iterator[str]:
    """Two jobs under one role have each other's rights."""
    role = called(job["roleArn"])
    sharing = [j.name for j in graph.of("Job") if called(j["roleArn"]) == role]
    if len(sharing) > 1:
        yield f"role {role} is that of jobs {', '.join(sorted(sharing))}; give each its own"
    declared = graph.by("Role", "name").get(role)
    if declared is None:
        yield f"role {role} is not declared; declare it or name one that is"
    elif not allows_service(statements(declared["assumeRolePolicy"]), "glue", "sts:AssumeRole"):
        yield f"Glue may not take role {role}; let glue.amazonaws.com assume it"


@each("Job")
def jobs_find_what_they_are_told_of(job: Resource, graph: Graph) -> Iterator[str]:
    """A run that cannot read its code, or keep its environment, fails at its start."""
    objects = {(o["bucket"], o["key"]) for o in graph.of("BucketObjectv2")}
    role, told = called(job["roleArn"]), job["defaultArguments"]
    files = {job["command"]["scriptLocation"], told["--extra-py-files"]}
    files |= {told[a] for a in ("--additional-python-modules",) if a in told}
    for file in sorted(files):
        bucket, _, key = file.removeprefix("s3://").partition("/")
        if (bucket, key) not in objects:
            yield f"told of {file}, which nobody uploads; name what the release uploads"
        if not graph.may(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"):
            yield f"role {role} may not read {file}; grant s3:GetObject"
    kept = told.get("--python-virtual-env-storage-prefix", "").removeprefix("s3://")
    if kept and not graph.may(role, "s3:PutObject", f"arn:aws:s3:::{kept}x"):
        yield f"role {role} may not keep its environment at {kept}; grant s3:PutObject"


@each("Job")
def no_secret_is_an_argument(job: Resource, _graph: Graph) -> Iterator[str]:
    """A job's arguments can be read by whoever may look at jobs."""
    for key, value in job["defaultArguments"].items():
        if _SECRET.search(key) or _SECRET.search(value):
            yield f"argument {key} looks like a secret; keep it in Secrets Manager"


@each("Job")
def jobs_run_in_the_network_if_there_is_one(job: Resource, graph: Graph) -> Iterator[str]:
    """A job without the connection runs in Glue's own network, past every flow log."""
    connections = {c["name"] for c in graph.of("Connection")}
    given = set(job.get("connections") or ())
    if given != connections:
        yield f"connections {sorted(given)}, expected {sorted(connections)}; give it these"
    role = called(job["roleArn"])
    subnet = graph.arn("ec2", "subnet/subnet-1")
    if given and not graph.may(role, "ec2:CreateNetworkInterface", subnet):
        yield f"role {role} may not have workers in the network; grant ec2:CreateNetworkInterface"


@each("Job")
def jobs_run_on_the_tested_release(job: Resource, _graph: Graph) -> Iterator[str]:
    """Another release of Glue has another Spark, Python and Iceberg."""
    if job.get("glueVersion") != GLUE:
        yield f"Glue {job.get('glueVersion', 'of its default')}; set glue_version to {GLUE}"


@each("Job")
def jobs_know_the_catalog(job: Resource, _graph: Graph) -> Iterator[str]:
    """Glue brings the jars of Iceberg alone; with a cache a table is read as it was before."""
    told = job["defaultArguments"]
    if told.get("--datalake-formats") != "iceberg":
        yield "Glue brings no Iceberg; set --datalake-formats to iceberg"
    for setting in _CATALOG:
        if setting not in told.get("--conf", ""):
            yield f"--conf does not say {setting}; take the catalog's settings whole"


@each("Job")
def environments_come_without_a_resolver(job: Resource, _graph: Graph) -> Iterator[str]:
    """A resolver would bring a second Spark; without a place of its own the list is not kept."""
    told = job["defaultArguments"]
    if "--additional-python-modules" not in told:
        return
    if "--no-deps" not in told.get("--python-modules-installer-option", ""):
        yield "its packages are resolved; set --python-modules-installer-option to --no-deps -r"
    if "--python-virtual-env-storage-prefix" not in told:
        yield "its environment is kept nowhere; set --python-virtual-env-storage-prefix"


@each("Job")
def progress_is_in_the_ledger_alone(job: Resource, _graph: Graph) -> Iterator[str]:
    """A bookmark is a second memory of what was read, and skips what the ledger still wants."""
    option = job["defaultArguments"].get("--job-bookmark-option", "job-bookmark-disable")
    if option != "job-bookmark-disable":
        yield f"--job-bookmark-option is {option}; take it away"


@each("Job")
def jobs_encrypt_what_they_leave(job: Resource, graph: Graph) -> Iterator[str]:
    """Without a security configuration logs and spilled data lie under no key of the estate."""
    name = job.get("securityConfiguration")
    if name not in graph.by("SecurityConfiguration", "name"):
        yield f"security configuration {name}, which is not declared; name one that is"


@each("SecurityConfiguration")
def security_configurations_leave_nothing_out(found: Resource, _graph: Graph) -> Iterator[str]:
    """Each of the three is off unless it is asked for."""
    parts = found["encryptionConfiguration"]
    for part, mode, wanted in (
        ("cloudwatchEncryption", "cloudwatchEncryptionMode", "SSE-KMS"),
        ("jobBookmarksEncryption", "jobBookmarksEncryptionMode", "CSE-KMS"),
        ("s3Encryption", "s3EncryptionMode", "SSE-KMS"),
    ):
        given = parts.get(part, {})
        if given.get(mode) != wanted or "kmsKeyArn" not in given:
            yield f"{part} is {given.get(mode, 'off')}; set it to {wanted} with a key"
