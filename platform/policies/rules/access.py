"""Rules of roles and what they may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called
from policies.rule import each
from policies.rules.tables import LAYERS

POLICY_LIMIT: Final = 10_240
"""Characters of a role's inline policies, all of them together. Source: IAM quotas."""


@each("Role")
def role_policies_fit(role: Resource, graph: Graph) -> Iterator[str]:
    """IAM refuses a role's inline policies beyond its limit."""
    own = [p["policy"] for p in graph.of("RolePolicy") if p["role"] == role["name"]]
    size = sum(len(re.sub(r"\s", "", policy)) for policy in own)
    if size > POLICY_LIMIT:
        yield f"{size} characters of policies, IAM takes {POLICY_LIMIT}; split the role"


@each("Role")
def dags_only_start_jobs(role: Resource, graph: Graph) -> Iterator[str]:
    """All DAGs have one role, so that what it may do, each of them may."""
    if "airflow" not in role["assumeRolePolicy"]:
        return
    for action, resource in graph.grants(role["name"]):
        layer = next((x for x in LAYERS if resource.split("/")[0].endswith(f"-{x}")), None)
        tables = re.match(r"glue:.*(Table|Database|Partition)|iam:|athena:", action)
        writes = re.match(r"s3:(Put|Delete)", action) and "-landing/" not in resource
        if layer or tables or writes:
            yield f"may {action} on {resource}; let a job do it"


@each("Environment")
def airflow_has_a_role_of_its_own(environment: Resource, graph: Graph) -> Iterator[str]:
    """Under a job's role every DAG could do what the job may."""
    role = called(environment["executionRoleArn"])
    if role in {called(job["roleArn"]) for job in graph.of("Job")}:
        yield f"runs under a job's role {role}; give it its own"
