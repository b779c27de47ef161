"""What the doctor finds in Lake Formation, the catalog and the registry."""

from __future__ import annotations

from typing import Any

import pytest
from support.doctoring import ACCOUNT, ADMIN, NEED, WANTED, change, find, only
from support.fakeaccount import Answer

from lakehouse.doctor import (
    lake,
)


def settings(**values: Any) -> dict[str, Answer]:
    return {"lakeformation.get_data_lake_settings": {"DataLakeSettings": values}}


def test_a_deployer_who_administers_lake_formation_is_known_by_the_roles_name() -> None:
    found = only(lake.administrators, settings(DataLakeAdmins=[ADMIN]))
    assert (found.level, found.said) == ("ok", "deployer is one of 1 administrators")


@pytest.mark.parametrize(
    ("admins", "said"),
    [
        ([], "it has no administrator; deployer"),
        (
            [{"DataLakePrincipalIdentifier": f"arn:aws:iam::{ACCOUNT}:role/other"}],
            f"the administrators are arn:aws:iam::{ACCOUNT}:role/other; deployer",
        ),
    ],
)
def test_a_deployer_who_does_not_administer_lake_formation_stops_a_stack_that_uses_it(
    admins: list[Any], said: str
) -> None:
    answers = settings(DataLakeAdmins=admins)
    found = only(lake.administrators, answers)
    assert (found.level, found.said) == ("fail", f"{said}, who deploys, is none")
    assert found.mend.startswith("put deployer into lake_administrators beside them; ")
    assert only(lake.administrators, answers, change(services=("glue",))).level == "warn"


EVERYBODY = {
    "Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"},
    "Permissions": ["ALL"],
}


def test_defaults_that_shut_the_jobs_out_are_found() -> None:
    found = only(lake.defaults, settings(CreateDatabaseDefaultPermissions=[EVERYBODY]))
    assert found.level == "fail"
    assert found.said.startswith("new tables are closed to whom IAM lets in")
    assert found.mend == "run 'pulumi up' in platform/account, which sets it"
    found = only(lake.defaults, settings(CreateTableDefaultPermissions=[]))
    assert found.said.startswith("new databases and tables are closed")


def test_defaults_that_let_iam_decide_are_well() -> None:
    opened = {
        "CreateDatabaseDefaultPermissions": [EVERYBODY],
        "CreateTableDefaultPermissions": [EVERYBODY],
    }
    assert only(lake.defaults, settings(**opened)).level == "ok"


def database(name: str, location: str) -> dict[str, Answer]:
    return {f"glue.get_database {name}": {"Database": {"Name": name, "LocationUri": location}}}


def test_databases_that_nobody_has_are_free() -> None:
    found = only(lake.databases, {})
    assert (found.level, found.said) == ("ok", "free: bronze, silver, gold, governance")


def test_a_database_of_another_deployment_is_found() -> None:
    taken = database("silver", "s3://other-silver/")
    first, free = find(lake.databases, taken)
    assert (first.level, first.said) == (
        "fail",
        "database silver is another deployment's, at s3://other-silver/",
    )
    assert first.mend.startswith("take another region or account")
    assert free.said == "free: bronze, gold, governance"


def test_a_prefix_that_begins_like_ours_is_another_deployments() -> None:
    taken = database("silver", "s3://acmeother-silver/")
    assert find(lake.databases, taken)[0].level == "fail"


def test_databases_of_this_deployment_are_well() -> None:
    ours = {
        name: answer
        for layer in NEED.databases
        for name, answer in database(layer, f"s3://acme-{layer}/").items()
    }
    assert only(lake.databases, ours).said.startswith("already this deployment's: bronze")


def encryption(**rest: Any) -> dict[str, Answer]:
    answer = {"DataCatalogEncryptionSettings": {"EncryptionAtRest": rest}}
    return {"glue.get_data_catalog_encryption_settings": answer}


def test_a_catalog_without_settings_is_well() -> None:
    assert only(lake.catalog, encryption(CatalogEncryptionMode="DISABLED")).level == "ok"


def test_a_catalog_under_a_key_says_whom_the_key_has_to_let_in() -> None:
    found = only(
        lake.catalog, encryption(CatalogEncryptionMode="SSE-KMS", SseAwsKmsKeyId="key-of-theirs")
    )
    assert (found.level, found.mend) == (
        "warn",
        "let the roles acme-* use key-of-theirs, in its key policy",
    )


def test_a_catalogs_own_policy_is_found() -> None:
    answers = encryption(CatalogEncryptionMode="DISABLED")
    answers["glue.get_resource_policy"] = {"PolicyInJson": "{}"}
    _, found = find(lake.catalog, answers)
    assert (found.level, found.said) == ("warn", "the catalog has a resource policy of its own")


REGISTRY: dict[str, Answer] = {"glue.get_registry": {"RegistryName": "acme"}}


@pytest.mark.parametrize(
    ("answers", "level"), [({}, "ok"), (REGISTRY, "fail"), (REGISTRY | WANTED, "ok")]
)
def test_a_registry_of_the_name_is_this_deployments_or_in_the_way(
    answers: dict[str, Answer], level: str
) -> None:
    found = only(lake.registry, answers)
    assert found.level == level
    assert bool(found.mend) == (level == "fail")
