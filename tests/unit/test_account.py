from __future__ import annotations

from typing import Any

import pytest
import yaml
from support import apicalls_lake
from support.apicalls import calls
from support.apicheck import refusals
from support.rendered import ACCOUNT, ACCOUNT_PROJECT, DEPLOYER, ROOT, account, of

from lakehouse.errors import EstateError
from localaws.apply import render_program

assert apicalls_lake, "it registers the types"


def test_the_project_is_another_than_the_estates() -> None:
    names = [
        yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        for folder in (ROOT, ACCOUNT)
    ]

    assert names == ["lakehouse", ACCOUNT_PROJECT]


def test_the_stack_that_is_there_can_be_built() -> None:
    path = ACCOUNT / "Pulumi.dev.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]

    found = render_program(ACCOUNT / "__main__.py", ACCOUNT_PROJECT, "dev", config)

    assert {r.type for r in found} == {
        "aws:lakeformation/dataLakeSettings:DataLakeSettings",
        "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
    }


def test_only_those_named_administer_lake_formation() -> None:
    (lake,) = of(account(), "DataLakeSettings").values()

    assert lake.inputs["admins"] == [DEPLOYER]
    assert "readOnlyAdmins" not in lake.inputs


def test_new_tables_are_left_to_iam_which_hybrid_mode_rests_on() -> None:
    (lake,) = of(account(), "DataLakeSettings").values()

    for kind in ("createDatabaseDefaultPermissions", "createTableDefaultPermissions"):
        assert lake.inputs[kind] == [
            {"permissions": ["ALL"], "principal": "IAM_ALLOWED_PRINCIPALS"}
        ]


def test_nothing_in_the_account_is_public() -> None:
    (wall,) = of(account(), "AccountPublicAccessBlock").values()

    assert set(wall.inputs.values()) == {True}
    assert len(wall.inputs) == 4


def test_settings_stay_when_the_project_goes() -> None:
    assert all(r.protect and r.retain for r in account())


def test_cost_tags_are_activated() -> None:
    tags = of(account(cost_tags=["deployment", "stage"]), "CostAllocationTag")

    assert {tag.inputs["tagKey"] for tag in tags.values()} == {"deployment", "stage"}
    assert {tag.inputs["status"] for tag in tags.values()} == {"Active"}


def test_aws_would_take_all_of_it() -> None:
    found = account(cost_tags=["deployment"])

    assert len(found) == 3
    assert [line for r in found for call in calls(r) for line in refusals(call)] == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lake_administrators": []}, "lake_administrators: Tuple should have at least 1 item"),
        ({"lake_administrators": ["deployer"]}, "String should match pattern"),
        ({"lake_admins": []}, "unknown key 'lake_admins'"),
    ],
)
def test_a_wrong_configuration_stops_with_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EstateError, match="lakehouse-account:account: ") as caught:
        account(**wrong)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
