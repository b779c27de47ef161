from __future__ import annotations

import ast
import base64
import json
from pathlib import Path

import fastavro
import jsonschema
import msgspec
import pytest
from support.rendered import CONTRACTS, ROOT, estate, of, planted

from estate.access import airflowpolicies, servicepolicies
from estate.account import Account
from estate.compute.supervisor import start_job_run
from estate.ingress.registry import avro_schema, json_schema
from estate.ingress.registry import schema as registered
from estate.orchestration.airflow import FOLDER, VERSION, content, options
from estate.storage.keys import KEYS
from lakehouse.contracts.model import FileFormat
from lakehouse.contracts.odcs import load_contracts
from localaws.apply import Recorded, render

ACCOUNT = Account("acme", "aws", "eu-west-1", "123456789012")
ARNS = {name: f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in KEYS}
DATASETS = load_contracts(CONTRACTS)


@pytest.fixture(scope="module")
def prod() -> list[Recorded]:
    return estate("prod")


@pytest.fixture(scope="module")
def environment(prod: list[Recorded]) -> Recorded:
    (found,) = of(prod, "Environment").values()
    return found


def test_airflow_is_in_two_private_subnets_under_the_members_rules(environment: Recorded) -> None:
    network = environment.inputs["networkConfiguration"]

    assert network["subnetIds"] == ["subnet-private-0", "subnet-private-1"]
    assert network["securityGroupIds"] == ["sg-members"]


def test_airflow_is_encrypted_logs_everything_and_has_a_role_of_its_own(
    environment: Recorded, prod: list[Recorded]
) -> None:
    inputs = environment.inputs
    role = of(prod, "Role")["airflow"].inputs

    assert inputs["kmsKey"].endswith("key/key-operations")
    assert inputs["executionRoleArn"].endswith(f"role/{role['name']}")
    assert {log["enabled"] for log in inputs["loggingConfiguration"].values()} == {True}
    assert len(inputs["loggingConfiguration"]) == 5
    (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"]["Service"] == ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_the_version_is_the_one_that_the_dags_are_tested_with(environment: Recorded) -> None:
    pinned = (ROOT / "orchestration" / "requirements.txt").read_text(encoding="utf-8")

    assert environment.inputs["airflowVersion"] == VERSION
    assert f"apache-airflow=={VERSION}\n" in pinned


def test_connections_come_from_secrets_of_the_deployment_that_the_role_may_read(
    environment: Recorded,
) -> None:
    found = environment.inputs["airflowConfigurationOptions"]
    kwargs = json.loads(options("acme")["secrets.backend_kwargs"])
    (secrets,) = (
        s["Resource"]
        for s in airflowpolicies.airflow(ACCOUNT, ARNS, ["land"])
        if s["Sid"] == "Secrets"
    )

    assert found["secrets.backend"].endswith("SecretsManagerBackend")
    assert found["core.load_examples"] == "False"
    for prefix in kwargs.values():
        secret = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{prefix}/weather-abc"
        assert any(secret.startswith(pattern.removesuffix("*")) for pattern in secrets)


def test_what_the_environment_reads_is_uploaded_before_it_is_made(
    environment: Recorded, prod: list[Recorded]
) -> None:
    inputs = environment.inputs
    objects = {o.inputs["key"]: o for o in of(prod, "BucketObjectv2").values()}

    assert inputs["sourceBucketArn"].endswith(objects[f"{FOLDER}/startup.sh"].inputs["bucket"])
    for path in (inputs["requirementsS3Path"], inputs["startupScriptS3Path"]):
        assert path in objects
    dags = {key for key in objects if key.startswith(f"{inputs['dagS3Path']}/")}
    assert f"{FOLDER}/dags/promote.py" in dags
    assert f"{FOLDER}/dags/contracts/flights.yaml" in dags
    assert not any("__pycache__" in key or key.endswith(".pyc") for key in dags)


def test_every_module_that_a_dag_imports_is_uploaded_or_installed() -> None:
    files = content(DATASETS)
    modules = {
        Path(name).with_suffix("").relative_to("dags").as_posix().replace("/", ".")
        for name in files
        if name.endswith(".py")
    }
    wanted = {
        node.module
        for name, body in files.items()
        if name.endswith(".py")
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.ImportFrom) and node.module
    }

    ours = {name for name in wanted if name.startswith("lakehouse_dags")}
    assert ours
    assert ours <= modules | {"lakehouse_dags"}
    assert not {name for name in wanted if name == "lakehouse" or name.startswith("lakehouse.")}


def test_the_dags_know_their_deployment_and_where_alerts_go(prod: list[Recorded]) -> None:
    script = of(prod, "BucketObjectv2")["airflow/startup.sh"].inputs["contentBase64"]
    (policy,) = of(prod, "TopicPolicy").values()

    assert base64.b64decode(script).decode().splitlines() == [
        "#!/bin/sh",
        "export LAKEHOUSE_PREFIX=acme-lakehouse-prod",
        f"export LAKEHOUSE_ALERT_TOPIC={policy.inputs['arn']}",
    ]


def test_airflow_uses_its_key_by_way_of_its_services_only() -> None:
    found = {s["Sid"]: s for s in airflowpolicies.mwaa(ACCOUNT, ARNS)}

    key = found["AirflowKey"]
    assert key["Resource"] == [ARNS["operations"]]
    assert key["Condition"]["StringEquals"]["kms:ViaService"] == [
        "s3.eu-west-1.amazonaws.com",
        "sqs.eu-west-1.amazonaws.com",
    ]


def test_airflow_reads_its_own_folder_of_the_artifacts_and_writes_none() -> None:
    for statement in airflowpolicies.mwaa(ACCOUNT, ARNS):
        for action in statement["Action"]:
            assert not action.startswith(("s3:Put", "s3:Delete", "iam:"))
    found = {s["Sid"]: s for s in airflowpolicies.mwaa(ACCOUNT, ARNS)}
    assert found["AirflowObjects"]["Resource"] == ["arn:aws:s3:::acme-artifacts/airflow/*"]
    for sid in ("AirflowAccount", "AirflowGroups", "AirflowMetrics"):
        assert found[sid]["Resource"] == ["*"]


def test_a_stack_without_airflow_has_a_role_without_airflows_rights() -> None:
    found = of(estate("staging"), "RolePolicy")["airflow"].inputs["policy"]

    assert "airflow:PublishMetrics" not in found
    assert "glue:StartJobRun" in found


def test_a_schedule_starts_every_ingest_job_and_no_other(prod: list[Recorded]) -> None:
    schedules = of(prod, "Schedule")
    (schedule,) = schedules.values()

    target = schedule.inputs["target"]
    assert json.loads(target["input"]) == {"JobName": "acme-lakehouse-prod-ingest-main"}
    assert target["arn"] == "arn:aws:scheduler:::aws-sdk:glue:startJobRun"
    assert target["retryPolicy"] == {"maximumRetryAttempts": 0}
    assert schedule.inputs["flexibleTimeWindow"] == {"mode": "OFF"}
    assert schedule.inputs["scheduleExpression"] == "rate(15 minutes)"


def test_the_supervisor_may_start_ingest_jobs_and_nothing_else() -> None:
    found = servicepolicies.supervisor(ACCOUNT, ARNS["operations"], ["ingest-main"])

    assert [(s["Action"], s["Resource"]) for s in found] == [
        (["glue:StartJobRun"], [ACCOUNT.job("ingest-main")]),
        (["kms:Decrypt"], [ARNS["operations"]]),
    ]


def test_a_schedule_of_another_partition_calls_its_own_glue() -> None:
    china = Account("acme", "aws-cn", "cn-north-1", "123456789012")

    assert start_job_run(china) == "arn:aws-cn:scheduler:::aws-sdk:glue:startJobRun"


def test_a_draining_job_is_started_as_often_as_the_stack_says() -> None:
    found = render(
        "dev", CONTRACTS, {"jobs": {"ingest": {"continuous": False, "every_minutes": 30}}}
    )

    (schedule,) = of(found, "Schedule").values()
    assert schedule.inputs["scheduleExpression"] == "rate(30 minutes)"


def test_once_a_minute_is_written_as_the_service_wants_it() -> None:
    found = render("dev", CONTRACTS, {"jobs": {"ingest": {"every_minutes": 1}}})

    (schedule,) = of(found, "Schedule").values()
    assert schedule.inputs["scheduleExpression"] == "rate(1 minute)"


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_contract_makes_a_valid_schema(dataset: str) -> None:
    schema = avro_schema(DATASETS[dataset])

    fastavro.parse_schema(schema)
    optional = {f.name for f in DATASETS[dataset].fields if not f.required}
    assert {f["name"] for f in schema["fields"] if "default" in f} == optional


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_contract_makes_a_valid_json_schema(dataset: str) -> None:
    schema = json_schema(DATASETS[dataset])

    jsonschema.Draft7Validator.check_schema(schema)
    assert set(schema["properties"]) == {f.name for f in DATASETS[dataset].fields}
    assert set(schema["required"]) == {f.name for f in DATASETS[dataset].fields if f.required}


def test_records_that_ingestion_takes_fit_the_registered_schema() -> None:
    schema = of(estate("prod"), "Schema")["flights"].inputs
    assert schema["dataFormat"] == "JSON"
    told = jsonschema.Draft7Validator(json.loads(schema["schemaDefinition"]))
    record = {
        "event_id": "0" * 32,
        "flight_date": "2013-01-01",
        "scheduled_departure": "2013-01-01T10:15:00Z",
        "carrier": "UA",
        "flight": 1545,
        "tailnum": None,
        "origin": "EWR",
        "dest": "IAH",
    }
    fields = DATASETS["flights"].fields
    record |= {f.name: 1 for f in fields if f.required and f.name not in record}

    assert told.is_valid(record)
    for wrong in ({"origin": "BOS"}, {"flight": 10_000}, {"flight": "1545"}, {"colour": "red"}):
        assert not told.is_valid(record | wrong), wrong


def test_avro_without_headers_registers_the_schema_that_its_contract_names() -> None:
    named = '{"type": "record", "name": "plot", "fields": []}'
    framed = msgspec.structs.replace(DATASETS["flights"], format=FileFormat(type="avro"))
    bare = msgspec.structs.replace(
        DATASETS["flights"], format=FileFormat(type="avro", schema=named)
    )

    assert registered(bare) == ("AVRO", named)
    assert registered(framed) == ("AVRO", json.dumps(avro_schema(framed)))


def test_a_mistake_can_only_be_planted_in_what_is_there(prod: list[Recorded]) -> None:
    with pytest.raises(AssertionError, match="no Job 'nowhere'"):
        planted(prod, "Job", "nowhere", name="x")
