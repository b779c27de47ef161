"""The evaluator of policies that other tests rely on."""

from __future__ import annotations

from typing import Any

import pytest
from support.iam import Decision, Request, arn_like, decide

ROLE = "arn:aws:iam::123456789012:role/acme-land"
OTHER = "arn:aws:iam::999999999999:role/stranger"
ACCOUNT = {"AWS": "arn:aws:iam::123456789012:root"}
OBJECT = "arn:aws:s3:::acme-bronze/flights/1"
ALLOWED, NOT_GRANTED, FORBIDDEN = Decision.ALLOWED, Decision.NOT_GRANTED, Decision.FORBIDDEN


def statement(**parts: Any) -> dict[str, Any]:
    given = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | parts
    return {key: value for key, value in given.items() if value is not None}


def get(principal: str = ROLE, **context: str | list[str]) -> Request:
    named = {key.replace("__", "-").replace("_", ":", 1): v for key, v in context.items()}
    return Request(principal, "s3:GetObject", OBJECT, named)


@pytest.mark.parametrize(
    ("identity", "resource", "decision"),
    [
        ([], [], NOT_GRANTED),
        ([statement()], [], ALLOWED),
        ([statement(Action="S3:getobject")], [], ALLOWED),
        ([statement(Action=["s3:Get*"])], [], ALLOWED),
        ([statement(Action="s3:GetObjec?")], [], ALLOWED),
        ([statement(Action="s3:GetObjectVersion")], [], NOT_GRANTED),
        ([statement(Resource="arn:aws:s3:::acme-bronze/flights/*")], [], ALLOWED),
        ([statement(Resource="arn:aws:s3:::acme-bronze")], [], NOT_GRANTED),
        ([statement(Resource="arn:aws:s3:::acme-silver/*")], [], NOT_GRANTED),
        ([statement(Action=None, NotAction="s3:Put*")], [], ALLOWED),
        ([statement(Action=None, NotAction="s3:Get*")], [], NOT_GRANTED),
        ([statement(Resource=None, NotResource=OBJECT)], [], NOT_GRANTED),
        ([statement(), statement(Effect="Deny")], [], FORBIDDEN),
        ([statement()], [statement(Effect="Deny", Principal="*")], FORBIDDEN),
        ([], [statement(Principal={"AWS": ROLE})], ALLOWED),
        ([], [statement(Principal={"AWS": OTHER})], NOT_GRANTED),
        ([], [statement(Principal={"AWS": ROLE.replace("land", "marts")})], NOT_GRANTED),
        ([statement()], [statement(Effect="Deny", Principal={"AWS": OTHER})], ALLOWED),
        # The account as a principal lets its IAM decide, and gives nothing by itself.
        ([], [statement(Principal=ACCOUNT)], NOT_GRANTED),
        ([statement()], [statement(Principal=ACCOUNT)], ALLOWED),
        ([statement()], [statement(Effect="Deny", Principal=ACCOUNT)], FORBIDDEN),
    ],
)
def test_allow_is_needed_and_deny_wins(
    identity: list[dict[str, Any]], resource: list[dict[str, Any]], decision: Decision
) -> None:
    assert decide(get(), identity, resource) is decision


def test_a_boundary_has_to_allow_the_call_as_well() -> None:
    assert decide(get(), [statement()], limits=[[statement()]]) is ALLOWED
    assert decide(get(), [statement()], limits=[[]]) is NOT_GRANTED
    assert decide(get(), [statement()], limits=[[statement(Effect="Deny")]]) is FORBIDDEN


def test_a_service_is_let_in_by_its_name() -> None:
    policy = [statement(Principal={"Service": ["events.amazonaws.com"]})]

    assert decide(get("events.amazonaws.com"), [], policy) is ALLOWED
    assert decide(get("cloudwatch.amazonaws.com"), [], policy) is NOT_GRANTED


@pytest.mark.parametrize(
    ("condition", "context", "applies"),
    [
        ({"StringEquals": {"s3:prefix": ["a", "b"]}}, {"s3_prefix": "b"}, True),
        ({"StringEquals": {"s3:prefix": "a"}}, {"s3_prefix": "b"}, False),
        ({"StringEquals": {"s3:prefix": "a"}}, {}, False),
        ({"StringEquals": {"S3:Prefix": "a"}}, {"s3_prefix": "a"}, True),
        ({"StringLike": {"s3:prefix": "a/*"}}, {"s3_prefix": "a/b"}, True),
        ({"StringLikeIfExists": {"s3:prefix": "a/*"}}, {}, True),
        ({"StringLikeIfExists": {"s3:prefix": "a/*"}}, {"s3_prefix": "b/"}, False),
        ({"StringNotEquals": {"s3:x": "a"}}, {"s3_x": "b"}, True),
        ({"StringNotEquals": {"s3:x": "a"}}, {"s3_x": "a"}, False),
        # What is not there is not equal.
        ({"StringNotEquals": {"s3:x": "a"}}, {}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws_SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws_SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, False),
        ({"Null": {"s3:if-none-match": "true"}}, {}, True),
        ({"Null": {"s3:if-none-match": "true"}}, {"s3_if__none__match": "*"}, False),
        ({"Null": {"s3:if-none-match": "false"}}, {"s3_if__none__match": "*"}, True),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:1:t"}}, {"aws_SourceArn": "x"}, False),
        ({"ArnLike": {"aws:A": "arn:aws:logs:e:1:*"}}, {"aws_A": "arn:aws:logs:e:1:g:s"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "5"}}, {"s3_max__keys": "6"}, False),
        ({"ForAnyValue:StringEquals": {"aws:T": ["a"]}}, {"aws_T": ["b", "a"]}, True),
        ({"ForAnyValue:StringEquals": {"aws:T": ["a"]}}, {}, False),
        ({"ForAllValues:StringEquals": {"aws:T": ["a"]}}, {"aws_T": ["b", "a"]}, False),
        ({"ForAllValues:StringEquals": {"aws:T": ["a"]}}, {}, True),
        ({"StringEquals": {"s3:a": "1"}, "Null": {"s3:b": "true"}}, {"s3_a": "1"}, True),
        ({"StringEquals": {"s3:a": "1", "s3:b": "1"}}, {"s3_a": "1"}, False),
    ],
)
def test_a_condition_holds_as_its_operator_says(
    condition: dict[str, Any], context: dict[str, Any], applies: bool
) -> None:
    decision = decide(get(**context), [statement(Condition=condition)])

    assert (decision is ALLOWED) is applies


def test_a_resource_may_have_the_callers_own_key_in_it() -> None:
    own = [statement(Resource="arn:aws:s3:::acme-bronze/${aws:PrincipalTag/team}/*")]

    assert decide(get(aws_PrincipalTag__team="flights"), own) is NOT_GRANTED
    tagged = Request(ROLE, "s3:GetObject", OBJECT, {"aws:PrincipalTag/team": "flights"})
    assert decide(tagged, own) is ALLOWED


@pytest.mark.parametrize(
    ("pattern", "arn", "found"),
    [
        (
            "arn:aws:glue:eu-west-1:1:table/bronze/*",
            "arn:aws:glue:eu-west-1:1:table/bronze/x",
            True,
        ),
        ("arn:aws:sqs:eu-west-1:*:queue", "arn:aws:sqs:eu-west-1:7:queue", True),
        ("arn:aws:*:queue", "arn:aws:sqs:eu-west-1:7:queue", False),
        ("arn:aws:s3:::a[b]*", "arn:aws:s3:::ab", False),
        ("*", "arn:aws:s3:::ab", True),
    ],
)
def test_the_parts_of_an_arn_are_compared_one_by_one(pattern: str, arn: str, found: bool) -> None:
    assert arn_like(pattern, arn) is found


@pytest.mark.parametrize(
    "wrong",
    [
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Condition": {"ForSomeValue:StringLike": {"aws:T": "a"}}},
        {"NotPrincipal": {"AWS": ROLE}},
    ],
)
def test_what_is_not_understood_is_an_error_and_no_decision(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not understood|cannot be evaluated"):
        decide(get(), [statement(**wrong)])
