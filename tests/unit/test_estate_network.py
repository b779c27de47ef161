from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.rendered import CONTRACTS, estate, of

from estate.access import servicepolicies
from estate.account import Account
from estate.network.egress import INTERFACES
from estate.network.vpc import NetworkConfig, subnet_blocks
from localaws.apply import Recorded, render


@pytest.fixture(scope="module")
def prod() -> list[Recorded]:
    return estate("prod")


def with_network(**network: Any) -> list[Recorded]:
    changes: Mapping[str, Any] = {"network": network, "jobs": {}}
    return render("staging", CONTRACTS, changes)


@pytest.fixture(scope="module")
def endpoints() -> list[Recorded]:
    return with_network(zones=2, egress="endpoints")


def test_no_subnet_gives_public_addresses(prod: list[Recorded]) -> None:
    subnets = of(prod, "Subnet")

    assert set(subnets) == {"private-0", "private-1", "private-2", "public-0"}
    assert not any(s.inputs["mapPublicIpOnLaunch"] for s in subnets.values())


def test_private_subnets_stand_in_zones_of_their_own(prod: list[Recorded]) -> None:
    zones = [s.inputs["availabilityZone"] for n, s in of(prod, "Subnet").items() if "private" in n]

    assert len(set(zones)) == 3


def test_the_group_that_aws_gives_lets_nobody_talk(prod: list[Recorded]) -> None:
    (group,) = of(prod, "DefaultSecurityGroup").values()
    (vpc,) = of(prod, "FlowLog").values()

    # Taken over without rules, it loses those that it was born with.
    assert group.inputs == {"vpcId": vpc.inputs["vpcId"]}


@pytest.mark.parametrize("way", ["nat", "endpoints"])
def test_members_talk_among_themselves_and_out_by_tls_alone(
    way: str, prod: list[Recorded], endpoints: list[Recorded]
) -> None:
    found = prod if way == "nat" else endpoints
    ingress = of(found, "SecurityGroupIngressRule")
    egress = of(found, "SecurityGroupEgressRule")

    for rule in (ingress["members-in"], egress["members-out"]):
        assert rule.inputs["referencedSecurityGroupId"] == rule.inputs["securityGroupId"]
        assert rule.inputs["ipProtocol"] == "-1"
        assert "cidrIpv4" not in rule.inputs
    assert set(ingress) == {"members-in"}
    assert set(egress) == {"members-out", "tls-out"}
    out = egress["tls-out"].inputs
    assert (out["ipProtocol"], out["fromPort"], out["toPort"]) == ("tcp", 443, 443)


def test_nothing_comes_in_from_outside(prod: list[Recorded], endpoints: list[Recorded]) -> None:
    for found in (prod, endpoints):
        assert not [
            rule
            for rule in of(found, "SecurityGroupIngressRule").values()
            if "cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs
        ]


def test_private_subnets_leave_by_nat_and_public_ones_by_the_gateway(prod: list[Recorded]) -> None:
    routes = of(prod, "Route")

    assert {n for n, r in routes.items() if "gatewayId" in r.inputs} == {"public-0"}
    assert {n for n, r in routes.items() if "natGatewayId" in r.inputs} == {
        "private-0",
        "private-1",
        "private-2",
    }


def test_with_nat_in_every_zone_each_subnet_leaves_by_its_own() -> None:
    found = with_network(zones=3, nat_per_zone=True)
    subnets, gateways = of(found, "Subnet"), of(found, "NatGateway")
    zones = {f"nat-{n}": subnets[n].inputs["availabilityZone"] for n in gateways}

    assert len(gateways) == len(of(found, "Eip")) == 3
    for name, route in of(found, "Route").items():
        if name.startswith("private-"):
            zone = subnets[name].inputs["availabilityZone"]
            assert zones[route.inputs["natGatewayId"]] == zone


def test_s3_is_reached_without_nat_from_every_private_subnet(
    prod: list[Recorded], endpoints: list[Recorded]
) -> None:
    for found in (prod, endpoints):
        gateway = of(found, "VpcEndpoint")["s3"].inputs
        private = {
            a.inputs["routeTableId"]
            for n, a in of(found, "RouteTableAssociation").items()
            if n.startswith("private-")
        }
        assert gateway["vpcEndpointType"] == "Gateway"
        assert set(gateway["routeTableIds"]) == private


def test_endpoints_alone_lead_nowhere_but_to_aws(endpoints: list[Recorded]) -> None:
    for kind in ("InternetGateway", "NatGateway", "Eip", "Route"):
        assert of(endpoints, kind) == {}
    interfaces = of(endpoints, "VpcEndpoint")
    assert set(interfaces) == {"s3", *INTERFACES}
    private = {"subnet-private-0", "subnet-private-1"}
    for name in INTERFACES:
        inputs = interfaces[name].inputs
        assert inputs["privateDnsEnabled"] is True
        assert inputs["serviceName"] == f"com.amazonaws.eu-west-1.{name}"
        assert set(inputs["subnetIds"]) == private
        assert inputs["securityGroupIds"] == ["sg-members"]


def test_every_service_that_a_role_may_call_has_an_endpoint(endpoints: list[Recorded]) -> None:
    services = {"kinesis": "kinesis-streams", "cloudwatch": "monitoring"}
    # S3 has its gateway; Glue makes a run's network interfaces from outside of the network.
    elsewhere = {"s3", "ec2"}
    called = {
        action.partition(":")[0]
        for name, policy in of(endpoints, "RolePolicy").items()
        if name not in {"flow-logs", "supervisor"}
        for statement in json.loads(policy.inputs["policy"])["Statement"]
        for action in statement["Action"]
    }

    assert {services.get(name, name) for name in called - elsewhere} <= set(INTERFACES)


def test_flow_logs_are_complete_encrypted_and_end(prod: list[Recorded]) -> None:
    (log,) = of(prod, "FlowLog").values()
    group = of(prod, "LogGroup")["flow-logs"]

    assert log.inputs["trafficType"] == "ALL"
    assert log.inputs["logDestination"].endswith(group.inputs["name"])
    assert group.inputs["kmsKeyId"].endswith("key/key-operations")
    assert group.inputs["retentionInDays"] == 365


def test_only_the_flow_logs_service_of_this_account_writes_them(prod: list[Recorded]) -> None:
    role = of(prod, "Role")["flow-logs"].inputs
    (log,) = of(prod, "FlowLog").values()
    (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
    (write,) = servicepolicies.flow_logs("arn:aws:logs:eu-west-1:1:log-group:x")

    assert log.inputs["iamRoleArn"].endswith(f"role/{role['name']}")
    assert trust["Principal"] == {"Service": ["vpc-flow-logs.amazonaws.com"]}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert write["Resource"] == ["arn:aws:logs:eu-west-1:1:log-group:x:*"]


def test_jobs_and_airflow_are_in_the_private_network(prod: list[Recorded]) -> None:
    place = of(prod, "Connection")["network"].inputs["physicalConnectionRequirements"]
    assert place == {
        "availabilityZone": "eu-west-1a",
        "securityGroupIdLists": ["sg-members"],
        "subnetId": "subnet-private-0",
    }
    for job in of(prod, "Job").values():
        assert job.inputs["connections"] == ["acme-lakehouse-prod-network"]


def test_without_a_network_jobs_have_no_connection_and_no_rights_on_it() -> None:
    dev = estate("dev")

    assert not any("connections" in job.inputs for job in of(dev, "Job").values())
    assert not any("ec2:" in policy.inputs["policy"] for policy in of(dev, "RolePolicy").values())


def test_a_job_tags_and_removes_network_interfaces_of_glue_only() -> None:
    account = Account("acme", "aws", "eu-west-1", "123456789012")
    found = {s["Sid"]: s for s in servicepolicies.in_network(account)}

    assert found["NetworkTags"]["Condition"] == {
        "ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}
    }
    assert found["NetworkInterfaces"]["Resource"] == [
        f"arn:aws:ec2:eu-west-1:123456789012:{kind}/*"
        for kind in ("network-interface", "security-group", "subnet")
    ]
    looks = found["NetworkLooks"]["Action"]
    assert all(action.startswith("ec2:Describe") for action in looks)


@pytest.mark.parametrize("cidr", ["10.40.0.0/16", "172.16.0.0/17", "192.168.0.0/16"])
@pytest.mark.parametrize("zones", [2, 3])
@pytest.mark.parametrize("nat_per_zone", [False, True])
def test_blocks_lie_in_the_network_and_do_not_overlap(
    cidr: str, zones: int, nat_per_zone: bool
) -> None:
    config = NetworkConfig(cidr=cidr, zones=zones, nat_per_zone=nat_per_zone)

    private, public = subnet_blocks(config)

    assert (len(private), len(public)) == (zones, zones if nat_per_zone else 1)
    blocks = [ipaddress.IPv4Network(block) for block in private + public]
    assert all(block.subnet_of(ipaddress.IPv4Network(cidr)) for block in blocks)
    assert sum(b.num_addresses for b in ipaddress.collapse_addresses(blocks)) == sum(
        b.num_addresses for b in blocks
    )
