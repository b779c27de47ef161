"""What a stack's resources must be to each other on real AWS, which no emulator shows.

A rule is a function of the resources that says in a line each what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from localaws.apply import Recorded

WEEK_MINUTES: Final = 7 * 24 * 60
POLICY_LIMIT: Final = 10_240
"""Characters of a role's inline policies. Source: IAM quotas."""
KEEPING: Final = ("artifacts", "bronze", "gold", "landing", "ledger", "silver", "verdicts")
ONCE: Final = {
    "ledger": ("flights/plans/1.json", "flights/claims/1/0.json"),
    "verdicts": ("dataset=flights/1.json", "approvals/flights/1.json"),
}
"""Buckets whose objects are records: written once, never replaced or removed by a role. Keys of
each kind of them."""


class Graph:
    """A stack's resources, to be looked up by what others call them."""

    def __init__(self, resources: Sequence[Recorded]) -> None:
        self.resources = resources

    def of(self, kind: str) -> dict[str, Recorded]:
        """Those of a type such as ``Job``, by name."""
        return {r.name: r for r in self.resources if r.type.endswith(f":{kind}")}

    def key_statements(self, arn: str) -> list[dict[str, Any]]:
        """The statements of the policy of the key with this ARN."""
        key = self.of("Key").get(arn.rpartition("/")[2])
        return statements(key.inputs["policy"]) if key else []

    def grants(self, role: str) -> Iterator[tuple[str, str]]:
        """Each action and resource that a role's policies allow."""
        for policy in self.of("RolePolicy").values():
            if policy.inputs["role"] == role:
                for statement in statements(policy.inputs["policy"]):
                    for action in listed(statement["Action"]):
                        for resource in listed(statement["Resource"]):
                            yield action, resource

    def may(self, role: str, action: str, resource: str) -> bool:
        """Whether a role's policies allow an action on a resource."""
        return any(
            fnmatchcase(action, allowed) and fnmatchcase(resource, pattern)
            for allowed, pattern in self.grants(role)
        )


Rule = Callable[[Graph], Iterator[str]]
RULES: Final[list[Rule]] = []


def rule(check: Rule) -> Rule:
    """Register a rule."""
    RULES.append(check)
    return check


def findings(resources: Sequence[Recorded]) -> list[str]:
    """What every rule finds, each line with the rule's name."""
    graph = Graph(resources)
    return [f"{check.__name__}: {line}" for check in RULES for line in check(graph)]


def statements(policy: str) -> list[dict[str, Any]]:
    """The statements of a policy."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def listed(value: str | list[str]) -> list[str]:
    """A policy's one or many."""
    return [value] if isinstance(value, str) else value


def allows_service(found: Sequence[Mapping[str, Any]], service: str, *actions: str) -> bool:
    """Whether statements allow a service these actions, all of them, for the account or by ARN."""
    return all(
        any(
            s["Effect"] == "Allow"
            and isinstance(s["Principal"], Mapping)
            and f"{service}.amazonaws.com" in listed(s["Principal"].get("Service", []))
            and any(fnmatchcase(action, pattern) for pattern in listed(s["Action"]))
            for s in found
        )
        for action in actions
    )
