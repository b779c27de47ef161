"""Calls of Lake Formation, and of what an account has once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.apicalls import ACCOUNT, Call, Inputs, makes


@makes("aws:lakeformation/dataLakeSettings:DataLakeSettings")
def settings(i: Inputs) -> Iterator[Call]:
    """Who administers, and whom new databases and tables are open to."""
    opened = ("createDatabaseDefaultPermissions", "createTableDefaultPermissions")
    found: dict[str, Any] = {
        key[0].upper() + key[1:]: [
            {"Permissions": given["permissions"], "Principal": _principal(given["principal"])}
            for given in i[key]
        ]
        for key in opened
    }
    found["DataLakeAdmins"] = [_principal(arn) for arn in i["admins"]]
    yield Call("lakeformation", "PutDataLakeSettings", {"DataLakeSettings": found})


@makes("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock")
def account_wall(i: Inputs) -> Iterator[Call]:
    """The wall around all buckets."""
    block = {"AccountId": ACCOUNT, "PublicAccessBlockConfiguration": i.rest()}
    yield Call("s3control", "PutPublicAccessBlock", block)


@makes("aws:costexplorer/costAllocationTag:CostAllocationTag")
def cost_tag(i: Inputs) -> Iterator[Call]:
    """A tag that costs are told apart by."""
    status = {"CostAllocationTagsStatus": [i.given(TagKey="tagKey", Status="status")]}
    yield Call("ce", "UpdateCostAllocationTagsStatus", status)


def _principal(arn: str) -> dict[str, str]:
    return {"DataLakePrincipalIdentifier": arn}
