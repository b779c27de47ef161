"""Lake Formation's decisions, as its developer guide describes them: tags, expressions, grants.

A column has its own tags over those of its database. An expression matches where every key has one
of the values; keys are combined by and, values by or. A grant to nobody's column is no grant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localaws.apply import Recorded

Tags = Mapping[str, str]


class LakeFormation:
    """What a stack has declared of it. Roles are named without account and prefix."""

    def __init__(self, resources: Sequence[Recorded], prefix: str) -> None:
        self._prefix = f"{prefix}-"
        found = [r for r in resources if r.type.startswith("aws:lakeformation/")]
        self.values: dict[str, list[str]] = {
            r.inputs["key"]: r.inputs["values"] for r in _of(found, "LfTag")
        }
        self.databases: dict[str, Tags] = {
            r.inputs["database"]["name"]: {tag["key"]: tag["value"] for tag in r.inputs["lfTags"]}
            for r in _of(found, "ResourceLfTags")
        }
        for tags in self.databases.values():
            self._known(tags)
        self.locations = {r.inputs["arn"] for r in _of(found, "Resource")}
        self._grants: list[Mapping[str, Any]] = [r.inputs for r in _of(found, "Permissions")]

    def on_column(
        self, role: str, permission: str, database: str, table: str, own: Tags | None = None
    ) -> bool:
        """Whether a role has a permission on a column with tags of its own, or with none."""
        self._known(own or {})
        tags = {**self.databases.get(database, {}), **(own or {})}
        return any(
            _matches(grant.get("lfTagPolicy"), "TABLE", tags)
            or _is(grant.get("table"), database, table)
            for grant in self._of(role, permission)
        )

    def on_database(self, role: str, permission: str, database: str) -> bool:
        """Whether a role has a permission on a database as such."""
        return any(
            _matches(grant.get("lfTagPolicy"), "DATABASE", self.databases.get(database, {}))
            or grant.get("database", {}).get("name") == database
            for grant in self._of(role, permission)
        )

    def at_location(self, role: str, arn: str) -> bool:
        """Whether a role may have tables at a location, which has to be a registered one."""
        return arn in self.locations and any(
            grant.get("dataLocation", {}).get("arn") == arn
            for grant in self._of(role, "DATA_LOCATION_ACCESS")
        )

    def may_tag(self, role: str, database: str, table: str, key: str, value: str) -> bool:
        """Whether a role that did not make a table may tag its columns so.

        It has to have these permissions with the right to grant them.
        """
        needed = {"ALTER", "DELETE", "DESCRIBE", "DROP", "INSERT", "SELECT"}
        owns = any(
            _is(grant.get("table"), database, table)
            and needed <= set(grant.get("permissionsWithGrantOptions", ()))
            for grant in self._of(role, "ALTER")
        )
        return owns and any(
            grant.get("lfTag", {}).get("key") == key and value in grant["lfTag"]["values"]
            for grant in self._of(role, "ASSOCIATE")
        )

    def _of(self, role: str, permission: str) -> Iterable[Mapping[str, Any]]:
        for grant in self._grants:
            name = grant["principal"].rpartition("/")[2].removeprefix(self._prefix)
            if name == role and permission in grant["permissions"]:
                yield grant

    def _known(self, tags: Tags) -> None:
        for key, value in tags.items():
            if value not in self.values.get(key, ()):
                raise ValueError(f"there is no tag {key}={value}; declare it")


def _of(resources: Sequence[Recorded], kind: str) -> list[Recorded]:
    return [r for r in resources if r.type.endswith(f":{kind}")]


def _matches(policy: Mapping[str, Any] | None, kind: str, tags: Tags) -> bool:
    return (
        policy is not None
        and policy["resourceType"] == kind
        and all(tags.get(e["key"]) in e["values"] for e in policy["expressions"])
    )


def _is(table: Mapping[str, Any] | None, database: str, name: str) -> bool:
    return (
        table is not None
        and table["databaseName"] == database
        and (bool(table.get("wildcard")) or table.get("name") == name)
    )
