"""A stack's resources as a graph: looked up by what others call them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Final

from policies.values import UndecidedError, Values

_ARN: Final = re.compile(r"arn:(aws[\w-]*):[\w-]+:([a-z0-9-]+):(\d{12}):")


@dataclass(frozen=True)
class Resource:
    """A resource with what it was given and, where it is there, what AWS has made of it."""

    type: str
    name: str
    values: Values
    protect: bool = False
    retain: bool | None = None
    """None where it is not known: the engine does not tell it."""
    urn: str = ""

    @property
    def kind(self) -> str:
        """The type alone, such as ``Job``."""
        return self.type.rpartition(":")[2]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, default: Any = None) -> Any:
        """A value, or the default where none was given."""
        return self.values.get(key, default)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Graph:
    """All resources of a stack."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)

    def of(self, kind: str) -> list[Resource]:
        """Those of a type such as ``Job``."""
        return self._kinds.get(kind, [])

    def by(self, kind: str, key: str) -> dict[str, Resource]:
        """Those of a type by one of their values, such as a bucket's name."""
        return {r[key]: r for r in self.of(kind) if key in r}

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in the account and region of this stack."""
        partition, region, account = self._home
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    @property
    def account(self) -> str:
        """The number of the account of this stack."""
        return self._home[2]

    @cached_property
    def default_tags(self) -> Mapping[str, str]:
        """What the provider tags all that it makes with."""
        return {k: v for provider in self.of("aws") for k, v in tags(provider).items()}

    @cached_property
    def keys_of_buckets(self) -> Mapping[str, str]:
        """The key of each bucket that has one, by the bucket's name."""
        return {
            found["bucket"]: given["kmsMasterKeyId"]
            for found in self.of("BucketServerSideEncryptionConfiguration")
            for rule in found["rules"]
            if "kmsMasterKeyId" in (given := rule.get("applyServerSideEncryptionByDefault", {}))
        }

    def key_statements(self, arn: str | None) -> list[dict[str, Any]]:
        """The statements of the policy of the key with this ARN; none of a key of another's."""
        key = self.by("Key", "arn").get(arn or "")
        return statements(key["policy"]) if key else []

    def grants(self, role: str) -> Iterator[tuple[str, str]]:
        """Each action and resource that a role's own policies allow."""
        for policy in self.of("RolePolicy"):
            if policy["role"] == role:
                for statement in statements(policy["policy"]):
                    if statement["Effect"] == "Allow":
                        for action in listed(statement.get("Action", [])):
                            for resource in listed(statement.get("Resource", [])):
                                yield action, resource

    def may(self, role: str, action: str, resource: str) -> bool:
        """Whether a role's own policies allow an action on a resource."""
        return any(
            fnmatchcase(action, allowed) and fnmatchcase(resource, pattern)
            for allowed, pattern in self.grants(role)
        )

    @cached_property
    def _kinds(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.kind, []).append(resource)
        return found

    @cached_property
    def _home(self) -> tuple[str, str, str]:
        for resource in self.resources:
            for text in resource.values.texts():
                if found := _ARN.match(text):
                    return found[1], found[2], found[3]
        raise UndecidedError("the account")


@lru_cache(maxsize=512)
def statements(policy: str) -> list[dict[str, Any]]:
    """The statements of a policy."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def listed(value: str | Sequence[str]) -> list[str]:
    """A policy's one or many."""
    return [value] if isinstance(value, str) else list(value)


def called(arn: str) -> str:
    """What an ARN, or an address of a queue, names."""
    return re.split("[:/]", arn)[-1]


def allows_service(found: Sequence[Mapping[str, Any]], service: str, *actions: str) -> bool:
    """Whether statements allow a service these actions, all of them."""
    return all(
        any(
            s["Effect"] == "Allow"
            and f"{service}.amazonaws.com" in services(s)
            and any(fnmatchcase(action, pattern) for pattern in listed(s["Action"]))
            for s in found
        )
        for action in actions
    )


def everybody(statement: Mapping[str, Any]) -> bool:
    """Whether a statement is about everybody."""
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, Mapping) and principal.get("AWS") == "*")


def tags(provider: Resource) -> Mapping[str, str]:
    """The default tags of a provider, whose settings the engine keeps as JSON."""
    given = provider.get("defaultTags", "{}")
    found: Mapping[str, str] = (json.loads(given) if isinstance(given, str) else given).get(
        "tags", {}
    )
    return found


def services(statement: Mapping[str, Any]) -> list[str]:
    """The services that a statement is about."""
    principal = statement.get("Principal")
    return listed(principal.get("Service", [])) if isinstance(principal, Mapping) else []
