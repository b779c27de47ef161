"""Who is granted what in Lake Formation, as pure functions of the configuration.

A tag on each database says which layer it is, and that what stands in it is not classified; the
jobs classify the columns that they make. People are granted by these tags. Jobs reach objects by
IAM alone; hybrid access mode still asks who may make and change tables, and, where the account
opens no table to all, who may look at them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from estate.access.audiencepolicies import Audience
from estate.access.grants import Statement, allow
from estate.account import Account
from lakehouse.contracts.model import OPEN_CLASSIFICATIONS, Contract
from lakehouse.errors import EstateError
from lakehouse.naming import LAYERS, Layer
from lakehouse.tagging import CLASSIFICATION, UNCLASSIFIED

LAYER: Final = "layer"
"""Key of the tag that says which layer a database is."""
CHECKED: Final[tuple[Layer, ...]] = ("silver", "gold")


@dataclass(frozen=True)
class TagGrant:
    """Permissions on all databases or tables whose tags have one of the values of every key."""

    kind: Literal["DATABASE", "TABLE"]
    permissions: tuple[str, ...]
    expression: Mapping[str, tuple[str, ...]]


TO_READ: Final = ("DESCRIBE", "SELECT")
TO_CHANGE: Final = ("ALTER", *TO_READ)
"""What a job needs that commits to tables, whoever made them."""
TO_TAG: Final = ("ALTER", "DELETE", "DESCRIBE", "DROP", "INSERT", "SELECT")
"""What a job needs, with the right to grant it, to tag columns of a table that another job made.

Source: requirements for managing tags assigned to resources, Lake Formation's developer guide. No
job may grant, or drop a table: IAM gives it no such call.
"""


@dataclass(frozen=True)
class TableGrant:
    """Permissions of a job on a layer's tables, those to come included."""

    layer: Layer
    tables: tuple[str, ...]
    makes: bool = False
    """Whether it makes tables."""

    @property
    def tags(self) -> bool:
        """Whether it tags columns, of tables that it makes or finds."""
        return self.tables == TO_TAG

    @property
    def changes(self) -> bool:
        """Whether it commits to tables."""
        return "ALTER" in self.tables


_JOBS: Final[Mapping[str, tuple[TableGrant, ...]]] = {
    "ingest": (TableGrant("bronze", TO_TAG, makes=True),),
    "land": (TableGrant("bronze", TO_TAG, makes=True),),
    "promote": (TableGrant("bronze", TO_READ), TableGrant("silver", TO_TAG, makes=True)),
    "marts": (TableGrant("silver", TO_READ), TableGrant("gold", TO_TAG, makes=True)),
    # What it rebuilds is there; only bronze may be asked for before anything was loaded.
    "operate": tuple(TableGrant(layer, TO_TAG, makes=layer == "bronze") for layer in LAYERS),
    "maintain": tuple(TableGrant(layer, TO_CHANGE) for layer in LAYERS),
}
"""By job, the layers of its policy and no other."""


def tags(classifications: Iterable[str]) -> dict[str, list[str]]:
    """The tags by key, each with all its values."""
    values = {*OPEN_CLASSIFICATIONS, *classifications, UNCLASSIFIED}
    return {LAYER: list(LAYERS), CLASSIFICATION: sorted(values)}


def database_tags(layer: Layer) -> dict[str, str]:
    """The tags of a layer's database, which its tables and columns have unless they say otherwise.

    An unclassified column is opened to nobody but engineers.
    """
    return {LAYER: layer, CLASSIFICATION: UNCLASSIFIED}


def assignable(classifications: Iterable[str]) -> list[str]:
    """The classifications that a job may give to a column."""
    return sorted({*OPEN_CLASSIFICATIONS, *classifications})


def sees_history(audience: Audience) -> bool:
    """Whether an audience reads the gates' history, in which no value is unmasked."""
    return audience != "analyst"


def audience_grants(audience: Audience) -> list[TagGrant]:
    """What people of an audience see. Lake Formation hides a column or shows it; it masks none."""
    all_layers, checked = {LAYER: tuple(LAYERS)}, {LAYER: tuple(CHECKED)}
    if audience == "engineer":
        return [
            TagGrant("DATABASE", ("DESCRIBE",), all_layers),
            TagGrant("TABLE", TO_READ, all_layers),
        ]
    if audience == "analyst":
        open_ones = {CLASSIFICATION: tuple(sorted(OPEN_CLASSIFICATIONS))}
        return [
            TagGrant("DATABASE", ("DESCRIBE",), checked),
            TagGrant("TABLE", TO_READ, checked | open_ones),
        ]
    return [
        TagGrant("DATABASE", ("DESCRIBE",), all_layers),
        TagGrant("TABLE", ("DESCRIBE",), all_layers),
    ]


def job_grants(job: str) -> tuple[TableGrant, ...]:
    """What a job reads, makes and changes."""
    return _JOBS["ingest" if job.startswith("ingest-") else job]


def tags_columns(job: str) -> bool:
    """Whether a job tags columns."""
    return any(grant.tags for grant in job_grants(job))


def tagging(account: Account, job: str) -> list[Statement]:
    """The calls by which a job tags columns, and that on their database which goes with them.

    IAM has no resource for the calls themselves; Lake Formation's grants have.
    """
    calls = ["lakeformation:AddLFTagsToResource", "lakeformation:GetResourceLFTags"]
    databases = [f"database/{grant.layer}" for grant in job_grants(job) if grant.tags]
    return [
        allow("Tagging", calls, ["*"]),
        allow(
            "TaggedDatabases",
            ["glue:GetDatabase"],
            [account.arn("glue", name) for name in ("catalog", *databases)],
        ),
    ]


def check_classifications(contracts: Iterable[Contract], known: Iterable[str]) -> None:
    """EstateError for a classification that has no tag, with the contract that uses it."""
    allowed = assignable(known)
    for contract in contracts:
        for field in contract.fields:
            if field.classification.lower() not in allowed:
                raise EstateError(
                    f"{contract.path}: property {field.name!r} has classification "
                    f"{field.classification!r}; expected one of {', '.join(allowed)}, or add it "
                    "to lake_formation.classifications"
                )
