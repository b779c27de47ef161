"""What an account and region have one of: Lake Formation's settings, the catalog, its databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lakehouse import naming
from lakehouse.doctor.account import Account, LackingError, RefusedError
from lakehouse.doctor.caller import caller
from lakehouse.doctor.finding import Finding
from lakehouse.doctor.need import Need

_EVERYBODY: Final = "IAM_ALLOWED_PRINCIPALS"
"""Lake Formation's name for all to whom IAM allows it."""
ACCOUNT_PROJECT: Final = "run 'pulumi up' in platform/account, which sets it"
"""The project of what an account has once."""


def administrators(account: Account, need: Need) -> Iterator[Finding]:
    """Who administers Lake Formation, and whether the deployer is among them."""
    settings = account.ask("lakeformation", "get_data_lake_settings")["DataLakeSettings"]
    admins = [admin["DataLakePrincipalIdentifier"] for admin in settings.get("DataLakeAdmins", [])]
    who = caller(account)
    if any(who.is_principal(admin) for admin in admins):
        yield Finding("lake formation", "ok", f"{who.name} is one of {len(admins)} administrators")
        return
    have = f"the administrators are {', '.join(admins)}" if admins else "it has no administrator"
    yield Finding(
        "lake formation",
        "fail" if need.uses("lakeformation") else "warn",
        f"{have}; {who.name}, who deploys, is none",
        f"put {who.name} into lake_administrators beside them; {ACCOUNT_PROJECT}",
    )


def defaults(account: Account, _: Need) -> Iterator[Finding]:
    """Whether new databases and tables are open to whom IAM lets in, as the jobs need it."""
    settings = account.ask("lakeformation", "get_data_lake_settings")["DataLakeSettings"]
    closed = [
        what
        for what, key in (
            ("databases", "CreateDatabaseDefaultPermissions"),
            ("tables", "CreateTableDefaultPermissions"),
        )
        if not any(_is_everybody(grant) for grant in settings.get(key, []))
    ]
    if closed:
        yield Finding(
            "default permissions",
            "fail",
            f"new {' and '.join(closed)} are closed to whom IAM lets in: the jobs, which work by "
            "IAM, would be refused",
            ACCOUNT_PROJECT,
        )
    else:
        yield Finding("default permissions", "ok", f"new tables are open by IAM ({_EVERYBODY})")


def _is_everybody(grant: dict[str, Any]) -> bool:
    principal = grant.get("Principal", {}).get("DataLakePrincipalIdentifier")
    return principal == _EVERYBODY and bool(grant.get("Permissions"))


def databases(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the databases are free, or this deployment's."""
    ours, free = [], []
    for name in need.databases:
        try:
            database = account.ask("glue", "get_database", Name=name)["Database"]
        except RefusedError as error:
            if error.code != "EntityNotFoundException":
                raise
            free.append(name)
            continue
        location = database.get("LocationUri", "")
        if location.startswith(f"s3://{need.prefix}-"):
            ours.append(name)
            continue
        yield Finding(
            "databases",
            "fail",
            f"database {name} is another deployment's, at {location or 'no location'}",
            "take another region or account: there is one deployment in each",
        )
    if free:
        yield Finding("databases", "ok", f"free: {', '.join(free)}")
    if ours:
        yield Finding("databases", "ok", f"already this deployment's: {', '.join(ours)}")


def catalog(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the catalog has settings that keep the jobs' roles out."""
    answer = account.ask("glue", "get_data_catalog_encryption_settings")
    rest = answer.get("DataCatalogEncryptionSettings", {}).get("EncryptionAtRest", {})
    mode, key = rest.get("CatalogEncryptionMode", "DISABLED"), rest.get("SseAwsKmsKeyId")
    if mode == "DISABLED":
        yield Finding("catalog", "ok", "metadata is not encrypted by a key of yours")
    else:
        yield Finding(
            "catalog",
            "warn",
            f"metadata is encrypted ({mode}) with {key or 'the key aws/glue'}",
            f"let the roles {need.prefix}-* use {key}, in its key policy"
            if key
            else "nothing, as long as it is AWS's own key",
        )
    try:
        policy = account.ask("glue", "get_resource_policy").get("PolicyInJson")
    except RefusedError as error:
        if error.code != "EntityNotFoundException":
            raise
        policy = None
    if policy:
        yield Finding(
            "catalog",
            "warn",
            "the catalog has a resource policy of its own",
            f"see that it lets the roles {need.prefix}-* in: aws glue get-resource-policy",
        )


def registry(account: Account, need: Need) -> Iterator[Finding]:
    """Whether the schema registry's name is free."""
    try:
        account.ask("glue", "get_registry", RegistryId={"RegistryName": need.prefix})
    except RefusedError as error:
        if error.code != "EntityNotFoundException":
            raise
        yield Finding("schema registry", "ok", f"{need.prefix} is free")
        return
    if deployed(account, need.prefix):
        yield Finding("schema registry", "ok", f"{need.prefix} is this deployment's")
        return
    yield Finding(
        "schema registry",
        "fail",
        f"a registry {need.prefix} exists, and no deployment of that prefix",
        f"aws glue delete-registry --registry-id RegistryName={need.prefix}, if nobody needs it",
    )


def deployed(account: Account, prefix: str) -> bool:
    """Whether the prefix was deployed here: its wanted release is there to be read."""
    from lakehouse.release import WANTED_KEY

    bucket = naming.bucket(prefix, "artifacts")
    try:
        account.ask("s3", "head_object", Bucket=bucket, Key=WANTED_KEY)
    except (RefusedError, LackingError):
        return False
    return True
