"""Room in the account: what there is, what there may be, what the stack would add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from lakehouse.doctor.account import Account, DeniedError, RefusedError
from lakehouse.doctor.finding import Finding, denied
from lakehouse.doctor.lake import deployed
from lakehouse.doctor.need import Need


class Quota(NamedTuple):
    """A quota of Service Quotas."""

    what: str
    service: str
    code: str
    needed: Callable[[Need], int]
    used: Callable[[Account], int] | None = None
    """How much of it is in use; None where it is free again after each run."""


def _count(service: str, operation: str, key: str, **parameters: Any) -> Callable[[Account], int]:
    return lambda account: len(account.ask(service, operation, **parameters).get(key, []))


QUOTAS: Final = (
    Quota("VPCs", "vpc", "L-F678F1CE", lambda n: n.count("Vpc"),
          _count("ec2", "describe_vpcs", "Vpcs")),
    Quota("internet gateways", "vpc", "L-A4707A72", lambda n: n.count("InternetGateway"),
          _count("ec2", "describe_internet_gateways", "InternetGateways")),
    Quota("elastic IPs", "ec2", "L-0263D0A3", lambda n: n.count("Eip"),
          _count("ec2", "describe_addresses", "Addresses")),
    # By zone; all of the account's in one zone are the worst case.
    Quota("NAT gateways a zone", "vpc", "L-FE5A380F",
          lambda n: -(-n.count("NatGateway") // max(n.zones, 1)),
          _count("ec2", "describe_nat_gateways", "NatGateways",
                 Filter=[{"Name": "state", "Values": ["available", "pending"]}])),
    Quota("concurrent Glue runs", "glue", "L-5E4153CA", lambda n: n.count("Job")),
    Quota("Glue DPUs at a time", "glue", "L-08F3B322", lambda n: n.dpus),
    Quota("Glue jobs", "glue", "L-611FDDE4", lambda n: n.count("Job"),
          _count("glue", "list_jobs", "JobNames", MaxResults=1000)),
    Quota("KMS keys", "kms", "L-C2F1777E", lambda n: n.count("Key"),
          _count("kms", "list_keys", "Keys", Limit=1000)),
    Quota("MWAA environments", "airflow", "L-67D41C6B", lambda n: n.count("Environment"),
          _count("mwaa", "list_environments", "Environments")),
)  # fmt: skip
"""Those of which a stack may take a good part."""


def quotas(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the account has room for what the stack adds; deployed, it adds nothing."""
    there = deployed(account, need.prefix)
    for quota in QUOTAS:
        needed = quota.needed(need)
        if not needed:
            continue
        try:
            limit = _limit(account, quota)
            used = quota.used(account) if quota.used else 0
        except DeniedError as error:
            yield denied("quotas", error)
            continue
        adds = 0 if there and quota.used else needed
        mend = (
            f"aws service-quotas request-service-quota-increase --service-code {quota.service} "
            f"--quota-code {quota.code} --desired-value {used + adds}"
        )
        yield _room(quota.what, limit, used, adds, mend)


def _limit(account: Account, quota: Quota) -> int:
    """The account's own value, else AWS's default."""
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        answer = account.ask("service-quotas", "get_service_quota", **asked)
    except RefusedError as error:
        if error.code != "NoSuchResourceException":
            raise
        answer = account.ask("service-quotas", "get_aws_default_service_quota", **asked)
    return int(answer["Quota"]["Value"])


def _room(what: str, limit: int, used: int, adds: int, mend: str) -> Finding:
    said = f"{what}: {adds} needed, {used} used of {limit}"
    if used + adds > limit:
        return Finding("quotas", "fail", said, mend)
    return Finding("quotas", "ok", said)


def kinesis(account: Account, need: Need) -> Iterator[Finding]:
    """Whether there is room for the shards and the streams on demand."""
    limits = account.ask("kinesis", "describe_limits")
    there = deployed(account, need.prefix)
    for what, needed, limit, used, code in (
        ("shards", need.shards, "ShardLimit", "OpenShardCount", "shards per region"),
        ("streams on demand", need.on_demand_streams, "OnDemandStreamCountLimit",
         "OnDemandStreamCount", "on-demand streams"),
    ):  # fmt: skip
        if needed:
            yield _room(
                what,
                int(limits[limit]),
                int(limits[used]),
                0 if there else needed,
                f"Service Quotas console, Kinesis Data Streams: ask for more {code}",
            )


def roles(account: Account, need: Need) -> Iterator[Finding]:
    """Whether there is room for the roles."""
    summary = account.ask("iam", "get_account_summary")["SummaryMap"]
    adds = 0 if deployed(account, need.prefix) else need.count("Role")
    mend = "Service Quotas console (us-east-1), IAM: ask for more roles per account"
    yield _room("IAM roles", summary["RolesQuota"], summary["Roles"], adds, mend)


def trails(account: Account, need: Need) -> Iterator[Finding]:
    """Whether there is room for the trail: a region has five, and no more can be had."""
    adds = 0 if deployed(account, need.prefix) else need.count("Trail")
    used = len(account.ask("cloudtrail", "describe_trails", includeShadowTrails=True)["trailList"])
    mend = f"delete a trail that nobody needs, or take audit out of Pulumi.{need.stack}.yaml"
    yield _room("trails", 5, used, adds, mend)


def zones(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the region has as many availability zones as the network spans."""
    answer = account.ask(
        "ec2",
        "describe_availability_zones",
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}],
    )
    usable = [z["ZoneName"] for z in answer["AvailabilityZones"] if z.get("State") == "available"]
    said = f"{need.zones} zones needed, {account.region} has {len(usable)}"
    if len(usable) < need.zones:
        mend = f"set network.zones to {len(usable)} in Pulumi.{need.stack}.yaml"
        yield Finding("zones", "fail", said, mend)
    else:
        yield Finding("zones", "ok", said)
