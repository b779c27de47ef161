"""Findings of policy checks that are accepted, each said with its reason beside the resource."""

from __future__ import annotations

from typing import Final, TypeVar

import pulumi

R = TypeVar("R", bound=pulumi.Resource)
Accepted = dict[tuple[str, str], dict[str, str]]
"""By a resource's type and name: the reason why each check may fail there."""

ACCEPTED: Final[Accepted] = {}
"""What the program has accepted since this was last cleared; only ``review`` reads it."""


def accepted(resource: R, **reasons: str) -> R:
    """The resource as it is, with the reason for each check that it may fail: ``CKV_AWS_18="..."``.

    Changes nothing of what is built. One that no stack needs any more fails the tests.
    """
    where = resource.pulumi_resource_type, resource.pulumi_resource_name
    ACCEPTED.setdefault(where, {}).update(reasons)
    return resource
