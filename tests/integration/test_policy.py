from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from support.rendered import CONTRACTS, ROOT, account, changed, of, planted

from localaws.apply import Recorded
from review.policy import (
    Scan,
    Verdict,
    addresses,
    checkov_python,
    judge,
    main,
    review,
    scan,
    unused,
)
from review.terraform import STACKS, address, rendered, terraform_types, unchecked, write

Plant = Callable[[list[Recorded]], list[Recorded]]


@pytest.fixture(scope="module")
def python() -> Path:
    return checkov_python(os.environ)


@pytest.fixture(scope="module")
def verdicts(python: Path) -> dict[str, Verdict]:
    return {verdict.stack: verdict for verdict in review(STACKS, CONTRACTS, python)}


@pytest.mark.parametrize("stack", STACKS)
def test_no_resource_fails_a_policy_that_is_not_accepted(
    stack: str, verdicts: dict[str, Verdict]
) -> None:
    assert verdicts[stack].failed == ()
    assert verdicts[stack].passed


def declared(stack: str) -> int:
    if stack == "account":
        return len(account())
    golden = (ROOT / "tests" / "golden" / "estate" / f"{stack}.yaml").read_text(encoding="utf-8")
    return len(re.findall(r"^(?:\? )?aws:", golden, re.MULTILINE))


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_was_looked_at(stack: str, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[stack].unseen == ()
    assert verdicts[stack].resources == declared(stack)


def test_all_that_is_accepted_is_needed_and_says_why(verdicts: dict[str, Verdict]) -> None:
    assert unused(list(verdicts.values())) == {}
    for verdict in verdicts.values():
        assert all(len(why.split()) >= 5 for why in verdict.accepted.values())


def inputs(kind: str, name: str, /, **wrong: Any) -> Plant:
    return lambda found: planted(found, kind, name, **wrong)


def at(kind: str, name: str, path: str, wrong: Any) -> Plant:
    return lambda found: changed(found, kind, name, path, wrong)


def without(kind: str, name: str) -> Plant:
    def plant(found: list[Recorded]) -> list[Recorded]:
        missing = of(found, kind)[name]
        return [r for r in found if r is not missing]

    return plant


def policy(kind: str, name: str, **statement: Any) -> Plant:
    """A policy with one more statement, which allows."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        text = of(found, kind)[name].inputs
        key = "assumeRolePolicy" if kind == "Role" else "policy"
        document = json.loads(text[key])
        document["Statement"].append({"Sid": "Planted", "Effect": "Allow", **statement})
        return planted(found, kind, name, **{key: json.dumps(document)})

    return plant


def argument(job: str, name: str, value: str) -> Plant:
    def plant(found: list[Recorded]) -> list[Recorded]:
        given = of(found, "Job")[job].inputs["defaultArguments"]
        return planted(found, "Job", job, defaultArguments={**given, name: value})

    return plant


def open_to_all(name: str, port: int) -> Plant:
    def plant(found: list[Recorded]) -> list[Recorded]:
        rule = of(found, "SecurityGroupIngressRule")["members-in"]
        group = rule.inputs["securityGroupId"]
        ports = {"ipProtocol": "tcp", "fromPort": port, "toPort": port, "description": "planted"}
        wrong = {"securityGroupId": group, "cidrIpv4": "0.0.0.0/0", **ports}
        return [*found, replace(rule, name=name, inputs=wrong)]

    return plant


def account_open(found: list[Recorded]) -> list[Recorded]:
    (block,) = of(account(), "AccountPublicAccessBlock").values()
    return [*found, replace(block, inputs={**block.inputs, "ignorePublicAcls": False})]


ANYONE: Final = {"Principal": "*", "Resource": "*"}
STAR: Final = {"Action": "*", "Resource": "*"}
MISTAKES: Final[dict[tuple[str, str, str], Plant]] = {
    ("CKV_AWS_43", "Stream", "flights"): inputs("Stream", "flights", encryptionType="NONE"),
    ("CKV_AWS_185", "Stream", "flights"): inputs("Stream", "flights", kmsKeyId=None),
    ("CKV_AWS_53", "BucketPublicAccessBlock", "landing"): inputs(
        "BucketPublicAccessBlock", "landing", blockPublicAcls=False
    ),
    ("CKV_AWS_54", "BucketPublicAccessBlock", "bronze"): inputs(
        "BucketPublicAccessBlock", "bronze", blockPublicPolicy=False
    ),
    ("CKV_AWS_55", "BucketPublicAccessBlock", "silver"): inputs(
        "BucketPublicAccessBlock", "silver", ignorePublicAcls=False
    ),
    ("CKV_AWS_56", "BucketPublicAccessBlock", "gold"): inputs(
        "BucketPublicAccessBlock", "gold", restrictPublicBuckets=None
    ),
    ("CKV2_AWS_6", "Bucket", "results"): without("BucketPublicAccessBlock", "results"),
    ("CKV_AWS_70", "BucketPolicy", "bronze"): policy(
        "BucketPolicy", "bronze", Action="s3:GetObject", **ANYONE
    ),
    ("CKV_AWS_145", "Bucket", "ledger"): without(
        "BucketServerSideEncryptionConfiguration", "ledger"
    ),
    ("CKV_AWS_21", "Bucket", "verdicts"): without("BucketVersioning", "verdicts"),
    ("CKV2_AWS_61", "Bucket", "artifacts"): without("BucketLifecycleConfiguration", "artifacts"),
    ("CKV_AWS_62", "RolePolicy", "land"): policy("RolePolicy", "land", **STAR),
    ("CKV_AWS_63", "RolePolicy", "land"): policy("RolePolicy", "land", **STAR),
    ("CKV_AWS_286", "RolePolicy", "marts"): policy(
        "RolePolicy", "marts", Action="iam:CreatePolicyVersion", Resource="*"
    ),
    ("CKV_AWS_288", "RolePolicy", "promote"): policy(
        "RolePolicy", "promote", Action="s3:GetObject", Resource="*"
    ),
    ("CKV_AWS_289", "RolePolicy", "operate"): policy(
        "RolePolicy", "operate", Action="s3:PutBucketPolicy", Resource="*"
    ),
    ("CKV_AWS_290", "RolePolicy", "maintain"): policy(
        "RolePolicy", "maintain", Action="s3:DeleteObject", Resource="*"
    ),
    ("CKV_AWS_60", "Role", "promote"): policy(
        "Role", "promote", Action="sts:AssumeRole", Principal={"AWS": "*"}
    ),
    ("CKV_AWS_7", "Key", "key-gold"): inputs("Key", "key-gold", enableKeyRotation=False),
    ("CKV_AWS_33", "Key", "key-silver"): policy("Key", "key-silver", Action="kms:*", **ANYONE),
    ("CKV_AWS_27", "Queue", "arrivals"): inputs("Queue", "arrivals", kmsMasterKeyId=None),
    ("CKV_AWS_168", "QueuePolicy", "arrivals"): policy(
        "QueuePolicy", "arrivals", Action="sqs:*", **ANYONE
    ),
    ("CKV_AWS_26", "Topic", "alerts"): inputs("Topic", "alerts", kmsMasterKeyId=None),
    ("CKV_AWS_169", "TopicPolicy", "alerts"): policy(
        "TopicPolicy", "alerts", Action="sns:Publish", **ANYONE
    ),
    ("CKV_AWS_158", "LogGroup", "flow-logs"): inputs("LogGroup", "flow-logs", kmsKeyId=None),
    ("CKV_AWS_338", "LogGroup", "flow-logs"): inputs("LogGroup", "flow-logs", retentionInDays=30),
    ("CKV_AWS_82", "Workgroup", "analyst"): at(
        "Workgroup", "analyst", "configuration.enforceWorkgroupConfiguration", False
    ),
    ("CKV_AWS_159", "Workgroup", "analyst"): at(
        "Workgroup", "analyst", "configuration.resultConfiguration.encryptionConfiguration", None
    ),
    ("CKV_AWS_242", "Environment", "airflow"): at(
        "Environment", "airflow", "loggingConfiguration.schedulerLogs.enabled", False
    ),
    ("CKV_AWS_243", "Environment", "airflow"): at(
        "Environment", "airflow", "loggingConfiguration.workerLogs", None
    ),
    ("CKV_AWS_244", "Environment", "airflow"): at(
        "Environment", "airflow", "loggingConfiguration.webserverLogs.enabled", False
    ),
    ("CKV_AWS_99", "SecurityConfiguration", "jobs"): at(
        "SecurityConfiguration",
        "jobs",
        "encryptionConfiguration.s3Encryption",
        {"s3EncryptionMode": "DISABLED"},
    ),
    ("CKV_AWS_195", "Job", "maintain"): inputs("Job", "maintain", securityConfiguration=None),
    ("CKV2_LAKE_1", "Job", "operate"): inputs("Job", "operate", connections=None),
    ("CKV_AWS_24", "SecurityGroupIngressRule", "ssh"): open_to_all("ssh", 22),
    ("CKV_AWS_25", "SecurityGroupIngressRule", "rdp"): open_to_all("rdp", 3389),
    ("CKV_AWS_260", "SecurityGroupIngressRule", "http"): open_to_all("http", 80),
    ("CKV_AWS_130", "Subnet", "private-0"): inputs("Subnet", "private-0", mapPublicIpOnLaunch=True),
    ("CKV2_AWS_11", "Vpc", "network"): without("FlowLog", "flow-logs"),
    ("CKV2_AWS_12", "Vpc", "network"): without("DefaultSecurityGroup", "closed"),
    ("CKV_AWS_35", "Trail", "lake"): inputs("Trail", "lake", kmsKeyId=None),
    ("CKV_AWS_36", "Trail", "lake"): inputs("Trail", "lake", enableLogFileValidation=False),
    ("CKV_AWS_297", "Schedule", "ingest-main"): inputs("Schedule", "ingest-main", kmsKeyArn=None),
    ("CKV2_LAKE_2", "AccountPublicAccessBlock", "private"): account_open,
    ("CKV_SECRET_2", "Job", "land"): argument("land", "--key", "AKIAIOSFODNN7EXAMPLE"),
    ("CKV_SECRET_4", "Job", "marts"): argument(
        "marts", "--source", "postgresql://lake:s3cr3tPw@db.internal/lake"
    ),
    ("CKV_SECRET_4", "Environment", "airflow"): inputs(
        "Environment",
        "airflow",
        airflowConfigurationOptions={
            "database.sql": "postgresql://airflow:0therPw@db.internal/airflow"
        },
    ),
    ("CKV_SECRET_6", "Job", "promote"): argument("promote", "--password", "hunter2Xk9"),
}
"""By the check that finds it, and where: mistakes that are made at the same time."""


@pytest.fixture(scope="module")
def mistaken(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """What is found in prod once all mistakes are made."""
    found = rendered("prod", CONTRACTS)
    for plant in MISTAKES.values():
        found = plant(found)
    folder = tmp_path_factory.mktemp("policy") / "mistaken"
    write(found, folder)
    return scan([folder], python)["mistaken"]


@pytest.mark.parametrize(("check", "kind", "name"), MISTAKES)
def test_a_planted_mistake_is_found(
    check: str,
    kind: str,
    name: str,
    mistaken: Scan,
    verdicts: dict[str, Verdict],
) -> None:
    (type_,) = (known for known in terraform_types() if known.endswith(f":{kind}"))
    where = address(type_, name), check

    assert where in {(r.resource, r.check) for r in mistaken.results if not r.passed}
    assert where not in verdicts["prod"].accepted


def test_no_check_looks_at_a_type_that_is_said_to_have_none(mistaken: Scan) -> None:
    looked = {r.resource.partition(".")[0] for r in mistaken.results if "SECRET" not in r.check}

    assert not looked & unchecked()


def test_a_misspelt_type_is_seen_to_be_checked_by_nobody(python: Path, tmp_path: Path) -> None:
    written = {"resource": {"aws_kinesis_steam": {"flights": {"name": "flights"}}}}
    (tmp_path / "main.tf.json").write_text(json.dumps(written), encoding="utf-8")

    verdict = judge("prod", addresses(written), scan([tmp_path], python)[tmp_path.name], {})

    assert verdict.unseen == ("aws_kinesis_steam.flights",)


def test_the_command_prints_a_line_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local"]) == 0
    assert "local" in capsys.readouterr().out
