from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from lakehouse import naming
from lakehouse.errors import EstateError
from localaws import handlers
from localaws.apply import apply, render
from localaws.emulator import ACCOUNT_KEYS, Emulator
from localaws.processes import free_port

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "quality" / "contracts"
PREFIX = "lakehouse-local"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="module")
def env(home: Path) -> Iterator[dict[str, str]]:
    emulator = Emulator(free_port(), home, home / "data")
    emulator.wait_ready()
    yield ACCOUNT_KEYS | {"AWS_ENDPOINT_URL": emulator.url}
    emulator.stop()


@pytest.fixture(scope="module")
def outputs(env: dict[str, str]) -> dict[str, Any]:
    return apply("local", CONTRACTS, env)


def client(service: str, env: dict[str, str]) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
        service,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def inventory(env: dict[str, str]) -> dict[str, Any]:
    """All that the estate is made of, as the emulator says it."""
    s3, glue, iam, kms = (client(name, env) for name in ("s3", "glue", "iam", "kms"))
    events = client("events", env)
    buckets = [item["Name"] for item in s3.list_buckets()["Buckets"]]
    roles = [item["RoleName"] for item in iam.list_roles()["Roles"]]
    jobs = glue.get_jobs()["Jobs"]
    return {
        "versions": {
            bucket: [
                (item["Key"], item["VersionId"])
                for item in s3.list_object_versions(Bucket=bucket).get("Versions", [])
            ]
            for bucket in buckets
        },
        "policies": {
            role: iam.get_role_policy(RoleName=role, PolicyName="own")["PolicyDocument"]
            for role in roles
            if role.startswith(PREFIX)
        },
        "keys": sorted(item["KeyId"] for item in kms.list_keys()["Keys"]),
        "aliases": {a["AliasName"]: a["TargetKeyId"] for a in kms.list_aliases()["Aliases"]},
        "databases": {d["Name"]: d["LocationUri"] for d in glue.get_databases()["DatabaseList"]},
        "history": {
            table["Name"]: (table["TableType"], table["StorageDescriptor"], table["Parameters"])
            for table in glue.get_tables(DatabaseName="governance")["TableList"]
        },
        "jobs": {job["Name"]: job["DefaultArguments"] for job in jobs},
        "streams": client("kinesis", env).list_streams()["StreamNames"],
        "workgroups": client("athena", env).list_work_groups()["WorkGroups"],
        "queries": {
            query_id: client("athena", env).get_named_query(NamedQueryId=query_id)["NamedQuery"]
            for query_id in client("athena", env).list_named_queries()["NamedQueryIds"]
        },
        "queues": {
            url: client("sqs", env).get_queue_attributes(
                QueueUrl=url, AttributeNames=["Policy", "RedrivePolicy", "KmsMasterKeyId"]
            )["Attributes"]
            for url in client("sqs", env).list_queues().get("QueueUrls", [])
        },
        "topics": [item["TopicArn"] for item in client("sns", env).list_topics()["Topics"]],
        "rules": {
            rule["Name"]: [
                target["Arn"]
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            ]
            for rule in events.list_rules()["Rules"]
        },
        "alarms": sorted(
            alarm["AlarmName"]
            for page in client("cloudwatch", env).get_paginator("describe_alarms").paginate()
            for alarm in page["MetricAlarms"]
        ),
        "schedules": {
            item["Name"]: item["State"]
            for item in client("scheduler", env).list_schedules()["Schedules"]
        },
    }


def test_everything_that_is_declared_is_there(env: dict[str, str], outputs: dict[str, Any]) -> None:
    found = inventory(env)

    assert set(found["versions"]) == {naming.bucket(PREFIX, p) for p in naming.BUCKETS}
    assert found["streams"] == [f"{PREFIX}-flights"] == list(outputs["streams"].values())
    assert found["databases"] == {
        layer: f"s3://{naming.bucket(PREFIX, layer)}/" for layer in naming.LAYERS
    } | {"governance": f"s3://{naming.bucket(PREFIX, 'verdicts')}/"}
    assert {f"governance.{name}" for name in found["history"]} == set(outputs["history"])
    assert set(found["databases"]) == set(outputs["databases"])
    assert set(found["jobs"]) == set(outputs["jobs"].values())
    people = set(outputs["audiences"])
    others = {naming.job(PREFIX, name) for name in ("airflow", "supervisor", *people)}
    assert people == {"engineer", "analyst", "auditor"}
    assert set(found["policies"]) == {*outputs["jobs"].values()} | others
    assert len(found["keys"]) == len(found["aliases"]) == 5
    groups = {group["Name"] for group in found["workgroups"]}
    assert set(outputs["workgroups"].values()) <= groups
    saved = [(query["WorkGroup"], query["Name"]) for query in found["queries"].values()]
    assert len(saved) == len(set(saved))
    assert len(saved) == sum(r.type.endswith(":NamedQuery") for r in render("local", CONTRACTS))
    declared = {
        r.inputs["key"] for r in render("local", CONTRACTS) if r.type.endswith(":BucketObjectv2")
    }
    assert {key for key, _ in found["versions"][f"{PREFIX}-artifacts"]} == declared


def test_what_tells_and_wakes_is_there(env: dict[str, str], outputs: dict[str, Any]) -> None:
    found = inventory(env)

    assert set(found["queues"]) == {outputs["arrivals"], outputs["dead_arrivals"]}
    arrivals = found["queues"][outputs["arrivals"]]
    assert f"{PREFIX}-dead-arrivals" in arrivals["RedrivePolicy"]
    assert "events.amazonaws.com" in arrivals["Policy"]
    assert found["topics"] == [outputs["alerts"]]
    assert found["rules"][f"{PREFIX}-failed-runs"] == [outputs["alerts"]]
    (arn,) = found["rules"][f"{PREFIX}-arrivals"]
    assert arn.endswith(f":{PREFIX}-arrivals")
    declared = {
        r.inputs["name"] for r in render("local", CONTRACTS) if r.type.endswith(":MetricAlarm")
    }
    assert set(found["alarms"]) == declared
    # On one machine jobs run when somebody starts them.
    assert found["schedules"] == {f"{PREFIX}-ingest-main": "DISABLED"}


@pytest.mark.usefixtures("outputs")
def test_the_emulator_keeps_what_was_asked_of_a_bucket(env: dict[str, str]) -> None:
    s3 = client("s3", env)
    ledger = {"Bucket": naming.bucket(PREFIX, "ledger")}

    assert s3.get_bucket_versioning(**ledger)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(**ledger)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    (rule,) = s3.get_bucket_lifecycle_configuration(**ledger)["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert "Expiration" not in rule
    policy = json.loads(s3.get_bucket_policy(**ledger)["Policy"])
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert sids == ["TlsOnly", "KmsOnly", "OwnKeyOnly", "NoCallersKey", "WrittenOnce"]


@pytest.mark.usefixtures("outputs")
def test_a_job_finds_its_script_its_code_and_its_contracts(env: dict[str, str]) -> None:
    s3 = client("s3", env)
    job = client("glue", env).get_job(JobName=f"{PREFIX}-marts")["Job"]
    told = job["DefaultArguments"]

    def get(uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    script = get(job["Command"]["ScriptLocation"])
    assert script == (ROOT / "jobs" / "batch" / "marts.py").read_bytes()
    assert get(told["--extra-py-files"]).startswith(b"PK")
    assert b"id: flights" in get(told["--contracts"] + "flights.yaml")
    assert b"SELECT" in get(told["--contracts"] + "marts/carrier_on_time.sql").upper()


def test_applying_again_changes_nothing(env: dict[str, str], outputs: dict[str, Any]) -> None:
    before = inventory(env)

    assert apply("local", CONTRACTS, env) == outputs
    assert inventory(env) == before


@pytest.mark.usefixtures("outputs")
def test_applying_again_mends_what_was_changed_by_hand(env: dict[str, str]) -> None:
    before = inventory(env)
    client("iam", env).put_role_policy(
        RoleName=f"{PREFIX}-land",
        PolicyName="own",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
            }
        ),
    )
    job = client("glue", env).get_job(JobName=f"{PREFIX}-land")["Job"]
    client("glue", env).update_job(
        JobName=f"{PREFIX}-land",
        JobUpdate={"Role": job["Role"], "Command": job["Command"], "DefaultArguments": {}},
    )
    assert inventory(env) != before

    apply("local", CONTRACTS, env)

    assert inventory(env) == before


@pytest.mark.usefixtures("outputs")
def test_records_of_a_stream_outlive_another_apply(env: dict[str, str]) -> None:
    kinesis = client("kinesis", env)
    name = f"{PREFIX}-flights"
    put = kinesis.put_record(StreamName=name, Data=b"one", PartitionKey="a")

    apply("local", CONTRACTS, env)

    iterator = kinesis.get_shard_iterator(
        StreamName=name,
        ShardId=put["ShardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=put["SequenceNumber"],
    )["ShardIterator"]
    assert [r["Data"] for r in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"one"]


def test_a_type_without_handler_stops_with_its_name(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any]
) -> None:
    assert outputs
    monkeypatch.delitem(handlers.HANDLERS, "aws:athena/workgroup:Workgroup")

    with pytest.raises(EstateError, match=r"aws:athena/workgroup:Workgroup '[a-z]+' has no hand"):
        apply("local", CONTRACTS, env)


def test_a_type_that_is_said_to_be_lacking_is_left_out(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any]
) -> None:
    monkeypatch.delitem(handlers.HANDLERS, "aws:athena/workgroup:Workgroup")
    monkeypatch.setitem(handlers.LACKING, "aws:athena/workgroup:Workgroup", "for this test")

    assert apply("local", CONTRACTS, env) == outputs


def test_without_an_emulator_nothing_is_reached() -> None:
    with pytest.raises(EstateError, match="no AWS_ENDPOINT_URL"):
        apply("local", CONTRACTS, ACCOUNT_KEYS)


def test_an_emulator_that_does_not_answer_is_named() -> None:
    with pytest.raises(EstateError, match=r"127\.0\.0\.1:9/"):
        apply("local", CONTRACTS, ACCOUNT_KEYS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})


def test_the_command_prints_the_outputs(env: dict[str, str], outputs: dict[str, Any]) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "localaws.apply", "local", "--contracts", str(CONTRACTS)],
        env=env | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == outputs
