"""Names that all of AWS shares: the buckets'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakehouse.doctor.account import Account, RefusedError
from lakehouse.doctor.finding import Finding
from lakehouse.doctor.lake import deployed
from lakehouse.doctor.need import Need


def buckets(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the buckets' names are free, or this deployment's."""
    free, ours = [], []
    for name in need.buckets:
        if len(name) > 63:
            yield Finding(
                "buckets",
                "fail",
                f"{name} has {len(name)} characters, S3 takes 63",
                f"take a shorter prefix in Pulumi.{need.stack}.yaml",
            )
            continue
        try:
            there = account.ask("s3", "head_bucket", Bucket=name)
        except RefusedError as error:
            if error.status == 404:
                free.append(name)
            else:
                yield _taken(name, need, _WHY.get(error.status, f"is refused: {error.code}"))
        else:
            region = there.get("BucketRegion", account.region)
            if region == account.region:
                ours.append(name)
            else:
                yield _taken(name, need, f"lies in {region}")
    if free:
        yield Finding("buckets", "ok", f"free: {', '.join(free)}")
    if ours:
        yield _here(account, need, ours)


_WHY: Final = {
    301: "lies in another region",
    403: "belongs to another account, or may not be asked for",
}
"""Why S3 does not say what a bucket is, by the status that it answers."""


def _taken(name: str, need: Need, why: str) -> Finding:
    return Finding(
        "buckets",
        "fail",
        f"{name} {why}",
        f"take another prefix than {need.prefix} in Pulumi.{need.stack}.yaml",
    )


def _here(account: Account, need: Need, names: list[str]) -> Finding:
    if deployed(account, need.prefix):
        return Finding("buckets", "ok", f"this deployment's: {', '.join(names)}")
    return Finding(
        "buckets",
        "fail",
        f"there already, of a deployment that is gone or was cut short: {', '.join(names)}",
        "delete them if they are empty, else 'pulumi import' them (docs/runbook.md, teardown)",
    )
