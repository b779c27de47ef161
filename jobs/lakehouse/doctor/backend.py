"""Where Pulumi keeps the stack's state, and whether it is safe there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Final

from lakehouse.doctor.account import Account, RefusedError
from lakehouse.doctor.finding import Check, Finding
from lakehouse.doctor.need import LOCAL, Need

INSTALL: Final = "install it from https://www.pulumi.com/docs/install"
"""What to do without Pulumi's command line."""


def backend_check(url: Callable[[], str | None]) -> Check:
    """The check of the backend at an address; None: nobody is logged in, or there is no Pulumi."""

    def ask(account: Account, need: Need) -> Iterator[Finding]:
        yield from backend(account, need, url())

    return Check("state backend", ask, lambda need: need.stack != LOCAL)


def backend(account: Account, need: Need, url: str | None) -> Iterator[Finding]:
    """Whether a backend's state is versioned, encrypted, and not on one machine alone."""
    if url is None:
        yield Finding(
            "state backend",
            "fail",
            "Pulumi is not installed, or logged in nowhere",
            f"{INSTALL}, then 'pulumi login s3://<bucket>'",
        )
    elif url.startswith("file://"):
        yield Finding(
            "state backend",
            "warn",
            f"{url}: the state is on this machine alone, and nobody else can deploy {need.stack}",
            "'pulumi login s3://<bucket>', a bucket that is versioned, encrypted and private",
        )
    elif url.startswith("s3://"):
        yield from _bucket(account, url.removeprefix("s3://").partition("/")[0].partition("?")[0])
    else:
        yield Finding("state backend", "ok", url)


def _bucket(account: Account, bucket: str) -> Iterator[Finding]:
    try:
        versioning = account.ask("s3", "get_bucket_versioning", Bucket=bucket)
    except RefusedError as error:
        if error.code != "NoSuchBucket":
            raise
        yield Finding(
            "state backend",
            "fail",
            f"bucket {bucket} is not there",
            f"aws s3 mb s3://{bucket}, versioned, or 'pulumi login' to another",
        )
        return
    wrong = False
    if versioning.get("Status") != "Enabled":
        wrong = True
        yield Finding(
            "state backend",
            "fail",
            f"bucket {bucket} is not versioned: a state that is lost stays lost",
            f"aws s3api put-bucket-versioning --bucket {bucket} "
            "--versioning-configuration Status=Enabled",
        )
    if not _answers(account, "get_bucket_encryption", bucket):
        wrong = True
        yield Finding(
            "state backend",
            "fail",
            f"bucket {bucket} is not encrypted",
            f"S3 console, {bucket}, Properties: default encryption with a key of yours",
        )
    if not _answers(account, "get_public_access_block", bucket):
        wrong = True
        yield Finding(
            "state backend",
            "warn",
            f"bucket {bucket} may be opened to the public",
            f"S3 console, {bucket}, Permissions: block all public access",
        )
    if not wrong:
        yield Finding("state backend", "ok", f"s3://{bucket}: versioned, encrypted, private")


def _answers(account: Account, operation: str, bucket: str) -> bool:
    """Whether the bucket has the configuration; S3 answers 404 where it has none."""
    try:
        account.ask("s3", operation, Bucket=bucket)
    except RefusedError as error:
        if error.status != 404:
            raise
        return False
    return True


def backend_url() -> str | None:
    """Where Pulumi's command line keeps its state; None where it is not installed or logged in."""
    if url := os.environ.get("PULUMI_BACKEND_URL"):
        return url
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - the pulumi of PATH
            [pulumi, "whoami", "--json", "--non-interactive"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        answer = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    url = answer.get("url") if isinstance(answer, dict) else None
    return url if isinstance(url, str) else None
