"""Rules of Athena's workgroups."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource
from policies.rule import each


@each("Workgroup")
def workgroups_bind(workgroup: Resource, _graph: Graph) -> Iterator[str]:
    """A client's own settings win where the workgroup does not enforce its own."""
    if workgroup.get("configuration", {}).get("enforceWorkgroupConfiguration") is not True:
        yield "a client may decide otherwise; set enforce_workgroup_configuration=True"


@each("Workgroup")
def queries_are_bounded(workgroup: Resource, _graph: Graph) -> Iterator[str]:
    """Athena is paid by the byte: one forgotten filter reads the whole table."""
    if not workgroup.get("configuration", {}).get("bytesScannedCutoffPerQuery"):
        yield "no query is too large; set bytes_scanned_cutoff_per_query"


@each("Workgroup")
def query_results_are_encrypted_by_the_estates_keys(found: Resource, graph: Graph) -> Iterator[str]:
    """Results are copies of gold and must be as closed as it is."""
    given = found.get("configuration", {}).get("resultConfiguration", {})
    given = given.get("encryptionConfiguration", {})
    if given.get("encryptionOption") != "SSE_KMS":
        yield f"results under {given.get('encryptionOption', 'no key')}; set SSE_KMS"
    elif given.get("kmsKeyArn") not in graph.by("Key", "arn"):
        yield f"key {given.get('kmsKeyArn')} is not declared; name one that is"
