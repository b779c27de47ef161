"""Rules of Lake Formation, which decides what people see of the tables that jobs write by IAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called
from policies.rule import each

EVERYBODY: Final = "IAM_ALLOWED_PRINCIPALS"
"""Lake Formation's name for whoever IAM lets in."""


@each("Permissions")
def nobody_grants_to_whoever_iam_lets_in(grant: Resource, _graph: Graph) -> Iterator[str]:
    """Such a grant undoes every other on the same table."""
    if grant["principal"] == EVERYBODY:
        yield f"granted to {EVERYBODY}; name a role"


@each("Resource")
def locations_stay_open_to_jobs(location: Resource, _graph: Graph) -> Iterator[str]:
    """Without hybrid access Lake Formation refuses every job, and Spark streaming altogether."""
    if location.get("hybridAccessEnabled") is not True:
        yield "governs everybody; set hybrid_access_enabled=True"


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
