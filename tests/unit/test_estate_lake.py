"""Who sees which column, and which job makes which table, as Lake Formation would decide it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from support.estategraph import graph
from support.lakeformation import LakeFormation
from support.rendered import CONTRACTS, changed, estate, of, planted, with_radar

from estate.access.audiencepolicies import AUDIENCES, Audience
from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError
from lakehouse.naming import LAYERS, Layer
from lakehouse.tables import column_classes, iceberg_schema
from lakehouse.tagging import CLASSIFICATION
from localaws.apply import Recorded, render, stack_config
from policies.graph import Graph
from policies.values import texts

GOVERNED: Final = ("dev", "staging", "prod")
PEOPLE: Final = """\
apiVersion: v3.1.0
kind: DataContract
id: people
version: 1.0.0
status: active
team: {name: crews}
customProperties:
  - {property: source, value: stream}
  - property: deduplicate
    value: {key: [person], deletes: {field: op, values: [D]}, history: true}
schema:
  - name: people
    properties:
      - {name: person, logicalType: string, primaryKey: true, classification: internal}
      - {name: base, logicalType: string, classification: public}
      - {name: op, logicalType: string}
      - {name: name, logicalType: string, classification: PII}
      - {name: salary, logicalType: integer, classification: confidential}
      - {name: illness, logicalType: string, classification: restricted}
"""
Plant = Callable[[list[Recorded]], list[Recorded]]


@functools.cache
def people(folder: Path) -> Contract:
    path = folder / "people.yaml"
    path.write_text(PEOPLE, encoding="utf-8")
    return load_contracts(folder)["people"]


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> list[Contract]:
    """The repository's, and one with a column of every class."""
    return [*load_contracts(CONTRACTS).values(), people(tmp_path_factory.mktemp("people"))]


def lake(stack: str, resources: list[Recorded] | None = None) -> LakeFormation:
    prefix = stack_config(stack)["lakehouse:platform"]["prefix"]
    return LakeFormation(estate(stack) if resources is None else resources, prefix)


def columns(contracts: list[Contract]) -> Iterator[tuple[Contract, Layer, str, str | None]]:
    """Every column of every table, with its class if it has one."""
    for contract in contracts:
        for layer in contract.layers:
            classes = column_classes(contract, layer)
            for field in iceberg_schema(contract, layer).fields:
                yield contract, layer, field.name, classes.get(field.name)


def visible(audience: Audience, layer: Layer, contract: Contract, column: str) -> bool:
    """Whether an audience ought to see the values of a column, told from the contract alone."""
    if audience == "engineer":
        return True
    if audience == "auditor" or layer == "bronze":
        return False
    said = {f.name: f.classification.lower() for f in contract.fields}
    return said.get(column, "internal") in {"public", "internal"}


def mistaken(decides: LakeFormation, contracts: list[Contract]) -> list[str]:
    """Every column that an audience sees and ought not to, or the other way round."""
    found = []
    for contract, layer, column, given in columns(contracts):
        own = {CLASSIFICATION: given} if given else {}
        for audience in AUDIENCES:
            sees = decides.on_column(audience, "SELECT", layer, contract.dataset, own)
            if sees != visible(audience, layer, contract, column):
                verb = "sees" if sees else "does not see"
                found.append(f"{audience} {verb} {layer}.{contract.dataset}.{column}")
    return found


@pytest.mark.parametrize("stack", GOVERNED)
def test_every_audience_sees_the_columns_that_it_ought_to(
    stack: str, contracts: list[Contract]
) -> None:
    assert len(list(columns(contracts))) > 150
    assert mistaken(lake(stack), contracts) == []


@pytest.mark.parametrize(
    ("audience", "layer", "column", "sees"),
    [
        ("analyst", "silver", "base", True),
        ("analyst", "silver", "person", True),
        ("analyst", "silver", "_valid_from", True),
        ("analyst", "silver", "name", False),
        ("analyst", "silver", "salary", False),
        ("analyst", "silver", "illness", False),
        ("analyst", "bronze", "base", False),
        ("analyst", "bronze", "_payload", False),
        ("analyst", "bronze", "_reject", False),
        ("auditor", "silver", "name", False),
        ("auditor", "silver", "base", False),
        ("auditor", "bronze", "_payload", False),
        ("engineer", "bronze", "_payload", True),
        ("engineer", "silver", "name", True),
        ("engineer", "silver", "illness", True),
    ],
)
def test_a_column_is_shown_or_hidden(
    audience: Audience, layer: Layer, column: str, sees: bool, contracts: list[Contract]
) -> None:
    given = column_classes(contracts[-1], layer).get(column)
    own = {CLASSIFICATION: given} if given else {}

    for stack in GOVERNED:
        assert lake(stack).on_column(audience, "SELECT", layer, "people", own) is sees


@pytest.mark.parametrize("stack", GOVERNED)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_nobody_has_classified_is_for_engineers_alone(stack: str, layer: Layer) -> None:
    decides = lake(stack)

    sees = {a for a in AUDIENCES if decides.on_column(a, "SELECT", layer, "just_made")}

    assert sees == {"engineer"}


@pytest.mark.parametrize("stack", GOVERNED)
def test_auditors_are_told_of_every_column_and_read_the_gates_history(stack: str) -> None:
    decides = lake(stack)

    for layer in LAYERS:
        assert decides.on_database("auditor", "DESCRIBE", layer)
        assert decides.on_column("auditor", "DESCRIBE", layer, "x", {CLASSIFICATION: "pii"})
    assert decides.on_column("auditor", "SELECT", "governance", "verdicts")
    assert decides.on_column("engineer", "SELECT", "governance", "verdicts")
    assert not decides.on_column("analyst", "SELECT", "governance", "verdicts")


@pytest.mark.parametrize("stack", GOVERNED)
def test_analysts_are_not_even_told_of_what_is_hidden(stack: str) -> None:
    decides = lake(stack)

    assert not decides.on_column("analyst", "DESCRIBE", "silver", "x", {CLASSIFICATION: "pii"})
    assert not decides.on_database("analyst", "DESCRIBE", "bronze")


@pytest.mark.parametrize("stack", GOVERNED)
@pytest.mark.parametrize("permission", ["ALTER", "CREATE_TABLE", "DELETE", "DROP", "INSERT"])
def test_no_audience_changes_anything(stack: str, permission: str) -> None:
    decides = lake(stack)

    for audience in AUDIENCES:
        for layer in LAYERS:
            assert not decides.on_database(audience, permission, layer)
            assert not decides.on_column(
                audience, permission, layer, "x", {CLASSIFICATION: "public"}
            )


def tags(layer: str, key: str, value: str) -> Plant:
    """Another value of a database's tag."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        given = of(found, "ResourceLfTags")[layer].inputs["lfTags"]
        assert key in {tag["key"] for tag in given}
        wrong = [tag | {"value": value} if tag["key"] == key else tag for tag in given]
        return planted(found, "ResourceLfTags", layer, lfTags=wrong)

    return plant


def policy(name: str, path: str, wrong: Any) -> Plant:
    return lambda found: changed(found, "Permissions", name, f"lfTagPolicy.{path}", wrong)


def also(name: str, other: str, /, **wrong: Any) -> Plant:
    """One more grant, like that of another name."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        like = of(found, "Permissions")[name]
        return [*found, replace(like, name=other, inputs={**like.inputs, **wrong})]

    return plant


MISTAKES: Final[dict[str, Plant]] = {
    "analyst sees silver.people.name": policy(
        "analyst-tables", "expressions.1.values", ["internal", "pii", "public"]
    ),
    "analyst sees silver.people.salary": policy(
        "analyst-tables", "expressions", [{"key": "layer", "values": ["silver", "gold"]}]
    ),
    "analyst sees bronze.people.base": policy(
        "analyst-tables", "expressions.0.values", ["bronze", "silver", "gold"]
    ),
    "analyst sees bronze.flights._payload": also(
        "analyst-tables",
        "twin",
        lfTagPolicy={
            "resourceType": "TABLE",
            "expressions": [{"key": "classification", "values": ["unclassified"]}],
        },
    ),
    "analyst does not see silver.flights.carrier": policy(
        "analyst-tables", "resourceType", "DATABASE"
    ),
    "analyst does not see gold.carrier_on_time.name": policy(
        "analyst-tables", "expressions.0.values", ["silver"]
    ),
    "auditor sees silver.people.illness": lambda found: planted(
        found, "Permissions", "auditor-tables", permissions=["DESCRIBE", "SELECT"]
    ),
    "engineer does not see bronze.people.name": policy(
        "engineer-tables", "expressions.0.values", ["silver", "gold"]
    ),
    "analyst sees bronze.people.op": tags("bronze", "layer", "silver"),
}
"""What is planted, under one of the columns that come to be seen or hidden by it."""


@pytest.mark.parametrize("line", MISTAKES)
def test_a_planted_mistake_is_found(line: str, contracts: list[Contract]) -> None:
    wrong = lake("prod", MISTAKES[line](estate("prod")))

    assert line in mistaken(wrong, contracts)


def test_a_database_that_is_open_by_itself_shows_what_nobody_has_classified() -> None:
    wrong = lake("prod", tags("silver", CLASSIFICATION, "internal")(estate("prod")))

    assert wrong.on_column("analyst", "SELECT", "silver", "just_made")


def test_a_value_without_tag_is_no_tag() -> None:
    with pytest.raises(ValueError, match="there is no tag classification=secret"):
        lake("prod").on_column("analyst", "SELECT", "silver", "x", {CLASSIFICATION: "secret"})


def test_a_classification_without_tag_stops_the_program(tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    text = PEOPLE.replace("classification: PII", "classification: Secret")
    (folder / "people.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(EstateError, match=r"'name' has classification 'Secret'; expected one of"):
        render("dev", folder)
    render(
        "dev",
        folder,
        {"lake_formation": {"classifications": ["secret", "confidential", "restricted"]}},
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["public"], "none of public, internal and unclassified"),
        (["unclassified"], "none of public, internal and unclassified"),
        (["pii", "pii"], "each once"),
        (["PII"], "String should match pattern"),
        ([], "at least 1 item"),
    ],
)
def test_classifications_are_checked(given: list[str], message: str) -> None:
    with pytest.raises(EstateError, match=message):
        render("dev", CONTRACTS, {"lake_formation": {"classifications": given}})


def iam(found: Graph, role: str, action: str, layer: Layer) -> set[str]:
    """Of some datasets, those on whose table of a layer a role's policy allows an action."""
    return {
        dataset
        for dataset in ("flights", "radar", "another")
        if found.may(role, action, found.arn("glue", f"table/{layer}/{dataset}"))
    }


JOBS: Final = ("ingest-main", "ingest-radar", "land", "promote", "marts", "operate", "maintain")


@pytest.mark.parametrize("stack", GOVERNED)
def test_a_job_may_do_to_a_table_what_its_policy_lets_it_and_no_more(
    stack: str, tmp_path: Path
) -> None:
    resources = with_radar(stack, "radar", tmp_path)
    found, decides = graph(resources), lake(stack, resources)
    prefix = stack_config(stack)["lakehouse:platform"]["prefix"]
    assert set(of(resources, "Job")) == set(JOBS)
    for job in JOBS:
        for layer in LAYERS:
            bucket = f"arn:aws:s3:::{prefix}-{layer}"
            for action, granted in {
                "glue:CreateTable": decides.on_database(job, "CREATE_TABLE", layer)
                and decides.at_location(job, bucket),
                "glue:UpdateTable": decides.on_column(job, "ALTER", layer, "x")
                and decides.at_location(job, bucket),
                "glue:GetTable": decides.on_column(job, "DESCRIBE", layer, "x")
                and decides.on_column(job, "SELECT", layer, "x"),
            }.items():
                allowed = iam(found, f"{prefix}-{job}", action, layer)
                # No table can be named before it is there: which of a layer's, IAM says.
                assert granted is bool(allowed), (job, layer, action)


@pytest.mark.parametrize("stack", GOVERNED)
def test_who_makes_or_rebuilds_tables_may_tag_them_and_nobody_else(stack: str) -> None:
    decides, found = lake(stack), graph(estate(stack))
    prefix = stack_config(stack)["lakehouse:platform"]["prefix"]
    for job in set(JOBS) - {"ingest-radar"}:
        for layer in LAYERS:
            tags = job == "operate" or decides.on_database(job, "CREATE_TABLE", layer)
            assert decides.may_tag(job, layer, "x", CLASSIFICATION, "pii") is tags
            assert not decides.may_tag(job, layer, "x", CLASSIFICATION, "unclassified")
            assert not decides.may_tag(job, layer, "x", "layer", "silver")
            database = found.arn("glue", f"database/{layer}")
            assert found.may(f"{prefix}-{job}", "glue:GetDatabase", database) is tags
        for call in ("AddLFTagsToResource", "GetResourceLFTags"):
            tags_columns = job != "maintain"
            assert found.may(f"{prefix}-{job}", f"lakeformation:{call}", "*") is tags_columns
    for audience in AUDIENCES:
        assert not decides.may_tag(audience, "silver", "x", CLASSIFICATION, "public")


@pytest.mark.parametrize("stack", GOVERNED)
def test_nobody_of_the_estate_grants_registers_or_administers(stack: str) -> None:
    allowed = {
        action
        for policy in of(estate(stack), "RolePolicy").values()
        for action, _ in graph(estate(stack)).grants(policy.inputs["role"])
        if action.startswith("lakeformation:") or action == "*"
    }

    assert allowed == {
        "lakeformation:AddLFTagsToResource",
        "lakeformation:GetDataAccess",
        "lakeformation:GetResourceLFTags",
    }


@pytest.mark.parametrize("stack", GOVERNED)
def test_jobs_are_told_to_tag(stack: str) -> None:
    for job in of(estate(stack), "Job").values():
        assert job.inputs["defaultArguments"]["--lake-formation"] == "true"


def test_without_it_there_is_nothing_of_lake_formation() -> None:
    assert not any("lakeformation" in r.type for r in estate("local"))
    assert not any(
        "lakeformation" in text or text == "--lake-formation"
        for r in estate("local")
        if not r.type.endswith("BucketObjectv2")
        for text in texts(r.inputs)
    )
    for job in of(estate("local"), "Job").values():
        assert "--lake-formation" not in job.inputs["defaultArguments"]


@pytest.mark.parametrize("stack", GOVERNED)
def test_lake_formation_reads_the_layers_and_writes_nothing(stack: str) -> None:
    prefix = stack_config(stack)["lakehouse:platform"]["prefix"]
    granted = set(graph(estate(stack)).grants(f"{prefix}-lake-formation"))

    assert {action for action, _ in granted} == {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}
    buckets = {f"arn:aws:s3:::{prefix}-{layer}" for layer in LAYERS}
    assert {r.removesuffix("/*") for _, r in granted if ":s3:" in r} == buckets
    assert lake(stack).locations == buckets
