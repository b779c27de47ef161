"""Who asks, in which account and region, and what of it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lakehouse.doctor.account import Account, DeniedError, UnreachableError
from lakehouse.doctor.finding import Finding, denied
from lakehouse.doctor.need import Need


class Caller(NamedTuple):
    """Whoever the credentials are of."""

    account: str
    arn: str

    @property
    def name(self) -> str:
        """Name of the role or user, without path and session."""
        kind, *path = self.arn.rpartition(":")[2].split("/")
        return path[0] if kind == "assumed-role" else (path[-1] if path else kind)

    @property
    def is_root(self) -> bool:
        """Whether it is the account's root user."""
        return self.arn.endswith(":root")

    def is_principal(self, arn: str) -> bool:
        """Whether an IAM principal of this account is the caller's role or user.

        A session's ARN lacks the path of its role, so that names are compared.
        """
        parts = arn.split(":")
        return len(parts) > 5 and parts[4] == self.account and arn.rpartition("/")[2] == self.name


def caller(account: Account) -> Caller:
    """Who asks."""
    said = account.ask("sts", "get_caller_identity")
    return Caller(said["Account"], said["Arn"])


def credentials(account: Account, need: Need) -> Iterator[Finding]:
    """Whose account it is, and that it is not asked as its root user."""
    who = caller(account)
    said = f"account {who.account} as {who.arn}"
    if who.is_root:
        yield Finding(
            "credentials",
            "warn",
            said,
            f"deploy {need.stack} as a role: nothing bounds the root user, and Lake Formation does "
            "not take it for an administrator",
        )
    else:
        yield Finding("credentials", "ok", said)


def region(account: Account, _: Need) -> Iterator[Finding]:
    """Whether the account has the region switched on."""
    answer = account.ask("account", "get_region_opt_status", RegionName=account.region)
    status = answer["RegionOptStatus"]
    if status in {"ENABLED", "ENABLED_BY_DEFAULT"}:
        yield Finding("region", "ok", f"{account.region} is {status.lower().replace('_', ' ')}")
    elif status == "ENABLING":
        yield Finding(
            "region", "fail", f"{account.region} is being enabled", "wait some minutes, run again"
        )
    else:
        yield Finding(
            "region",
            "fail",
            f"{account.region} is {status.lower()} in this account",
            f"aws account enable-region --region-name {account.region}",
        )


def services(account: Account, need: Need) -> Iterator[Finding]:
    """Whether every service that the stack uses answers here, one reading call each."""
    answering = []
    for used, (service, operation, parameters) in _READS.items():
        if not need.uses(used):
            continue
        try:
            account.ask(service, operation, **parameters)
        except DeniedError as error:
            yield denied("services", error)
        except UnreachableError as error:
            yield Finding(
                "services",
                "fail",
                str(error),
                f"take a region that has {service} for aws:region of Pulumi.{need.stack}.yaml",
            )
        else:
            answering.append(service)
    if answering:
        yield Finding("services", "ok", f"answer in {account.region}: {', '.join(answering)}")


def glue_version(_: Account, need: Need) -> Iterator[Finding]:
    """What no call tells."""
    yield Finding(
        "glue version",
        "not asked",
        f"no call says whether {need.region} has Glue 6.0",
        "look for 6.0 among the versions of a new job in the Glue console of the region",
    )


_READS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "athena": ("athena", "list_work_groups", {"MaxResults": 1}),
    "cloudtrail": ("cloudtrail", "describe_trails", {}),
    "cloudwatch": ("cloudwatch", "describe_alarms", {"MaxRecords": 1}),
    "ec2": ("ec2", "describe_vpcs", {}),
    "glue": ("glue", "get_databases", {"MaxResults": 1}),
    "iam": ("iam", "list_roles", {"MaxItems": 1}),
    "kinesis": ("kinesis", "list_streams", {"Limit": 1}),
    "kms": ("kms", "list_keys", {"Limit": 1}),
    "lakeformation": ("lakeformation", "list_resources", {"MaxResults": 1}),
    "mwaa": ("mwaa", "list_environments", {"MaxResults": 1}),
    "s3": ("s3", "list_buckets", {}),
    "scheduler": ("scheduler", "list_schedules", {"MaxResults": 1}),
    "sns": ("sns", "list_topics", {}),
    "sqs": ("sqs", "list_queues", {"MaxResults": 1}),
}
"""A reading call for each service, by Pulumi's name of it."""
