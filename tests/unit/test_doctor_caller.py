"""What the doctor tells of who deploys, from where, and with what rights."""

from __future__ import annotations

import pytest
from support.doctoring import ACCOUNT, ROLE, change, find, identity, only
from support.fakeaccount import Answer, denied

from lakehouse.doctor import (
    account as accounts,
)
from lakehouse.doctor import (
    caller,
    rights,
)
from lakehouse.doctor.finding import Finding


def test_the_caller_is_named_with_its_account() -> None:
    assert only(caller.credentials, {}) == Finding(
        "credentials", "ok", f"account {ACCOUNT} as {ROLE}"
    )


def test_the_root_user_is_warned_of() -> None:
    root = identity(f"arn:aws:iam::{ACCOUNT}:root")
    found = only(caller.credentials, {"sts.get_caller_identity": root})
    assert (found.level, found.mend[:22]) == ("warn", "deploy prod as a role:")


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ROLE, "deployer"),
        (f"arn:aws:iam::{ACCOUNT}:user/people/ann", "ann"),
        (f"arn:aws:iam::{ACCOUNT}:root", "root"),
    ],
)
def test_a_callers_name_has_neither_path_nor_session(arn: str, name: str) -> None:
    assert caller.Caller(ACCOUNT, arn).name == name


def test_a_role_of_the_same_name_in_another_account_is_not_the_caller() -> None:
    who = caller.Caller(ACCOUNT, ROLE)
    assert who.is_principal(f"arn:aws:iam::{ACCOUNT}:role/path/deployer")
    assert not who.is_principal("arn:aws:iam::999999999999:role/deployer")
    assert not who.is_principal("IAM_ALLOWED_PRINCIPALS")


@pytest.mark.parametrize(
    ("status", "level", "mend"),
    [
        ("ENABLED_BY_DEFAULT", "ok", ""),
        ("ENABLED", "ok", ""),
        ("ENABLING", "fail", "wait some minutes, run again"),
        ("DISABLED", "fail", "aws account enable-region --region-name eu-west-1"),
        ("DISABLING", "fail", "aws account enable-region --region-name eu-west-1"),
    ],
)
def test_a_region_has_to_be_switched_on(status: str, level: str, mend: str) -> None:
    answers: dict[str, Answer] = {"account.get_region_opt_status": {"RegionOptStatus": status}}
    found = only(caller.region, answers)
    assert (found.level, found.mend) == (level, mend)


SERVICES: dict[str, Answer] = {
    "glue.get_databases": {"DatabaseList": []},
    "kinesis.list_streams": {"StreamNames": [], "HasMoreStreams": False},
    "lakeformation.list_resources": {},
    "mwaa.list_environments": {"Environments": []},
}


def test_only_the_services_that_the_stack_uses_are_asked() -> None:
    found = only(caller.services, SERVICES)
    assert found.said == "answer in eu-west-1: glue, kinesis, lakeformation, mwaa"
    found = only(caller.services, SERVICES, change(services=("glue",)))
    assert found.said == "answer in eu-west-1: glue"


def test_a_service_that_the_region_lacks_is_found() -> None:
    lacking = accounts.UnreachableError("airflow:ListEnvironments in eu-west-1: no endpoint")
    first, rest = find(caller.services, SERVICES | {"mwaa.list_environments": lacking})
    assert (first.level, first.mend) == (
        "fail",
        "take a region that has mwaa for aws:region of Pulumi.prod.yaml",
    )
    assert rest.said == "answer in eu-west-1: glue, kinesis, lakeformation"


def test_a_service_that_may_not_be_asked_does_not_hide_the_others() -> None:
    answers = SERVICES | {"kinesis.list_streams": denied("kinesis:ListStreams")}
    first, rest = find(caller.services, answers)
    assert (first.level, first.mend[:26]) == ("warn", "allow kinesis:ListStreams ")
    assert rest.said == "answer in eu-west-1: glue, lakeformation, mwaa"


def test_that_no_call_tells_of_glues_versions_is_said() -> None:
    found = only(caller.glue_version, {})
    assert found.level == "not asked"
    assert found.mend


def simulated(**decisions: str) -> dict[str, Answer]:
    results = [
        {"EvalActionName": action.replace("_", ":"), "EvalDecision": decision}
        for action, decision in decisions.items()
    ]
    role = {
        "Path": "/", "RoleName": "deployer", "RoleId": "A" * 16, "CreateDate": "2026-01-01",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/deployer",
    }  # fmt: skip
    return {
        "iam.get_role": {"Role": role},
        "iam.simulate_principal_policy": {"EvaluationResults": results},
    }


def test_what_the_deployer_may_not_make_is_named() -> None:
    found = only(rights.rights, simulated(glue_CreateJob="allowed", iam_CreateRole="implicitDeny"))
    assert (found.level, found.said) == ("fail", "deployer may not iam:CreateRole")


def test_a_deployer_who_may_make_everything_is_well() -> None:
    found = only(rights.rights, simulated(glue_CreateJob="allowed"), change(resources={"Job": 6}))
    assert (found.level, found.said) == ("ok", "deployer may make 1 of 1 tried")
