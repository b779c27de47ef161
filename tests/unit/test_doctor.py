"""What the doctor finds in an account, each finding with its mend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError
from botocore.stub import Stubber
from support.fakeaccount import Answer, FakeAccount, denied, refused
from support.rendered import STACKS, estate

from lakehouse.doctor import (
    account as accounts,
)
from lakehouse.doctor import (
    backend,
    billing,
    caller,
    checks,
    lake,
    names,
    quotas,
    rights,
)
from lakehouse.doctor.finding import Check, Finding, examine, failed
from lakehouse.doctor.need import Need, need_of

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


def identity(arn: str = ROLE) -> Answer:
    return {"Account": ACCOUNT, "Arn": arn, "UserId": "x"}


def find(check: Any, answers: dict[str, Answer], need: Need = NEED) -> list[Finding]:
    return list(check(FakeAccount({"sts.get_caller_identity": identity(), **answers}), need))


def only(check: Any, answers: dict[str, Answer], need: Need = NEED) -> Finding:
    (finding,) = find(check, answers, need)
    return finding


def change(**changed: Any) -> Need:
    return msgspec.structs.replace(NEED, **changed)


# Who asks, and where.


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


# Lake Formation and the catalog.


def settings(**values: Any) -> dict[str, Answer]:
    return {"lakeformation.get_data_lake_settings": {"DataLakeSettings": values}}


def test_a_deployer_who_administers_lake_formation_is_known_by_the_roles_name() -> None:
    found = only(lake.administrators, settings(DataLakeAdmins=[ADMIN]))
    assert (found.level, found.said) == ("ok", "deployer is one of 1 administrators")


@pytest.mark.parametrize(
    ("admins", "said"),
    [
        ([], "it has no administrator; deployer"),
        (
            [{"DataLakePrincipalIdentifier": f"arn:aws:iam::{ACCOUNT}:role/other"}],
            f"the administrators are arn:aws:iam::{ACCOUNT}:role/other; deployer",
        ),
    ],
)
def test_a_deployer_who_does_not_administer_lake_formation_stops_a_stack_that_uses_it(
    admins: list[Any], said: str
) -> None:
    answers = settings(DataLakeAdmins=admins)
    found = only(lake.administrators, answers)
    assert (found.level, found.said) == ("fail", f"{said}, who deploys, is none")
    assert found.mend.startswith("put deployer into lake_administrators beside them; ")
    assert only(lake.administrators, answers, change(services=("glue",))).level == "warn"


EVERYBODY = {
    "Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"},
    "Permissions": ["ALL"],
}


def test_defaults_that_shut_the_jobs_out_are_found() -> None:
    found = only(lake.defaults, settings(CreateDatabaseDefaultPermissions=[EVERYBODY]))
    assert found.level == "fail"
    assert found.said.startswith("new tables are closed to whom IAM lets in")
    assert found.mend == "run 'pulumi up' in platform/account, which sets it"
    found = only(lake.defaults, settings(CreateTableDefaultPermissions=[]))
    assert found.said.startswith("new databases and tables are closed")


def test_defaults_that_let_iam_decide_are_well() -> None:
    opened = {
        "CreateDatabaseDefaultPermissions": [EVERYBODY],
        "CreateTableDefaultPermissions": [EVERYBODY],
    }
    assert only(lake.defaults, settings(**opened)).level == "ok"


def database(name: str, location: str) -> dict[str, Answer]:
    return {f"glue.get_database {name}": {"Database": {"Name": name, "LocationUri": location}}}


def test_databases_that_nobody_has_are_free() -> None:
    found = only(lake.databases, {})
    assert (found.level, found.said) == ("ok", "free: bronze, silver, gold, governance")


def test_a_database_of_another_deployment_is_found() -> None:
    taken = database("silver", "s3://other-silver/")
    first, free = find(lake.databases, taken)
    assert (first.level, first.said) == (
        "fail",
        "database silver is another deployment's, at s3://other-silver/",
    )
    assert first.mend.startswith("take another region or account")
    assert free.said == "free: bronze, gold, governance"


def test_a_prefix_that_begins_like_ours_is_another_deployments() -> None:
    taken = database("silver", "s3://acmeother-silver/")
    assert find(lake.databases, taken)[0].level == "fail"


def test_databases_of_this_deployment_are_well() -> None:
    ours = {
        name: answer
        for layer in NEED.databases
        for name, answer in database(layer, f"s3://acme-{layer}/").items()
    }
    assert only(lake.databases, ours).said.startswith("already this deployment's: bronze")


def encryption(**rest: Any) -> dict[str, Answer]:
    answer = {"DataCatalogEncryptionSettings": {"EncryptionAtRest": rest}}
    return {"glue.get_data_catalog_encryption_settings": answer}


def test_a_catalog_without_settings_is_well() -> None:
    assert only(lake.catalog, encryption(CatalogEncryptionMode="DISABLED")).level == "ok"


def test_a_catalog_under_a_key_says_whom_the_key_has_to_let_in() -> None:
    found = only(
        lake.catalog, encryption(CatalogEncryptionMode="SSE-KMS", SseAwsKmsKeyId="key-of-theirs")
    )
    assert (found.level, found.mend) == (
        "warn",
        "let the roles acme-* use key-of-theirs, in its key policy",
    )


def test_a_catalogs_own_policy_is_found() -> None:
    answers = encryption(CatalogEncryptionMode="DISABLED")
    answers["glue.get_resource_policy"] = {"PolicyInJson": "{}"}
    _, found = find(lake.catalog, answers)
    assert (found.level, found.said) == ("warn", "the catalog has a resource policy of its own")


REGISTRY: dict[str, Answer] = {"glue.get_registry": {"RegistryName": "acme"}}
WANTED: dict[str, Answer] = {"s3.head_object": {"ContentLength": 16}}


@pytest.mark.parametrize(
    ("answers", "level"), [({}, "ok"), (REGISTRY, "fail"), (REGISTRY | WANTED, "ok")]
)
def test_a_registry_of_the_name_is_this_deployments_or_in_the_way(
    answers: dict[str, Answer], level: str
) -> None:
    found = only(lake.registry, answers)
    assert found.level == level
    assert bool(found.mend) == (level == "fail")


# Names.


@pytest.mark.parametrize(
    ("answers", "level", "said"),
    [
        ({"s3.head_bucket": refused("s3:ListBucket", "404", 404)}, "ok", "free: acme-bronze"),
        (
            {"s3.head_bucket": refused("s3:ListBucket", "403", 403)},
            "fail",
            "acme-bronze belongs to another account, or may not be asked for",
        ),
        (
            {"s3.head_bucket": refused("s3:ListBucket", "301", 301)},
            "fail",
            "acme-bronze lies in another region",
        ),
        (
            {"s3.head_bucket": {"BucketRegion": "us-east-1"}},
            "fail",
            "acme-bronze lies in us-east-1",
        ),
        (
            {"s3.head_bucket": refused("s3:ListBucket", "400", 400)},
            "fail",
            "acme-bronze is refused: 400",
        ),
        (
            {"s3.head_bucket": {"BucketRegion": "eu-west-1"}} | WANTED,
            "ok",
            "this deployment's: acme-bronze",
        ),
        (
            {"s3.head_bucket": {}},
            "fail",
            "there already, of a deployment that is gone or was cut short: acme-bronze",
        ),
    ],
)
def test_a_buckets_name_is_free_or_taken(answers: dict[str, Answer], level: str, said: str) -> None:
    found = only(names.buckets, answers)
    assert (found.level, found.said, bool(found.mend)) == (level, said, level == "fail")


def test_a_bucket_whose_name_is_too_long_is_not_asked_for() -> None:
    found = only(names.buckets, {}, change(buckets=("a" * 64,)))
    assert found.said.endswith("has 64 characters, S3 takes 63")


# Room.

LIMITS: dict[str, Answer] = {
    "service-quotas.get_service_quota": {"Quota": {"Value": 5.0}},
    "ec2.describe_vpcs": {"Vpcs": [{}] * 4},
    "ec2.describe_internet_gateways": {"InternetGateways": []},
    "ec2.describe_addresses": {"Addresses": []},
    "ec2.describe_nat_gateways": {"NatGateways": []},
    "glue.list_jobs": {"JobNames": []},
    "kms.list_keys": {"Keys": []},
    "mwaa.list_environments": {"Environments": []},
}
VPC = change(resources={"Vpc": 1}, dpus=0)


def test_the_last_vpc_of_the_quota_is_still_to_be_had() -> None:
    found = only(quotas.quotas, LIMITS, VPC)
    assert (found.level, found.said) == ("ok", "VPCs: 1 needed, 4 used of 5")


def test_one_vpc_too_many_is_found_with_the_value_to_ask_for() -> None:
    found = only(quotas.quotas, LIMITS | {"ec2.describe_vpcs": {"Vpcs": [{}] * 5}}, VPC)
    assert found == Finding(
        "quotas",
        "fail",
        "VPCs: 1 needed, 5 used of 5",
        "aws service-quotas request-service-quota-increase --service-code vpc "
        "--quota-code L-F678F1CE --desired-value 6",
    )


def test_what_the_stack_does_not_build_has_no_quota() -> None:
    asked = FakeAccount(LIMITS)
    assert not list(quotas.quotas(asked, change(resources={}, dpus=0)))
    assert asked.asked == ["s3.head_object"]


def test_a_deployment_that_is_there_adds_nothing_but_its_runs_still_need_room() -> None:
    full = LIMITS | WANTED | {"ec2.describe_vpcs": {"Vpcs": [{}] * 5}}
    assert only(quotas.quotas, full, VPC).level == "ok"
    runs = only(quotas.quotas, full, change(resources={"Job": 0}, dpus=24))
    assert (runs.level, runs.said) == ("fail", "Glue DPUs at a time: 24 needed, 0 used of 5")


def test_a_quota_that_was_never_changed_is_awss_default() -> None:
    never = refused("servicequotas:GetServiceQuota", "NoSuchResourceException")
    answers = LIMITS | {
        "service-quotas.get_service_quota": never,
        "service-quotas.get_aws_default_service_quota": {"Quota": {"Value": 7.0}},
    }
    assert only(quotas.quotas, answers, VPC).said == "VPCs: 1 needed, 4 used of 7"


def test_a_quota_that_may_not_be_asked_does_not_hide_the_others() -> None:
    answers = LIMITS | {"ec2.describe_vpcs": denied("ec2:DescribeVpcs")}
    first, second = find(quotas.quotas, answers, change(resources={"Vpc": 1, "Eip": 1}, dpus=0))
    assert (first.level, first.mend[:23]) == ("warn", "allow ec2:DescribeVpcs ")
    assert second.said == "elastic IPs: 1 needed, 0 used of 5"


def test_nat_gateways_are_counted_by_zone() -> None:
    need = change(resources={"NatGateway": 3}, zones=3, dpus=0)
    assert only(quotas.quotas, LIMITS, need).said == "NAT gateways a zone: 1 needed, 0 used of 5"


KINESIS = {
    "ShardLimit": 10, "OpenShardCount": 6, "OnDemandStreamCount": 0, "OnDemandStreamCountLimit": 1,
}  # fmt: skip


def test_shards_and_streams_on_demand_need_room_of_their_own() -> None:
    shards, streams = find(quotas.kinesis, {"kinesis.describe_limits": KINESIS})
    assert (shards.level, shards.said) == ("ok", "shards: 4 needed, 6 used of 10")
    assert (streams.level, streams.said) == ("fail", "streams on demand: 2 needed, 0 used of 1")
    assert streams.mend.endswith("ask for more on-demand streams")


@pytest.mark.parametrize(("used", "level"), [(991, "ok"), (992, "fail")])
def test_roles_need_room(used: int, level: str) -> None:
    answer: dict[str, Answer] = {
        "iam.get_account_summary": {"SummaryMap": {"Roles": used, "RolesQuota": 1000}}
    }
    assert only(quotas.roles, answer).level == level


@pytest.mark.parametrize(("used", "level"), [(4, "ok"), (5, "fail")])
def test_a_region_has_five_trails(used: int, level: str) -> None:
    answer: dict[str, Answer] = {"cloudtrail.describe_trails": {"trailList": [{}] * used}}
    assert only(quotas.trails, answer).level == level


@pytest.mark.parametrize(("there", "level"), [(3, "ok"), (2, "fail")])
def test_a_region_with_too_few_zones_is_found(there: int, level: str) -> None:
    zones = [{"ZoneName": f"z{n}", "State": "available"} for n in range(there)]
    zones.append({"ZoneName": "impaired", "State": "impaired"})
    found = only(quotas.zones, {"ec2.describe_availability_zones": {"AvailabilityZones": zones}})
    assert found.level == level
    assert found.mend == ("" if level == "ok" else "set network.zones to 2 in Pulumi.prod.yaml")


# The bill.

ACTIVATE = (
    "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
    "TagKey=deployment,Status=Active"
)


@pytest.mark.parametrize(
    ("tags", "level", "mend"),
    [
        ([{"TagKey": "deployment", "Type": "UserDefined", "Status": "Active"}], "ok", ""),
        (
            [{"TagKey": "deployment", "Type": "UserDefined", "Status": "Inactive"}],
            "warn",
            ACTIVATE,
        ),
        ([], "warn", "run again a day after the first deployment, and activate the tag then"),
    ],
)
def test_a_budgets_tag_has_to_be_active(tags: list[Any], level: str, mend: str) -> None:
    answer: dict[str, Answer] = {"ce.list_cost_allocation_tags": {"CostAllocationTags": tags}}
    found = only(billing.cost_tags, answer)
    assert (found.level, found.mend) == (level, mend)


# The deployer's rights.


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


# Where the state is.

SAFE: dict[str, Answer] = {
    "s3.get_bucket_versioning state": {"Status": "Enabled"},
    "s3.get_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": []}},
    "s3.get_public_access_block": {"PublicAccessBlockConfiguration": {}},
}


def state(url: str | None, answers: dict[str, Answer]) -> list[Finding]:
    return list(backend.backend(FakeAccount(answers), NEED, url))


@pytest.mark.parametrize(
    ("url", "level"),
    [
        (None, "fail"),
        ("file://~", "warn"),
        ("https://api.pulumi.com/acme", "ok"),
        ("s3://state/folder?region=eu-west-1", "ok"),
    ],
)
def test_state_is_kept_where_it_is_safe(url: str | None, level: str) -> None:
    (found,) = state(url, SAFE)
    assert (found.level, bool(found.mend)) == (level, level != "ok")


@pytest.mark.parametrize(
    ("change", "level", "said"),
    [
        (
            {"s3.get_bucket_versioning state": refused("s3:x", "NoSuchBucket", 404)},
            "fail",
            "bucket state is not there",
        ),
        ({"s3.get_bucket_versioning state": {}}, "fail", "bucket state is not versioned"),
        (
            {"s3.get_bucket_encryption": refused("s3:x", "ServerSideEncryption...", 404)},
            "fail",
            "bucket state is not encrypted",
        ),
        (
            {"s3.get_public_access_block": refused("s3:x", "NoSuchPublicAccessBlock", 404)},
            "warn",
            "bucket state may be opened to the public",
        ),
    ],
)
def test_a_bucket_of_state_has_to_be_safe(change: dict[str, Answer], level: str, said: str) -> None:
    (found,) = state("s3://state", SAFE | change)
    assert found.level == level
    assert found.said.startswith(said)
    assert found.mend


def test_the_address_of_the_state_is_the_environments_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    assert backend.backend_url() == "s3://state"
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    monkeypatch.setenv("PATH", "")
    assert backend.backend_url() is None


@pytest.mark.parametrize(
    ("prints", "url"), [('{"url": "file://~"}', "file://~"), ("error: not logged in", None)]
)
def test_the_address_of_the_state_is_what_pulumi_says(
    prints: str, url: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\necho '{prints}'\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    assert backend.backend_url() == url


# Calls that are not answered.


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


# How AWS's answers are read.


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


# What a stack needs.


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
