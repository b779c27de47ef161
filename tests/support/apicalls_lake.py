"""Calls of Lake Formation, and of what an account has once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.apicalls import ACCOUNT, CALLS, Call, Inputs, makes, pascal, plain


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


CALLS["aws:lakeformation/lfTag:LfTag"] = plain(
    "lakeformation", "CreateLFTag", TagKey="key", TagValues="values"
)


@makes("aws:lakeformation/resource:Resource")
def location(i: Inputs) -> Iterator[Call]:
    """A location in hybrid access mode."""
    where = {"ResourceArn": i["arn"]}
    yield Call("lakeformation", "RegisterResource", where | i.rest())


@makes("aws:lakeformation/resourceLfTags:ResourceLfTags")
def database_tags(i: Inputs) -> Iterator[Call]:
    """A database's tags."""
    tags = [{"TagKey": tag["key"], "TagValues": [tag["value"]]} for tag in i["lfTags"]]
    wanted = {"Resource": {"Database": pascal(i["database"])}, "LFTags": tags}
    yield Call("lakeformation", "AddLFTagsToResource", wanted)


@makes("aws:lakeformation/permissions:Permissions")
def permissions(i: Inputs) -> Iterator[Call]:
    """A grant."""
    granted = {"Principal": _principal(i["principal"]), "Permissions": i["permissions"]} | i.given(
        PermissionsWithGrantOption="permissionsWithGrantOptions"
    )
    (kind,) = i.left
    yield Call(
        "lakeformation", "GrantPermissions", granted | {"Resource": _resource(kind, i[kind])}
    )


@makes("aws:lakeformation/optIn:OptIn")
def opt_in(i: Inputs) -> Iterator[Call]:
    """For whom, and on what, the grants count."""
    (principal,) = i["principals"]
    ((kind, given),) = (pair for resource in i["resourceDatas"] for pair in resource.items())
    asked = {"Principal": pascal(principal), "Resource": _resource(kind, given)}
    yield Call("lakeformation", "CreateLakeFormationOptIn", asked)


def _resource(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a grant is on, as the service writes it."""
    if kind == "dataLocation":
        return {"DataLocation": {"ResourceArn": given["arn"]}}
    if kind == "lfTag":
        return {"LFTag": {"TagKey": given["key"], "TagValues": given["values"]}}
    if kind == "lfTagPolicy":
        expression = [{"TagKey": e["key"], "TagValues": e["values"]} for e in given["expressions"]]
        return {"LFTagPolicy": {"ResourceType": given["resourceType"], "Expression": expression}}
    plain_ones: dict[str, Any] = pascal({k: v for k, v in given.items() if k != "wildcard"})
    every = {"TableWildcard": {}} if given.get("wildcard") else {}
    return {kind[0].upper() + kind[1:]: plain_ones | every}


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
