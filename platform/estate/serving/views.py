"""Views in the catalog, as Athena keeps them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

_HIVE: Final = {"varchar": "string", "timestamp(3)": "timestamp", "integer": "int"}
"""Hive's names of Athena's types, where they differ."""


@dataclass(frozen=True)
class View:
    """A SELECT under a name; ``columns`` by Athena's types."""

    name: str
    description: str
    select: str
    columns: Mapping[str, str]


def presto_view(database: str, view: View) -> str:
    """The view's text in the catalog."""
    definition: dict[str, Any] = {
        "originalSql": view.select,
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [{"name": name, "type": kind} for name, kind in view.columns.items()],
    }
    return f"/* Presto View: {base64.b64encode(json.dumps(definition).encode()).decode()} */"


def make_view(database: aws.glue.CatalogDatabase, inside: str, view: View) -> None:
    """Declare a view in a database, whose name its text repeats."""
    aws.glue.CatalogTable(
        view.name,
        name=view.name,
        database_name=database.name,
        description=view.description,
        table_type="VIRTUAL_VIEW",
        parameters={"presto_view": "true", "comment": "Presto View"},
        storage_descriptor={
            "columns": [
                {"name": column, "type": _HIVE.get(kind, kind)}
                for column, kind in view.columns.items()
            ],
        },
        view_original_text=presto_view(inside, view),
        view_expanded_text="/* Presto View */",
        opts=pulumi.ResourceOptions(parent=database),
    )
