"""What people may do: each audience its own queries and results, and the tables that are theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest
from support.estategraph import graph
from support.rendered import CONTRACTS, STACKS, estate, of

from estate.access import audiencepolicies
from estate.access.audiencepolicies import AUDIENCES
from estate.access.grants import Statement, policy
from estate.access.people import trust
from estate.account import Account
from estate.config import parse_config
from estate.storage.keys import KEYS
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError
from lakehouse.naming import LAYERS
from localaws.apply import render

HERE = "arn:aws:{}:eu-west-1:123456789012:{}"
ACCOUNT = Account("acme", "aws", "eu-west-1", "123456789012")
ARNS = {name: f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in KEYS}
FLIGHTS = load_contracts(CONTRACTS)["flights"]
SSO = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_An_*"


def prefix_of(stack: str) -> str:
    bucket: str = of(estate(stack), "Bucket")["results"].inputs["bucket"]
    return bucket.removesuffix("-results")


def masked(dataset: str) -> Any:
    secret = msgspec.structs.replace(FLIGHTS.fields[3], classification="confidential")
    return msgspec.structs.replace(FLIGHTS, dataset=dataset, fields=(*FLIGHTS.fields, secret))


def rules(audience: str, *, governed: bool) -> list[Statement]:
    if audience == "engineer":
        return audiencepolicies.engineer(ACCOUNT, ARNS, governed=governed)
    if audience == "analyst":
        contracts = [FLIGHTS, masked("passengers")]
        return audiencepolicies.analyst(ACCOUNT, ARNS, contracts, governed=governed)
    return audiencepolicies.auditor(ACCOUNT, ARNS, governed=governed, trail=True)


def allows(found: Sequence[Statement], action: str, resource: str) -> bool:
    return any(
        action in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        for statement in found
    )


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_an_audience_queries_in_its_own_workgroup_and_sees_its_own_results(
    stack: str, audience: str
) -> None:
    found, prefix = graph(estate(stack)), prefix_of(stack)
    role, results = f"{prefix}-{audience}", f"arn:aws:s3:::{prefix}-results"

    for other in (*AUDIENCES, "primary"):
        group = HERE.format(
            "athena", f"workgroup/{other if other == 'primary' else f'{prefix}-{other}'}"
        )
        for action in ("athena:StartQueryExecution", "athena:GetQueryResults"):
            assert found.may(role, action, group) == (other == audience)
        for action in ("s3:GetObject", "s3:PutObject"):
            assert found.may(role, action, f"{results}/{other}/q.csv") == (other == audience)
    assert not found.may(role, "s3:DeleteObject", f"{results}/{audience}/q.csv")


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_nobody_writes_anything_but_results(stack: str, audience: str) -> None:
    found, prefix = graph(estate(stack)), prefix_of(stack)
    role = f"{prefix}-{audience}"

    writing = {
        (action, resource)
        for action, resource in found.grants(role)
        if action.startswith("s3:") and action not in {"s3:GetObject", "s3:GetBucketLocation"}
        if not action.startswith("s3:List")
    }
    assert {resource for _, resource in writing} == {f"arn:aws:s3:::{prefix}-results/{audience}/*"}
    for purpose in ("landing", "ledger", "artifacts"):
        for action in ("s3:GetObject", "s3:PutObject"):
            assert not found.may(role, action, f"arn:aws:s3:::{prefix}-{purpose}/flights/x")
    actions = {action for action, _ in found.grants(role)}
    assert not any(action.startswith(("kinesis:", "iam:", "sts:")) for action in actions)
    assert not any(action.startswith("glue:") and "Get" not in action for action in actions)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_where_lake_formation_decides_nobody_reads_an_object_of_a_layer(audience: str) -> None:
    found = rules(audience, governed=True)

    assert allows(found, "lakeformation:GetDataAccess", "*")
    for layer in LAYERS:
        for action in ("s3:GetObject", "s3:ListBucket"):
            for resource in (ACCOUNT.bucket(layer), ACCOUNT.bucket(layer) + "/flights/x"):
                assert not allows(found, action, resource)
        keys = [s for s in found if ARNS[layer] in s["Resource"]]
        assert all(
            ACCOUNT.bucket("results")
            in s["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
            for s in keys
        )


def test_where_it_does_not_analysts_read_datasets_without_masked_columns_only() -> None:
    found = rules("analyst", governed=False)

    assert not any("lakeformation:GetDataAccess" in s["Action"] for s in found)
    assert allows(found, "s3:GetObject", ACCOUNT.bucket("silver") + "/flights/data/x")
    for dataset in ("passengers", "flights_old"):
        assert not allows(found, "s3:GetObject", ACCOUNT.bucket("silver") + f"/{dataset}/x")
    assert not allows(found, "s3:GetObject", ACCOUNT.bucket("bronze") + "/flights/data/x")
    assert not allows(found, "glue:GetTable", ACCOUNT.arn("glue", "table/bronze/flights"))


def test_engineers_alone_reach_what_was_rejected() -> None:
    for governed in (True, False):
        may = {
            audience
            for audience in AUDIENCES
            if allows(
                rules(audience, governed=governed),
                "glue:GetTable",
                ACCOUNT.arn("glue", "table/bronze/flights"),
            )
        }
        # Lake Formation shows auditors which columns there are, and none of their rows.
        assert may == ({"engineer", "auditor"} if governed else {"engineer"})


def test_auditors_read_verdicts_and_the_trail_and_no_table_of_a_layer() -> None:
    for governed in (True, False):
        found = rules("auditor", governed=governed)
        assert allows(found, "s3:GetObject", ACCOUNT.bucket("verdicts") + "/operations/jr_1.json")
        assert allows(found, "s3:GetObject", "arn:aws:s3:::acme-audit/AWSLogs/1/x.json.gz")
        assert allows(found, "glue:GetTable", ACCOUNT.arn("glue", "table/governance/verdicts"))
        for layer in LAYERS:
            table = ACCOUNT.arn("glue", f"table/{layer}/x")
            assert allows(found, "glue:GetTable", table) is governed
            assert not allows(found, "s3:GetObject", ACCOUNT.bucket(layer) + "/x")


def test_keys_open_the_objects_of_one_bucket_each() -> None:
    for audience in AUDIENCES:
        for governed in (True, False):
            for statement in rules(audience, governed=governed):
                if any(action.startswith("kms:") for action in statement["Action"]):
                    (context,) = statement["Condition"]["StringLike"].values()
                    bucket, objects = context
                    assert objects == f"{bucket}/*"


@pytest.mark.parametrize("governed", [True, False])
def test_lists_are_bounded_by_the_prefix_that_may_be_read(governed: bool) -> None:
    (listing,) = [s for s in rules("analyst", governed=governed) if s["Sid"] == "ResultsList"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["analyst/*"]}}


def test_without_principals_nobody_may_take_a_role() -> None:
    (statement,) = trust(())["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": "*"})


def test_named_principals_take_a_role_and_users_need_a_second_factor() -> None:
    roles, users = trust((SSO, "arn:aws:iam::999999999999:user/ada"))["Statement"]

    assert roles["Principal"] == {"AWS": ["arn:aws:iam::123456789012:root"]}
    assert roles["Condition"] == {"ArnLike": {"aws:PrincipalArn": [SSO]}}
    assert users["Principal"] == {"AWS": ["arn:aws:iam::999999999999:root"]}
    assert users["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_trusts_a_whole_account(stack: str) -> None:
    named = {"audiences": {"analyst": [SSO], "auditor": [SSO]}}
    for role in of(render(stack, CONTRACTS, named), "Role").values():
        for statement in json.loads(role.inputs["assumeRolePolicy"])["Statement"]:
            people = "AWS" in statement["Principal"]
            if people and statement["Effect"] == "Allow":
                assert statement["Condition"]["ArnLike"]["aws:PrincipalArn"], role.name


@pytest.mark.parametrize(
    "wrong",
    [
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::*:role/analyst",
        "*",
        "arn:aws:sts::123456789012:assumed-role/analyst/ada",
    ],
)
def test_whom_a_stack_may_not_name_as_a_principal(wrong: str) -> None:
    with pytest.raises(EstateError, match=r"audiences\.analyst\.0: String should match pattern"):
        parse_config({"prefix": "acme", "audiences": {"analyst": [wrong]}})


def test_too_many_tables_for_iam_are_told_with_the_way_out() -> None:
    many = [msgspec.structs.replace(FLIGHTS, dataset=f"dataset_number_{n}") for n in range(200)]
    with pytest.raises(EstateError, match="let Lake Formation decide on tables"):
        policy(
            "acme-analyst",
            audiencepolicies.analyst(ACCOUNT, ARNS, many, governed=False),
            "let Lake Formation decide on tables",
        )
