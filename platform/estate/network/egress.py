"""The ways out of the network: by NAT to anywhere, or by endpoints to AWS alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pulumi
import pulumi_aws as aws

from estate.account import Account

INTERFACES: Final = (
    "athena",
    "glue",
    "kinesis-streams",
    "kms",
    "lakeformation",
    "logs",
    "monitoring",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
)
"""Services that are reached by an endpoint of their own where nothing leads to the internet."""


class Egress:
    """Makes routes, gateways and endpoints in a network."""

    def __init__(self, prefix: str, vpc: aws.ec2.Vpc, below: pulumi.ResourceOptions) -> None:
        self._prefix, self._vpc, self._below = prefix, vpc, below

    def _named(self, what: str) -> dict[str, str]:
        return {"Name": f"{self._prefix}-{what}"}

    def routes(self, name: str, subnet: aws.ec2.Subnet) -> aws.ec2.RouteTable:
        """A route table of a subnet's own."""
        table = aws.ec2.RouteTable(
            name, vpc_id=self._vpc.id, tags=self._named(name), opts=self._below
        )
        aws.ec2.RouteTableAssociation(
            name, subnet_id=subnet.id, route_table_id=table.id, opts=self._below
        )
        return table

    def by_nat(
        self, public: Sequence[aws.ec2.Subnet], tables: Sequence[aws.ec2.RouteTable]
    ) -> None:
        """One NAT gateway, or one a zone, so that the loss of a zone takes no other with it."""
        gateway = aws.ec2.InternetGateway(
            "internet", vpc_id=self._vpc.id, tags=self._named("internet"), opts=self._below
        )
        gateways = []
        for number, subnet in enumerate(public):
            name = f"public-{number}"
            self._default_route(name, self.routes(name, subnet), gateway_id=gateway.id)
            # Without the way to the internet AWS refuses the address and the gateway.
            after = pulumi.ResourceOptions.merge(
                self._below, pulumi.ResourceOptions(depends_on=[gateway])
            )
            address = aws.ec2.Eip(name, domain="vpc", tags=self._named(name), opts=after)
            gateways.append(
                aws.ec2.NatGateway(
                    name,
                    allocation_id=address.id,
                    subnet_id=subnet.id,
                    tags=self._named(name),
                    opts=after,
                )
            )
        for number, table in enumerate(tables):
            nearest = gateways[min(number, len(gateways) - 1)]
            self._default_route(f"private-{number}", table, nat_gateway_id=nearest.id)

    def _default_route(
        self, name: str, table: aws.ec2.RouteTable, **target: pulumi.Output[str]
    ) -> None:
        aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            opts=self._below,
            **target,
        )

    def by_endpoints(
        self,
        account: pulumi.Output[Account],
        subnets: Sequence[aws.ec2.Subnet],
        group: aws.ec2.SecurityGroup,
    ) -> None:
        """An endpoint in every subnet for each service; nothing else can be reached."""
        for service in INTERFACES:
            aws.ec2.VpcEndpoint(
                service,
                vpc_id=self._vpc.id,
                vpc_endpoint_type="Interface",
                service_name=account.apply(service_name(service)),
                subnet_ids=[subnet.id for subnet in subnets],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._named(service),
                opts=self._below,
            )


def service_name(name: str) -> Callable[[Account], str]:
    """The name of a service's endpoints, once the region is known."""
    return lambda known: f"com.amazonaws.{known.region}.{name}"
