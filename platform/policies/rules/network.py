"""Rules of the network."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource
from policies.rule import each


@each("Subnet")
def subnets_give_no_public_addresses(subnet: Resource, _graph: Graph) -> Iterator[str]:
    """What has a public address can be reached from the internet."""
    if subnet.get("mapPublicIpOnLaunch") is not False:
        yield "gives public addresses; set map_public_ip_on_launch=False"


@each("Connection", "Environment")
def what_runs_stands_in_private_subnets(user: Resource, graph: Graph) -> Iterator[str]:
    """A subnet whose way out is the internet's gateway can be reached from there."""
    tables = _tables(graph)
    public = {r["routeTableId"] for r in graph.of("Route") if "gatewayId" in r}
    for subnet in subnets(user):
        if subnet not in tables:
            yield f"in subnet {subnet}, which has no routes of its own; associate a table"
        elif tables[subnet] in public:
            yield f"in subnet {subnet}, which the internet reaches; take a private one"


@each("Connection", "Environment")
def s3_is_reached_by_the_gateway(user: Resource, graph: Graph) -> Iterator[str]:
    """By any other way every byte read from S3 is paid for."""
    tables = _tables(graph)
    gateways = {
        table
        for e in graph.of("VpcEndpoint")
        if e["vpcEndpointType"] == "Gateway"
        for table in e.get("routeTableIds", [])
    }
    for subnet in subnets(user):
        if subnet in tables and tables[subnet] not in gateways:
            yield f"subnet {subnet} leads to S3 by the paid way; add its table to the endpoint"


def subnets(user: Resource) -> list[str]:
    """The subnets in which a connection or an environment of Airflow stands."""
    if user.kind == "Connection":
        return [user["physicalConnectionRequirements"]["subnetId"]]
    found: list[str] = user["networkConfiguration"]["subnetIds"]
    return found


def _tables(graph: Graph) -> dict[str, str]:
    return {a["subnetId"]: a["routeTableId"] for a in graph.of("RouteTableAssociation")}
