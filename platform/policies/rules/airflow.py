"""Rules of Airflow on MWAA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource
from policies.rule import each

VERSION: Final = "3.2.1"
"""The Airflow that the DAGs are tested with."""
LOGS: Final = (
    "dagProcessingLogs",
    "schedulerLogs",
    "taskLogs",
    "webserverLogs",
    "workerLogs",
)
_WAYS_IN: Final = ("VpnGateway", "VpcPeeringConnection", "VpcAttachment", "TransitGatewayRoute")


@each("Environment")
def airflow_is_the_tested_one(environment: Resource, _graph: Graph) -> Iterator[str]:
    """Another Airflow has other providers, and the DAGs may not even load."""
    if environment.get("airflowVersion") != VERSION:
        yield f"Airflow {environment.get('airflowVersion', 'of the day')}; set it to {VERSION}"


@each("Environment")
def airflow_is_encrypted_by_the_estates_keys(found: Resource, graph: Graph) -> Iterator[str]:
    """Its database, queues and logs hold what tasks pass to each other."""
    if found.get("kmsKey") not in graph.by("Key", "arn"):
        yield f"key {found.get('kmsKey')} is not declared; name one that is"


@each("Environment")
def airflow_logs_everything(environment: Resource, _graph: Graph) -> Iterator[str]:
    """A log that is off cannot be read after the failure."""
    given = environment.get("loggingConfiguration", {})
    for log in LOGS:
        if given.get(log, {}).get("enabled") is not True:
            yield f"{log} are off; enable them"


@each("Environment")
def connections_are_secrets(environment: Resource, _graph: Graph) -> Iterator[str]:
    """Connections in Airflow's database can be read by whoever may open its page."""
    backend = environment.get("airflowConfigurationOptions", {}).get("secrets.backend", "")
    if not backend.endswith(".SecretsManagerBackend"):
        yield f"secrets backend {backend or 'none'}; set that of Secrets Manager"


@each("Environment")
def airflow_takes_new_requirements(environment: Resource, _graph: Graph) -> Iterator[str]:
    """MWAA installs another list only when it is told of the object's version."""
    for path, version in (
        ("requirementsS3Path", "requirementsS3ObjectVersion"),
        ("startupScriptS3Path", "startupScriptS3ObjectVersion"),
    ):
        if path in environment.values and version not in environment.values:
            yield f"{path} without {version}; name the version"


@each("Environment")
def airflow_is_private_where_there_is_a_way_in(found: Resource, graph: Graph) -> Iterator[str]:
    """A public page rests on IAM alone; who is in the network needs none."""
    ways = [str(way) for kind in _WAYS_IN for way in graph.of(kind)]
    if ways and found.get("webserverAccessMode") != "PRIVATE_ONLY":
        yield f"its page is public although {ways[0]} leads in; set webserver: PRIVATE_ONLY"


@each("Environment")
def airflow_stands_in_two_zones(environment: Resource, _graph: Graph) -> Iterator[str]:
    """MWAA takes two subnets of different zones, no more and no fewer."""
    found = environment["networkConfiguration"]["subnetIds"]
    if len(found) != 2:
        yield f"{len(found)} subnets, MWAA takes two of different zones; give it two"
