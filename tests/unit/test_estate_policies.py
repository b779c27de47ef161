from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pytest
from support.rendered import STACKS, of, with_radar

from estate.access import airflowpolicies, policies, servicepolicies
from estate.access.grants import POLICY_LIMIT, Statement, policy
from estate.account import Account
from estate.compute.release import ROOT
from estate.storage.keypolicies import key_policy
from estate.storage.keys import KEYS
from estate.storage.lake import bucket_policy
from lakehouse.contracts.model import Contract, FileFormat, StreamSource
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError
from lakehouse.naming import BucketPurpose
from policies.rules.access import WITHOUT_RESOURCES

ACCOUNT = Account("acme", "aws", "eu-west-1", "123456789012")
ARNS = {name: f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in KEYS}
FLIGHTS = load_contracts(ROOT / "quality" / "contracts")["flights"]
PARTNER = StreamSource(
    arn="arn:aws:kinesis:eu-west-1:999999999999:stream/partner",
    role="arn:aws:iam::999999999999:role/reader",
)


def streamed(*datasets: str, stream: StreamSource = FLIGHTS.stream) -> list[Contract]:
    return [msgspec.structs.replace(FLIGHTS, dataset=name, stream=stream) for name in datasets]


ROLES = {
    "ingest-main": policies.ingest(
        ACCOUNT, ARNS, "ingest-main", streamed("flights", "tracks"), environment=True
    ),
    "land": policies.land(ACCOUNT, ARNS, "land", environment=True),
    "promote": policies.promote(ACCOUNT, ARNS, "promote", environment=True),
    "marts": policies.marts(ACCOUNT, ARNS, "marts", environment=True),
    "operate": policies.operate(
        ACCOUNT, ARNS, "operate", streamed("flights", stream=PARTNER), environment=True
    ),
    "maintain": policies.maintain(ACCOUNT, ARNS, "maintain", environment=True),
    "airflow": airflowpolicies.airflow(ACCOUNT, ARNS, ["land", "promote"]),
}
WHOLE_FAMILIES = {"kms:GenerateDataKey*", "s3:GetBucket*", "s3:GetObject*", "s3:List*"}
"""What MWAA's user guide asks for under Airflow's role, bounded by resource."""


def allows(role: str, action: str, resource: str) -> bool:
    return any(
        action in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        for statement in ROLES[role]
    )


def grants() -> Iterator[tuple[str, Statement]]:
    for role, statements in ROLES.items():
        for statement in statements:
            yield role, statement


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("ingest-main", "kinesis:GetRecords", ACCOUNT.stream("flights")),
        ("ingest-main", "s3:PutObject", ACCOUNT.bucket("bronze") + "/flights/data/a.parquet"),
        ("ingest-main", "s3:PutObject", ACCOUNT.bucket("ledger") + "/flights/plans/1.json"),
        ("ingest-main", "glue:UpdateTable", ACCOUNT.arn("glue", "table/bronze/flights")),
        ("land", "s3:GetObjectVersion", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("land", "s3:ListBucketVersions", ACCOUNT.bucket("landing")),
        ("promote", "glue:UpdateTable", ACCOUNT.arn("glue", "table/silver/flights")),
        ("promote", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/dataset=flights/1.json"),
        ("marts", "glue:UpdateTable", ACCOUNT.arn("glue", "table/gold/carrier_on_time")),
        ("marts", "kms:Decrypt", ARNS["silver"]),
        ("promote", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/approvals/flights/1.json"),
        ("promote", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/reports/index.html"),
        ("promote", "s3:DeleteObject", ACCOUNT.bucket("verdicts") + "/runs/silver.flights.json"),
        ("operate", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/operations/jr_1.json"),
        ("operate", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/dataset=flights/1.json"),
        ("operate", "s3:PutObject", ACCOUNT.bucket("ledger") + "/flights/plans/1.json"),
        ("operate", "glue:UpdateTable", ACCOUNT.arn("glue", "table/bronze/flights")),
        ("operate", "glue:UpdateTable", ACCOUNT.arn("glue", "table/gold/carrier_on_time")),
        ("operate", "kinesis:GetRecords", ACCOUNT.stream("flights")),
        ("operate", "sts:AssumeRole", str(PARTNER.role)),
        ("maintain", "s3:DeleteObject", ACCOUNT.bucket("bronze") + "/flights/data/a.parquet"),
        ("maintain", "s3:GetObject", ACCOUNT.bucket("ledger") + "/flights/claims/1/0.json"),
        ("maintain", "glue:UpdateTable", ACCOUNT.arn("glue", "table/silver/flights")),
        ("maintain", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/runs/silver.flights.json"),
        ("maintain", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/operations/jr_1.json"),
        ("airflow", "glue:StartJobRun", ACCOUNT.job("promote")),
        ("airflow", "s3:PutObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("airflow", "s3:GetObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("airflow", "s3:DeleteObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("airflow", "s3:GetObject", ACCOUNT.bucket("verdicts") + "/dataset=flights/1.json"),
    ],
)
def test_a_role_may_do_its_job(role: str, action: str, resource: str) -> None:
    assert allows(role, action, resource)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("ingest-main", "s3:PutObject", ACCOUNT.bucket("gold") + "/x/y"),
        ("ingest-main", "s3:PutObject", ACCOUNT.bucket("bronze") + "/other/y"),
        ("ingest-main", "kinesis:GetRecords", ACCOUNT.stream("other")),
        ("ingest-main", "s3:DeleteObject", ACCOUNT.bucket("ledger") + "/flights/claims/1/0.json"),
        ("ingest-main", "s3:PutObject", ACCOUNT.bucket("artifacts") + "/environments/land/x"),
        ("land", "glue:UpdateTable", ACCOUNT.arn("glue", "table/silver/weather")),
        ("land", "s3:DeleteObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("promote", "s3:PutObject", ACCOUNT.bucket("bronze") + "/flights/x"),
        ("promote", "s3:GetObject", ACCOUNT.bucket("gold") + "/x/y"),
        ("promote", "kms:Decrypt", ARNS["gold"]),
        ("marts", "s3:GetObject", ACCOUNT.bucket("bronze") + "/flights/x"),
        ("marts", "s3:DeleteObject", ACCOUNT.bucket("verdicts") + "/dataset=x/1.json"),
        ("promote", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/operations/jr_1.json"),
        ("operate", "s3:DeleteObject", ACCOUNT.bucket("ledger") + "/flights/claims/1/0.json"),
        ("operate", "s3:PutObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("operate", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/approvals/flights/1.json"),
        ("maintain", "glue:CreateTable", ACCOUNT.arn("glue", "table/silver/flights")),
        ("maintain", "s3:PutObject", ACCOUNT.bucket("ledger") + "/flights/plans/1.json"),
        ("maintain", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/dataset=flights/1.json"),
        ("maintain", "s3:GetObject", ACCOUNT.bucket("landing") + "/weather/1.json"),
        ("maintain", "kinesis:GetRecords", ACCOUNT.stream("flights")),
        ("airflow", "glue:StartJobRun", ACCOUNT.job("other")),
        ("airflow", "s3:GetObject", ACCOUNT.bucket("silver") + "/flights/x"),
        ("airflow", "s3:PutObject", ACCOUNT.bucket("verdicts") + "/dataset=flights/1.json"),
    ],
)
def test_a_role_may_do_no_more_than_its_job(role: str, action: str, resource: str) -> None:
    assert not allows(role, action, resource)


@pytest.mark.parametrize("role", ["ingest-main", "land", "promote", "marts", "operate", "maintain"])
def test_no_job_may_change_the_code_that_jobs_run(role: str) -> None:
    for key in ("code/lakehouse-1.zip", "contracts/1/flights.yaml"):
        assert not allows(role, "s3:PutObject", f"{ACCOUNT.bucket('artifacts')}/{key}")


def test_every_action_is_named_and_so_is_every_resource_that_has_a_name() -> None:
    for role, statement in grants():
        assert not any("*" in action for action in statement["Action"]), role
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) <= WITHOUT_RESOURCES, (role, statement)


@pytest.mark.parametrize("stack", STACKS)
def test_so_it_is_in_every_policy_of_a_stack(stack: str, tmp_path: Path) -> None:
    for name, found in of(with_radar(stack, "radar", tmp_path), "RolePolicy").items():
        for statement in json.loads(found.inputs["policy"])["Statement"]:
            actions, resources = set(statement["Action"]), statement["Resource"]
            assert statement["Effect"] == "Allow"
            wild = {action for action in actions if "*" in action}
            assert wild <= (WHOLE_FAMILIES if name == "airflow" else set()), (name, statement)
            if "*" in resources:
                assert actions <= WITHOUT_RESOURCES, (name, statement)


def test_metrics_go_to_the_platforms_namespaces_only() -> None:
    found = [s for _, s in grants() if "cloudwatch:PutMetricData" in s["Action"]]

    assert found
    assert all("cloudwatch:namespace" in s["Condition"]["StringEquals"] for s in found)


@pytest.mark.parametrize("role", ROLES)
def test_statement_ids_are_unique_in_a_policy(role: str) -> None:
    ids = [statement["Sid"] for statement in ROLES[role]]

    assert len(ids) == len(set(ids))
    assert all(sid.isalnum() for sid in ids)


def test_a_policy_that_iam_would_refuse_for_its_size_is_refused_here() -> None:
    many = streamed(*(f"dataset_number_{n}" for n in range(60)))
    statements = policies.ingest(ACCOUNT, ARNS, "ingest-main", many, environment=True)

    with pytest.raises(EstateError, match=f"IAM takes {POLICY_LIMIT}: give some of its datasets"):
        policy("acme-ingest-main", statements)


def test_a_group_may_have_twenty_streams() -> None:
    many = streamed(*(f"dataset_number_{n}" for n in range(20)))
    statements = policies.ingest(ACCOUNT, ARNS, "ingest-main", many, environment=True)

    assert len(policy("acme-ingest-main", statements)) <= POLICY_LIMIT


def test_another_accounts_stream_is_read_under_its_role_and_no_other() -> None:
    group = [*streamed("flights"), *streamed("partner", stream=PARTNER)]
    statements = policies.ingest(ACCOUNT, ARNS, "ingest-main", group, environment=True)

    (streams,) = [s for s in statements if s["Sid"] == "Streams"]
    assert streams["Resource"] == [ACCOUNT.stream("flights"), PARTNER.arn]
    (assume,) = [s for s in statements if "sts:AssumeRole" in s["Action"]]
    assert assume["Resource"] == [PARTNER.role]


def test_the_schema_registry_is_read_where_a_stream_carries_its_headers() -> None:
    def reads(fmt: FileFormat) -> bool:
        group = [msgspec.structs.replace(FLIGHTS, format=fmt)]
        statements = policies.ingest(ACCOUNT, ARNS, "ingest-main", group, environment=True)
        return any("glue:GetSchemaVersion" in s["Action"] for s in statements)

    assert reads(FileFormat(type="avro"))
    assert not reads(FileFormat(type="avro", schema="{}"))
    assert not reads(FileFormat(type="json"))


def test_only_services_of_this_account_may_take_a_role() -> None:
    (statement,) = servicepolicies.trust(ACCOUNT, "glue")["Statement"]

    assert statement["Principal"] == {"Service": ["glue.amazonaws.com"]}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_cloudwatch_logs_may_use_the_key_of_the_jobs_logs_and_no_other() -> None:
    users = {name: json.dumps(key_policy(ACCOUNT, name)) for name in KEYS}

    assert [name for name, text in users.items() if "logs.eu-west-1" in text] == ["operations"]


def test_entries_of_the_ledger_and_verdicts_cannot_be_overwritten() -> None:
    keys: dict[BucketPurpose, list[str]] = {
        "ledger": ["*"],
        "verdicts": ["dataset=*", "approvals/*"],
    }
    for purpose, once in keys.items():
        (*_, written_once) = bucket_policy(ACCOUNT, purpose, ARNS["operations"])["Statement"]
        assert written_once["Resource"] == [f"{ACCOUNT.bucket(purpose)}/{key}" for key in once]
