"""The network that jobs and Airflow run in: private subnets, and the ways out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_aws as aws
from pydantic import Field, field_validator, model_validator

from estate.account import Account
from estate.network.egress import Egress, service_name
from estate.network.flowlogs import flow_logs
from estate.network.members import members
from estate.settings import LogDays, Settings

if TYPE_CHECKING:
    from estate.config import StackConfig


class NetworkConfig(Settings):
    """The network that jobs and Airflow run in."""

    cidr: str = "10.40.0.0/16"
    zones: int = Field(default=2, ge=2, le=3)
    egress: Literal["nat", "endpoints"] = "nat"
    """``nat`` reaches the internet, as pulls from APIs must; ``endpoints`` AWS alone."""
    nat_per_zone: bool = False
    """A NAT gateway in every zone, so that the loss of one takes no other with it."""
    flow_log_days: LogDays = 365

    @field_validator("cidr")
    @classmethod
    def _wide_enough(cls, cidr: str) -> str:
        try:
            network = ip_network(cidr)
        except ValueError:
            raise ValueError(f"{cidr} is no network, such as 10.40.0.0/16") from None
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 17:
            raise ValueError(f"{cidr} is no private /16 or /17 of IPv4, such as 10.40.0.0/16")
        return cidr

    @model_validator(mode="after")
    def _gateways_need_nat(self) -> NetworkConfig:
        if self.nat_per_zone and self.egress != "nat":
            raise ValueError("nat_per_zone is for egress nat; egress endpoints has no gateway")
        return self


class Network(pulumi.ComponentResource):
    """A VPC with a private subnet a zone; nothing in it can be reached from outside.

    S3 is reached by a gateway endpoint; all else by NAT, which pulls from APIs need, or by
    interface endpoints alone.
    """

    def __init__(
        self,
        stack: StackConfig,
        config: NetworkConfig,
        account: pulumi.Output[Account],
        log_key: pulumi.Output[str],
    ) -> None:
        super().__init__("lakehouse:estate:Network", "network")
        self._prefix, self._config = stack.prefix, config
        self._below = pulumi.ResourceOptions(parent=self)
        private, public = subnet_blocks(config)
        names = aws.get_availability_zones_output(state="available").names
        self.zones = [names.apply(_nth(number)) for number in range(config.zones)]
        self.vpc = aws.ec2.Vpc(
            "network",
            cidr_block=config.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._named("network"),
            opts=self._below,
        )
        # The group that every VPC is born with lets its members talk; taken over, it lets nobody.
        aws.ec2.DefaultSecurityGroup("closed", vpc_id=self.vpc.id, opts=self._below)
        self.subnets = [self._subnet(f"private-{n}", block, n) for n, block in enumerate(private)]
        way = Egress(stack.prefix, self.vpc, self._below)
        tables = [way.routes(f"private-{n}", subnet) for n, subnet in enumerate(self.subnets)]
        aws.ec2.VpcEndpoint(
            "s3",
            vpc_id=self.vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=account.apply(service_name("s3")),
            route_table_ids=[table.id for table in tables],
            tags=self._named("s3"),
            opts=self._below,
        )
        self.members = members(self.vpc, stack.prefix, self._below)
        if config.egress == "nat":
            way.by_nat([self._subnet(f"public-{n}", b, n) for n, b in enumerate(public)], tables)
        else:
            way.by_endpoints(account, self.subnets, self.members)
        # One subnet is what a connection of Glue's has; losing its zone stops the jobs until it is
        # given another.
        self.connection = aws.glue.Connection(
            "network",
            name=f"{stack.prefix}-network",
            connection_type="NETWORK",
            physical_connection_requirements={
                "availability_zone": self.zones[0],
                "subnet_id": self.subnets[0].id,
                "security_group_id_lists": [self.members.id],
            },
            opts=self._below,
        ).name
        flow_logs(self.vpc, stack, config, account=account, key=log_key, opts=self._below)
        self.register_outputs({})

    def _named(self, what: str) -> dict[str, str]:
        return {"Name": f"{self._prefix}-{what}"}

    def _subnet(self, name: str, cidr: str, zone: int) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            name,
            vpc_id=self.vpc.id,
            cidr_block=cidr,
            availability_zone=self.zones[zone],
            map_public_ip_on_launch=False,
            tags=self._named(name),
            opts=self._below,
        )


def subnet_blocks(config: NetworkConfig) -> tuple[list[str], list[str]]:
    """The CIDR blocks of the private subnets, a zone each, and of the public ones."""
    blocks = [str(b) for b in ip_network(config.cidr).subnets(new_prefix=20)]
    public = 0 if config.egress != "nat" else config.zones if config.nat_per_zone else 1
    return blocks[: config.zones], blocks[config.zones : config.zones + public]


def _nth(number: int) -> Callable[[Sequence[str]], str]:
    return lambda names: names[number]
