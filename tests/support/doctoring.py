"""An account as the doctor finds it, and a stack that is to be built there."""

from __future__ import annotations

from typing import Any

import msgspec
from support.fakeaccount import Answer, FakeAccount

from lakehouse.doctor.finding import Finding
from lakehouse.doctor.need import Need

ACCOUNT = "123456789012"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/someone"
ADMIN = {"DataLakePrincipalIdentifier": f"arn:aws:iam::{ACCOUNT}:role/teams/data/deployer"}
NEED = Need(
    stack="prod",
    prefix="acme",
    region="eu-west-1",
    resources={
        "Bucket": 1, "Eip": 1, "Environment": 1, "InternetGateway": 1, "Job": 6, "Key": 5,
        "NatGateway": 1, "Registry": 1, "Role": 9, "Trail": 1, "Vpc": 1,
    },
    services=("glue", "kinesis", "lakeformation", "mwaa"),
    buckets=("acme-bronze",),
    zones=3,
    shards=4,
    on_demand_streams=2,
    dpus=24,
    cost_tags=("deployment",),
)  # fmt: skip

WANTED: dict[str, Answer] = {"s3.head_object": {"ContentLength": 16}}
"""The deployment is there."""


def identity(arn: str = ROLE) -> Answer:
    return {"Account": ACCOUNT, "Arn": arn, "UserId": "x"}


def find(check: Any, answers: dict[str, Answer], need: Need = NEED) -> list[Finding]:
    return list(check(FakeAccount({"sts.get_caller_identity": identity(), **answers}), need))


def only(check: Any, answers: dict[str, Answer], need: Need = NEED) -> Finding:
    (finding,) = find(check, answers, need)
    return finding


def change(**changed: Any) -> Need:
    return msgspec.structs.replace(NEED, **changed)
