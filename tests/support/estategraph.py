"""The renderings as the house rules see a stack: what was given, and what AWS would answer."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from typing import Any

from support.rendered import CONTRACTS, account

from localaws.apply import Recorded, render, stack_config
from localaws.handlers import reference
from policies.graph import Graph, Resource
from policies.values import Values

PROVIDER = "pulumi:providers:aws"
STREAMING = {"continuous": True, "maintenance_window": "Sun:10"}
_ROLE = "arn:aws:iam::123456789012:role/acme-lakehouse-prod-"
MORE = [
    Recorded(type_, name, inputs, "", protect=False, retain=False)
    for type_, name, inputs in (
        ("aws:glue/schema:Schema", "radar", {"schemaName": "radar", "compatibility": "BACKWARD"}),
        ("aws:glue/catalogTableOptimizer:CatalogTableOptimizer", "flights", {"type": "compaction"}),
        (
            "aws:lakeformation/permissions:Permissions",
            "analyst",
            {
                "principal": f"{_ROLE}analyst",
                "permissions": ["SELECT"],
                "tableWithColumns": {"databaseName": "gold", "columnNames": ["carrier"]},
            },
        ),
    )
]
"""Types that a rule is about and that no stack has yet."""


def properties(resource: Recorded) -> dict[str, Any]:
    """The outputs of a resource: its inputs, and its id and ARN with its name in them."""
    if resource.type == PROVIDER:
        return dict(resource.inputs)
    made, outputs = reference(resource.type, resource.name, resource.inputs)
    return {"id": made, **outputs, **resource.inputs}


def graph(resources: Sequence[Recorded]) -> Graph:
    return Graph(
        Resource(r.type, r.name, Values(properties(r)), r.protect, r.retain) for r in resources
    )


@functools.cache
def _everything() -> tuple[Recorded, ...]:
    jobs = {"jobs": {"python_requirements": "jobs/requirements.txt", "ingest": STREAMING}}
    resources = [*render("prod", CONTRACTS, jobs), *account(), *MORE, provider("prod")]
    return tuple(resources)


def everything() -> list[Recorded]:
    """Prod with a job that streams, the account's settings, and types that no stack has yet."""
    return copy.deepcopy(list(_everything()))


def provider(stack: str) -> Recorded:
    """The provider with which a stack is built, which tags all that it makes."""
    config = {
        key.removeprefix("aws:"): value if isinstance(value, str) else json.dumps(value)
        for key, value in stack_config(stack).items()
        if key.startswith("aws:")
    }
    return Recorded(PROVIDER, "default", config, "", protect=False, retain=False)
