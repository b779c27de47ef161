"""Rules of Lake Formation, which decides what people see of the tables that jobs write by IAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called
from policies.rule import each, stack

EVERYBODY: Final = "IAM_ALLOWED_PRINCIPALS"
"""Lake Formation's name for whoever IAM lets in."""


@each("Permissions")
def the_lake_is_granted_to_named_roles(grant: Resource, graph: Graph) -> Iterator[str]:
    """Lake Formation has names for everybody; a grant to them undoes every other on a table."""
    if grant["principal"] not in graph.by("Role", "arn"):
        yield f"granted to {grant['principal']}; name a role of the stack"


@each("Resource")
def locations_stay_open_to_jobs(location: Resource, _graph: Graph) -> Iterator[str]:
    """Without hybrid access Lake Formation refuses every job, and Spark streaming altogether."""
    if location.get("hybridAccessEnabled") is not True:
        yield "governs everybody; set hybrid_access_enabled=True"


@each("Resource")
def locations_have_a_role_of_ours(location: Resource, _graph: Graph) -> Iterator[str]:
    """The service's own role can neither use a layer's key nor be set to hybrid access later."""
    if "roleArn" not in location:
        yield "is read under the service's own role; give it one that may use the layer's key"


@each("OptIn")
def jobs_are_not_opted_in(opted: Resource, graph: Graph) -> Iterator[str]:
    """A streaming job cannot read under Lake Formation's credentials."""
    jobs = {job["roleArn"] for job in graph.of("Job")}
    for principal in opted["principals"]:
        role = principal["dataLakePrincipalIdentifier"]
        if role in jobs:
            yield f"opts the job's role {role} in; leave jobs to IAM"


@stack
def who_is_granted_by_tags_is_opted_in(graph: Graph) -> Iterator[str]:
    """Who is not opted in is let in by IAM, whatever the tags say."""
    people = {grant["principal"] for grant in graph.of("Permissions") if "lfTagPolicy" in grant}
    databases = {tags["database"]["name"] for tags in graph.of("ResourceLfTags")}
    opted = set(_opted(graph))
    for person in sorted(people):
        for database in sorted(databases):
            for kind in ("database", "table"):
                if (person, kind, database) not in opted:
                    yield f"{person} is not opted in to the {kind} of {database}; opt it in"


def _opted(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Who is opted in to a database as such, or to all of its tables."""
    for found in graph.of("OptIn"):
        for principal in found["principals"]:
            who = principal["dataLakePrincipalIdentifier"]
            for resource in found["resourceDatas"]:
                if "database" in resource:
                    yield who, "database", resource["database"]["name"]
                if resource.get("table", {}).get("wildcard"):
                    yield who, "table", resource["table"]["databaseName"]


@each("Permissions")
def jobs_see_whole_tables(grant: Resource, graph: Graph) -> Iterator[str]:
    """Fine-grained access blocks streaming, writes, custom sources and extra jars."""
    role, part = called(grant["principal"]), grant.get("dataCellsFilter") or _columns(grant)
    if part and role in {called(job["roleArn"]) for job in graph.of("Job")}:
        yield f"job role {role} would see a part; let IAM alone decide"


@each("DataLakeSettings")
def new_tables_are_open_to_jobs(settings: Resource, _graph: Graph) -> Iterator[str]:
    """Hybrid access rests on the default; Pulumi cannot clear it, nor say what absence means."""
    for part in ("createDatabaseDefaultPermissions", "createTableDefaultPermissions"):
        if EVERYBODY not in {p.get("principal") for p in settings.get(part, [])}:
            yield f"{part} leave {EVERYBODY} out; state it"


@each("DataLakeSettings")
def the_lake_has_administrators(settings: Resource, _graph: Graph) -> Iterator[str]:
    """Without one nobody can grant anything any more."""
    if not settings.get("admins"):
        yield "nobody administers the lake; name who runs pulumi up"


def _columns(grant: Resource) -> bool:
    table = grant.get("tableWithColumns", {})
    return bool(table) and table.get("wildcard") is not True
