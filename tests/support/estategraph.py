"""The renderings as the house rules see a stack: what was given, and what AWS would answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from localaws.apply import Recorded, stack_config
from localaws.handlers import reference
from policies.graph import Graph, Resource
from policies.values import Values

PROVIDER = "pulumi:providers:aws"


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


def provider(stack: str) -> Recorded:
    """The provider with which a stack is built, which tags all that it makes."""
    config = {
        key.removeprefix("aws:"): value if isinstance(value, str) else json.dumps(value)
        for key, value in stack_config(stack).items()
        if key.startswith("aws:")
    }
    return Recorded(PROVIDER, "default", config, "", protect=False, retain=False)
