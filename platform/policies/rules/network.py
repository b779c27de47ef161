"""Rules of the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource
from policies.rule import each, stack

ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
NEEDED: Final = frozenset({"glue", "kinesis-streams", "kms", "logs", "monitoring", "sts"})
"""Services that every job calls."""


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
    return list(user["networkConfiguration"]["subnetIds"])


def _tables(graph: Graph) -> dict[str, str]:
    return {a["subnetId"]: a["routeTableId"] for a in graph.of("RouteTableAssociation")}


@each("Connection", "Environment")
def what_runs_finds_a_way_out(user: Resource, graph: Graph) -> Iterator[str]:
    """Without NAT and without endpoints a run hangs until its timeout at the first call of AWS."""
    tables = _tables(graph)
    nat = {r["routeTableId"] for r in graph.of("Route") if "natGatewayId" in r}
    reached = {called_service(e) for e in graph.of("VpcEndpoint") if _is_interface(e)}
    missing = sorted(NEEDED - reached)
    for subnet in subnets(user):
        if missing and tables.get(subnet) not in nat:
            yield (
                f"subnet {subnet} has no route to a NAT gateway and no endpoint of "
                f"{', '.join(missing)}; add one or the other"
            )


@each("Connection")
def members_reach_each_other(connection: Resource, graph: Graph) -> Iterator[str]:
    """Glue refuses a connection whose security group does not let its own members in."""
    for group in connection["physicalConnectionRequirements"].get("securityGroupIdLists", []):
        own = [
            r
            for r in graph.of("SecurityGroupIngressRule")
            if r["securityGroupId"] == group and r.get("referencedSecurityGroupId") == group
        ]
        if not any(r.get("ipProtocol") == "-1" for r in own):
            yield f"group {group} does not let its members in; add a rule that refers to itself"


@each("SecurityGroup", "SecurityGroupIngressRule")
def nothing_is_open_to_the_internet(found: Resource, _graph: Graph) -> Iterator[str]:
    """Nothing in this network is to be called from outside."""
    rules = found.get("ingress", []) if found.kind == "SecurityGroup" else [found]
    for rule in rules:
        sources = [rule.get("cidrIpv4"), rule.get("cidrIpv6")]
        sources += [*rule.get("cidrBlocks", []), *rule.get("ipv6CidrBlocks", [])]
        for source in sorted(ANYWHERE.intersection(sources)):
            yield f"lets {source} in; name a group instead"


@each("SecurityGroupEgressRule")
def the_internet_is_reached_by_tls_alone(rule: Resource, _graph: Graph) -> Iterator[str]:
    """Data that leaves on another port leaves unencrypted, or to where nobody thought of."""
    ports = (rule.get("fromPort"), rule.get("toPort"))
    open_ = ANYWHERE.intersection([rule.get("cidrIpv4"), rule.get("cidrIpv6")])
    if open_ and ports != (443, 443):
        yield f"leads anywhere on ports {ports}; allow 443 alone"


@stack
def default_groups_are_closed(graph: Graph) -> Iterator[str]:
    """The group that every VPC is born with lets its members talk; what forgets its own gets it."""
    closed = {
        g["vpcId"]
        for g in graph.of("DefaultSecurityGroup")
        if not g.get("ingress") and not g.get("egress")
    }
    for vpc in sorted(_networks(graph) - closed):
        yield f"the default security group of {vpc} is open; take it over without rules"


@stack
def networks_are_logged(graph: Graph) -> Iterator[str]:
    """Who talked to whom cannot be asked afterwards."""
    logged = {f["vpcId"] for f in graph.of("FlowLog") if f.get("trafficType") == "ALL"}
    for vpc in sorted(_networks(graph) - logged):
        yield f"no flow log of all traffic in {vpc}; add one"


@each("Vpc")
def names_are_resolved(vpc: Resource, _graph: Graph) -> Iterator[str]:
    """Interface endpoints and MWAA are found by private names alone."""
    for wanted in ("enableDnsHostnames", "enableDnsSupport"):
        if vpc.get(wanted) is not True:
            yield f"{wanted} is not set; set it"


@each("VpcEndpoint")
def endpoints_answer_by_the_services_name(endpoint: Resource, _graph: Graph) -> Iterator[str]:
    """Without private names every client goes past the endpoint, to where nothing leads."""
    if _is_interface(endpoint) and endpoint.get("privateDnsEnabled") is not True:
        yield "no client finds it; set private_dns_enabled=True"


def called_service(endpoint: Resource) -> str:
    """The service of an endpoint, such as ``kms``."""
    return str(endpoint["serviceName"]).rpartition(".")[2]


def _networks(graph: Graph) -> set[str]:
    return {subnet["vpcId"] for subnet in graph.of("Subnet")}


def _is_interface(endpoint: Resource) -> bool:
    return bool(endpoint["vpcEndpointType"] == "Interface")
