"""What becomes of calls that are not answered, and what a stack needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError
from botocore.stub import Stubber
from support.doctoring import NEED, identity
from support.fakeaccount import FakeAccount, denied, refused
from support.rendered import STACKS, estate

from lakehouse.doctor import (
    account as accounts,
)
from lakehouse.doctor import (
    checks,
    rights,
)
from lakehouse.doctor.finding import Check, Finding, examine, failed
from lakehouse.doctor.need import need_of


def raising(error: Exception) -> Check:
    def ask(_account: object, _need: object) -> Iterator[Finding]:
        yield Finding("one", "ok", "found before")
        raise error

    return Check("one", ask)


@pytest.mark.parametrize(
    ("error", "level", "mend"),
    [
        (denied("glue:GetDatabase"), "warn", "allow glue:GetDatabase to whoever deploys"),
        (accounts.LackingError("not answered here"), "not asked", "ask it of AWS itself"),
        (accounts.UnreachableError("no endpoint"), "fail", "take another region than eu-west-1"),
        (refused("glue:GetDatabase", "ThrottlingException"), "warn", "ask glue:GetDatabase by"),
    ],
)
def test_a_call_that_is_not_answered_is_a_finding_and_the_rest_goes_on(
    error: Exception, level: str, mend: str
) -> None:
    after = Check("two", lambda _account, _need: iter([Finding("two", "ok", "asked")]))
    first, found, last = examine(FakeAccount({}), NEED, [raising(error), after])
    assert (first.said, last.said) == ("found before", "asked")
    assert (found.level, found.mend[: len(mend)]) == (level, mend)


def test_without_credentials_nothing_more_is_asked() -> None:
    none = accounts.NoCredentialsError("Unable to locate credentials")
    asked = FakeAccount({"sts.get_caller_identity": none})
    (found,) = examine(asked, NEED, checks.CHECKS)
    assert (found.level, found.check) == ("fail", "credentials")
    assert asked.asked == ["sts.get_caller_identity"]


def test_a_check_that_a_stack_does_not_need_is_not_asked() -> None:
    never = Check("never", lambda _account, _need: iter(()), lambda need: need.stack != "prod")
    asked = FakeAccount({})
    assert examine(asked, NEED, [never]) == []


def test_only_a_failure_fails() -> None:
    assert failed([Finding("a", "ok", ""), Finding("b", "fail", "", "x")])
    assert not failed([Finding("a", "warn", "", "x"), Finding("b", "not asked", "", "x")])


def test_every_finding_that_is_not_well_has_a_mend() -> None:
    found = examine(FakeAccount({"sts.get_caller_identity": identity()}), NEED, checks.CHECKS)
    assert len(found) >= len(checks.CHECKS) - 1
    assert [finding for finding in found if finding.level != "ok" and not finding.mend] == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[accounts.AwsAccount, Stubber]]:
    account = accounts.AwsAccount("eu-west-1")
    client = boto3.client(
        "glue", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(account, "_client", lambda _service: client)
    with Stubber(client) as stub:
        yield account, stub


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDeniedException", 400, accounts.DeniedError),
        ("InvalidAction", 400, accounts.LackingError),
        ("400", 400, accounts.LackingError),
        ("NotImplementedException", 501, accounts.LackingError),
        ("ExpiredTokenException", 400, accounts.NoCredentialsError),
        ("EntityNotFoundException", 400, accounts.RefusedError),
    ],
)
def test_an_error_of_aws_is_told_by_its_kind(
    asked: tuple[accounts.AwsAccount, Stubber], code: str, status: int, kind: type[Exception]
) -> None:
    account, stub = asked
    stub.add_client_error("get_database", code, http_status_code=status)
    with pytest.raises(kind) as raised:
        account.ask("glue", "get_database", Name="silver")
    assert type(raised.value) is kind
    if isinstance(raised.value, accounts.RefusedError):
        assert (raised.value.action, raised.value.code) == ("glue:GetDatabase", code)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), accounts.NoCredentialsError),
        (ConnectTimeoutError(endpoint_url="https://x"), accounts.UnreachableError),
    ],
)
def test_nobody_who_answers_is_told_apart_from_nobody_who_asks(
    error: Exception, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = accounts.AwsAccount("eu-west-1")
    client: Any = boto3.client(
        "glue", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(client, "get_database", fail)
    monkeypatch.setattr(account, "_client", lambda _service: client)
    with pytest.raises(kind):
        account.ask("glue", "get_database", Name="silver")


def test_what_the_stacks_need_follows_from_what_they_declare() -> None:
    needs = {stack: need_of(stack, f"p-{stack}", "eu-west-1", estate(stack)) for stack in STACKS}
    prod = needs["prod"]
    assert (prod.zones, prod.on_demand_streams, prod.shards) == (3, 1, 0)
    assert needs["staging"].shards == 2
    assert prod.count("Environment") == prod.count("Trail") == 1
    assert prod.cost_tags == ("deployment",)
    assert "acme-lakehouse-prod-bronze" in prod.buckets
    assert prod.databases == ("bronze", "gold", "governance", "silver")
    assert {"mwaa", "ec2", "kinesis"} <= set(prod.services)
    assert not needs["dev"].uses("ec2")


def test_dpus_are_those_of_all_jobs_at_once() -> None:
    workers = {"dev": 12, "prod": 26}
    for stack, dpus in workers.items():
        assert need_of(stack, "p", "r", estate(stack)).dpus == dpus
    assert need_of("local", "p", "r", estate("local")).dpus == 11


def test_every_type_that_needs_a_right_is_one_that_a_stack_declares() -> None:
    declared = {r.type.rpartition(":")[2] for stack in STACKS for r in estate(stack)}
    assert set(rights._CREATES) <= declared


def test_findings_are_json_as_they_are() -> None:
    line = json.loads(msgspec.json.encode(Finding("a", "not asked", "b", "c")))
    assert line == {"check": "a", "level": "not asked", "said": "b", "mend": "c"}
