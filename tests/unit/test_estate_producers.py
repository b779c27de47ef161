"""What producers and partners may do: put what is theirs, read nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.iam import Decision
from support.permissions import Permissions
from support.rendered import CONTRACTS, RADAR, estate, of

from estate.config import parse_config
from lakehouse.errors import EstateError
from localaws.apply import render, render_outputs

APP = "arn:aws:iam::123456789012:role/checkin"
PARTNER = "arn:aws:iam::999999999999:role/partner"
NAMED = {"producers": {"flights": [APP], "airlines": [PARTNER]}}


@pytest.fixture(scope="module")
def permissions() -> Permissions:
    return Permissions("prod", render("prod", CONTRACTS, NAMED))


def may(permissions: Permissions, role: str, action: str, arn: str) -> bool:
    return permissions.decide(f"producer-{role}", action, arn, {}) is Decision.ALLOWED


def test_a_producer_puts_into_its_stream_and_no_other_and_reads_none(
    permissions: Permissions,
) -> None:
    own, other = (
        permissions.arn("kinesis", f"stream/{permissions.prefix}-{name}")
        for name in ("flights", "radar")
    )
    for action in ("kinesis:PutRecord", "kinesis:PutRecords"):
        assert may(permissions, "flights", action, own)
        assert not may(permissions, "flights", action, other)
    for action in ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DeleteStream"):
        assert not may(permissions, "flights", action, own)


def test_its_key_encrypts_for_its_stream_alone_and_opens_nothing(permissions: Permissions) -> None:
    key = permissions.arn("kms", "key/key-inbound")
    for name, allowed in (("flights", True), ("radar", False)):
        arn = permissions.arn("kinesis", f"stream/{permissions.prefix}-{name}")
        said = {"kms:EncryptionContext:aws:kinesis:arn": arn}
        decided = permissions.decide("producer-flights", "kms:GenerateDataKey", key, said)
        assert (decided is Decision.ALLOWED) == allowed
        decided = permissions.decide("producer-flights", "kms:Decrypt", key, said)
        assert decided is not Decision.ALLOWED


def test_a_partner_puts_into_its_folder_and_reads_nobodys_not_even_its_own(
    permissions: Permissions,
) -> None:
    landing = f"arn:aws:s3:::{permissions.prefix}-landing"
    assert may(permissions, "airlines", "s3:PutObject", f"{landing}/airlines/a.csv")
    for key in ("airports/a.csv", "airlines_old/a.csv", "a.csv"):
        assert not may(permissions, "airlines", "s3:PutObject", f"{landing}/{key}")
    for key in ("airlines/a.csv", "airports/a.csv"):
        for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject"):
            assert not may(permissions, "airlines", action, f"{landing}/{key}")
    assert not may(permissions, "airlines", "s3:ListBucket", landing)
    assert not may(
        permissions, "airlines", "s3:PutObject", f"arn:aws:s3:::{permissions.prefix}-bronze/x"
    )


def test_roles_are_made_for_those_that_a_stack_names_and_nobody_else() -> None:
    assert not [name for name in of(estate("prod"), "Role") if name.startswith("producer-")]
    made = of(render("prod", CONTRACTS, NAMED), "Role")
    assert {name for name in made if name.startswith("producer-")} == {
        "producer-flights",
        "producer-airlines",
    }
    trusted = made["producer-airlines"].inputs["assumeRolePolicy"]
    assert PARTNER in trusted
    assert APP not in trusted


def test_a_producer_whose_records_name_their_schema_registers_its_versions(tmp_path: Path) -> None:
    (tmp_path / "radar.yaml").write_text(RADAR.replace("GROUP", "main"), encoding="utf-8")
    permissions = Permissions("prod", render("prod", tmp_path, {"producers": {"radar": [APP]}}))

    own, other = (
        permissions.arn("glue", f"schema/{permissions.prefix}/{name}") for name in ("radar", "x")
    )
    assert may(permissions, "radar", "glue:RegisterSchemaVersion", own)
    assert not may(permissions, "radar", "glue:RegisterSchemaVersion", other)
    assert not may(permissions, "radar", "glue:DeleteSchema", own)


@pytest.mark.parametrize(
    ("producers", "message"),
    [
        ({"fligths": [APP]}, "unknown dataset 'fligths'"),
        ({"weather": [APP]}, "'weather' has source 'pull'"),
        ({"carrier_on_time": [APP]}, "'carrier_on_time' has source 'mart'"),
    ],
)
def test_a_dataset_that_nobody_sends_is_refused(producers: Any, message: str) -> None:
    with pytest.raises(EstateError, match=message):
        render("prod", CONTRACTS, {"producers": producers})


def test_a_whole_account_is_no_producer() -> None:
    with pytest.raises(EstateError, match=r"producers\.flights\.0: String should match pattern"):
        parse_config(
            {"prefix": "acme", "producers": {"flights": ["arn:aws:iam::123456789012:root"]}}
        )


def test_a_stack_says_which_roles_senders_take() -> None:
    assert render_outputs("dev", CONTRACTS)["producers"] == {}
