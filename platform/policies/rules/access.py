"""Rules of roles and what they may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, called, listed, services, statements
from policies.rule import each
from policies.rules.tables import LAYERS

WITHOUT_RESOURCES: Final = frozenset(
    {
        "athena:ListDataCatalogs",
        "athena:ListWorkGroups",
        "cloudwatch:PutMetricData",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcEndpoints",
        "glue:GetSchemaVersion",
        "glue:GetSecurityConfiguration",
        "lakeformation:AddLFTagsToResource",
        "lakeformation:GetDataAccess",
        "lakeformation:GetResourceLFTags",
        "logs:DescribeLogGroups",
        "s3:GetAccountPublicAccessBlock",
    }
)
"""Calls for which IAM knows no resource to name. Source: the service authorization reference."""
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


@each("RolePolicy")
def nobody_may_a_whole_service(policy: Resource, _graph: Graph) -> Iterator[str]:
    """What AWS adds to a service tomorrow, such a role may the same day."""
    for s in statements(policy["policy"]):
        whole = [a for a in listed(s.get("Action", [])) if re.fullmatch(r"\*|[\w-]+:\*", a)]
        if s["Effect"] == "Allow" and (whole or "NotAction" in s):
            yield f"statement {s.get('Sid')} allows {whole or 'all but some'}; name the actions"


@each("RolePolicy")
def stars_stand_where_iam_knows_no_resource(policy: Resource, _graph: Graph) -> Iterator[str]:
    """A grant on everything reaches what other teams have in the account."""
    for s in statements(policy["policy"]):
        if s["Effect"] != "Allow" or "*" not in listed(s.get("Resource", [])):
            continue
        wide = sorted(set(listed(s.get("Action", []))) - WITHOUT_RESOURCES)
        if wide:
            yield f"statement {s.get('Sid')} allows {', '.join(wide)} on *; name the resources"


@each("Role")
def services_come_from_this_account(role: Resource, _graph: Graph) -> Iterator[str]:
    """A service that works for another account could be sent to take the role."""
    for s in statements(role["assumeRolePolicy"]):
        asked = json.dumps(s.get("Condition", {}))
        # What Lake Formation's own page trusts has no condition, so a call may not carry it.
        senders = set(services(s)) - {"lakeformation.amazonaws.com"}
        if s["Effect"] == "Allow" and senders and "aws:SourceAccount" not in asked:
            yield "a service may take it for another account; ask for aws:SourceAccount"


@each("Role")
def people_are_named(role: Resource, _graph: Graph) -> Iterator[str]:
    """An account as principal is everybody in it whom IAM lets take roles."""
    for s in statements(role["assumeRolePolicy"]):
        asked = json.dumps(s.get("Condition", {}))
        if s["Effect"] == "Allow" and not services(s) and "aws:PrincipalArn" not in asked:
            yield f"anybody of {s.get('Principal')} may take it; ask for aws:PrincipalArn"


@each("RolePolicyAttachment", "User", "AccessKey")
def rights_are_declared_here(found: Resource, _graph: Graph) -> Iterator[str]:
    """AWS widens its own policies by itself, and a user's key is valid until somebody ends it."""
    if found.kind != "RolePolicyAttachment":
        yield "a login that does not end; give a role instead"
    elif ":iam::aws:policy/" in found["policyArn"]:
        yield f"AWS's own policy {called(found['policyArn'])}; write what is needed"


@each("Role")
def every_role_has_its_rights(role: Resource, graph: Graph) -> Iterator[str]:
    """A role without policies is a job that fails at its first call."""
    if not any(p["role"] == role["name"] for p in graph.of("RolePolicy")):
        yield "may nothing; give it a policy or take it away"
