"""Whether an account has the names, the room and the tags that a stack needs."""

from __future__ import annotations

from typing import Any

import pytest
from support.doctoring import WANTED, change, find, only
from support.fakeaccount import Answer, FakeAccount, denied, refused

from lakehouse.doctor import (
    billing,
    names,
    quotas,
)
from lakehouse.doctor.finding import Finding


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
