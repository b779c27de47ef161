"""Whether the doctor finds the state where it is safe."""

from __future__ import annotations

from typing import Any

import pytest
from support.doctoring import NEED
from support.fakeaccount import Answer, FakeAccount, refused

from lakehouse.doctor import (
    backend,
)
from lakehouse.doctor.finding import Finding

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
