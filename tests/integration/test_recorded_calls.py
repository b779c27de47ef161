"""Every call that jobs, DAGs and the supervisor make, held against the policies of every stack."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import pytest
from support.awscalls import Asked, Reader
from support.iam import Context, Decision, Request, applies, listed
from support.permissions import CREATES, USUAL, Permissions
from support.recording import Chain, recording
from support.rendered import STACKS, estate, of, planted

from lakehouse.contracts.model import Contracts
from localaws.local import LocalEstate

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(
    os.environ.get("LAKEHOUSE_AIRFLOW_PYTHON") or ROOT / ".nox" / "airflow" / "bin" / "python"
)
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not AIRFLOW.exists(), reason="nox makes Airflow's environment and names it"),
]
PEOPLE: Final = ("engineer", "analyst", "auditor")
"""Roles that people take, and ask what they like."""
UNUSED: Final = {
    ("*", "*", "s3:AbortMultipartUpload"): "an upload that fails half way is given up",
    ("*", "*Objects", "s3:DeleteObject"): "a commit that fails removes the files that it wrote",
    ("*", "Logs", "logs:*"): "Glue itself writes a run's log, as its role",
    ("*", "Metrics", "cloudwatch:PutMetricData"): "Glue itself writes a run's metrics, as its role",
    ("*", "Encryption", "glue:GetSecurityConfiguration"): "Glue itself asks how to encrypt a log",
    ("*", "Environment", "s3:PutObject"): "Glue itself keeps the environment that it has built",
    ("*", "Connection", "glue:GetConnection"): "Glue itself has its workers in the network",
    ("*", "Network*", "ec2:*"): "Glue itself has its workers in the network",
    ("*", "TaggedDatabases", "glue:GetDatabase"): "Lake Formation asks whose columns are tagged",
    ("*", "Tagging", "lakeformation:*"): "the emulator has no Lake Formation to tag columns in",
    ("airflow", "Airflow*", "*"): "MWAA itself reads its DAGs, logs, measures and queues tasks",
    ("supervisor", "ScheduleKey", "kms:Decrypt"): "the scheduler itself reads what it is to send",
    ("flow-logs", "FlowLogs", "logs:*"): "the network itself writes its flow logs",
    ("lake-formation", "*", "*"): "Lake Formation itself reads for those whom it lets read",
    ("operate", "BronzeTables", "glue:CreateTable"): (
        "who asks for the rejects of what was never loaded makes its table"
    ),
    ("land", "LandingList", "s3:ListBucket"): (
        "of an object that is gone S3 says so to those alone who may list"
    ),
}
"""What is granted although the chain does not use it, by role, statement and action, and why."""


@pytest.fixture(scope="module")
def asked(local_estate: LocalEstate, contracts: Contracts) -> list[Asked]:
    """What the roles asked for while the whole chain ran."""
    with recording(local_estate) as recorder:
        Chain(local_estate, recorder, AIRFLOW, contracts).run()
    jobs = {job["Name"]: job for job in boto3.client("glue").get_jobs()["Jobs"]}
    return Reader(local_estate.prefix, jobs).asked(recorder.seen)


class Question(NamedTuple):
    """A question to IAM with everything spelt out for a stack."""

    role: str
    action: str
    arn: str
    context: Context


def questions(permissions: Permissions, asked: Sequence[Asked]) -> Iterator[Question]:
    """The questions in a stack, each once, with those for keys."""
    for one in dict.fromkeys(asked):
        everything = one.resource == "*"
        arn = "*" if everything else permissions.arn(one.service, one.resource)
        yield Question(one.role, one.action, arn, one.conditions())
        for action, key, context in permissions.of_keys(one.action, arn):
            yield Question(one.role, action, key, context)


@pytest.mark.parametrize("stack", STACKS)
def test_every_call_is_allowed(stack: str, asked: list[Asked]) -> None:
    permissions = Permissions(stack, estate(stack))

    assert refused(permissions, asked) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_right_is_used_or_stands_on_the_list_with_its_reason(
    stack: str, asked: list[Asked]
) -> None:
    permissions = Permissions(stack, estate(stack))
    idle = set(unused(permissions, list(questions(permissions, asked))))

    assert {right for right in idle if not reasons(right)} == set()


def test_a_right_that_is_missing_or_idle_is_found(asked: list[Asked]) -> None:
    prod = estate("prod")
    text = of(prod, "RolePolicy")["land"].inputs["policy"]
    less = text.replace('"s3:ListBucketVersions"', '"s3:ListBucketMultipartUploads"')
    mistaken = Permissions("prod", planted(prod, "RolePolicy", "land", policy=less))

    missing = refused(mistaken, asked)
    idle = set(unused(mistaken, list(questions(mistaken, asked))))

    assert missing
    assert all(line.startswith("land s3:ListBucketVersions") for line in missing)
    assert ("land", "LandingList", "s3:ListBucketMultipartUploads") in idle


def test_every_reason_is_needed(asked: list[Asked]) -> None:
    found: Counter[tuple[str, str, str]] = Counter()
    for stack in STACKS:
        permissions = Permissions(stack, estate(stack))
        for right in unused(permissions, list(questions(permissions, asked))):
            found.update(reasons(right))

    assert set(found) == set(UNUSED)


def test_every_role_of_the_platform_was_heard(asked: list[Asked]) -> None:
    roles = {"airflow", "ingest-main", "land", "maintain", "marts", "operate", "promote"}

    assert {one.role for one in asked} == roles | {"supervisor"}
    assert len(asked) > 1000


def refused(permissions: Permissions, asked: Sequence[Asked]) -> list[str]:
    """The questions to which a stack's policies do not say yes, and what they say."""
    return [
        f"{q.role} {q.action} {q.arn} {dict(q.context)}: {decision.value}"
        for q in questions(permissions, asked)
        if (decision := permissions.decide(*q)) is not Decision.ALLOWED
    ]


def unused(permissions: Permissions, known: list[Question]) -> Iterator[tuple[str, str, str]]:
    """Role, statement and action of every right that no question asked for."""
    for role, statements in permissions.roles.items():
        if role in PEOPLE:
            continue
        own = [q for q in known if q.role == role]
        for statement in statements:
            for action in listed(statement["Action"]):
                only = statement | {"Action": action}
                if not any(applies(only, as_request(q)) for q in own):
                    yield role, statement["Sid"], action


def as_request(question: Question) -> Request:
    """The question as IAM has it."""
    creating = {"s3:ObjectCreationOperation": "true"} if question.action in CREATES else {}
    context: dict[str, Any] = {**USUAL, **creating, **question.context}
    return Request(question.role, question.action, question.arn, context)


def reasons(right: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """The entries of the list that speak of a right."""
    role, sid, action = right
    return [
        entry
        for entry in UNUSED
        if any(fnmatchcase(role, part) for part in entry[0].split("|"))
        and fnmatchcase(sid, entry[1])
        and fnmatchcase(action, entry[2])
    ]
