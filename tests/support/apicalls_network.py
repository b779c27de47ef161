"""Calls of EC2 and what stands around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.apicalls import CALLS, Call, Inputs, makes, pairs, plain, tagged

_TAGGED: Final = {
    "aws:ec2/eip:Eip": ("AllocateAddress", "elastic-ip"),
    "aws:ec2/natGateway:NatGateway": ("CreateNatGateway", "natgateway"),
    "aws:ec2/routeTable:RouteTable": ("CreateRouteTable", "route-table"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("CreateVpcEndpoint", "vpc-endpoint"),
}
for _kind, (_operation, _type) in _TAGGED.items():
    CALLS[_kind] = tagged("ec2", _operation, _type)
CALLS["aws:ec2/route:Route"] = plain("ec2", "CreateRoute")
CALLS["aws:ec2/routeTableAssociation:RouteTableAssociation"] = plain("ec2", "AssociateRouteTable")
CALLS["aws:ec2/securityGroup:SecurityGroup"] = tagged(
    "ec2", "CreateSecurityGroup", "security-group", GroupName="name"
)


@makes("aws:ec2/vpc:Vpc")
def vpc(i: Inputs) -> Iterator[Call]:
    """The network, and its two switches for names, which are put one by one."""
    tags = [{"ResourceType": "vpc", "Tags": pairs(i["tags"])}]
    yield Call("ec2", "CreateVpc", {"CidrBlock": i["cidrBlock"], "TagSpecifications": tags})
    for switch in ("EnableDnsHostnames", "EnableDnsSupport"):
        value = {"Value": i[switch[0].lower() + switch[1:]]}
        yield Call("ec2", "ModifyVpcAttribute", {"VpcId": "vpc-1", switch: value})


@makes("aws:ec2/subnet:Subnet")
def subnet(i: Inputs) -> Iterator[Call]:
    """A subnet, and whether what is started in it gets a public address."""
    public = {"Value": i["mapPublicIpOnLaunch"]}
    yield Call(
        "ec2", "ModifySubnetAttribute", {"SubnetId": "subnet-1", "MapPublicIpOnLaunch": public}
    )
    tags = [{"ResourceType": "subnet", "Tags": pairs(i["tags"])}]
    yield Call("ec2", "CreateSubnet", {"TagSpecifications": tags} | i.rest())


@makes("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(i: Inputs) -> Iterator[Call]:
    """A gateway, attached to its network."""
    tags = [{"ResourceType": "internet-gateway", "Tags": pairs(i["tags"])}]
    yield Call("ec2", "CreateInternetGateway", {"TagSpecifications": tags})
    yield Call("ec2", "AttachInternetGateway", {"InternetGatewayId": "igw-1"} | i.rest())


@makes("aws:ec2/flowLog:FlowLog")
def flow_log(i: Inputs) -> Iterator[Call]:
    """A network's flow log."""
    tags = [{"ResourceType": "vpc-flow-log", "Tags": pairs(i["tags"])}]
    yield Call(
        "ec2",
        "CreateFlowLogs",
        {"ResourceIds": [i["vpcId"]], "ResourceType": "VPC", "TagSpecifications": tags}
        | i.given(DeliverLogsPermissionArn="iamRoleArn")
        | i.rest(),
    )


@makes("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def ingress(i: Inputs) -> Iterator[Call]:
    """Who may come in."""
    yield Call("ec2", "AuthorizeSecurityGroupIngress", _rule(i))


@makes("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def egress(i: Inputs) -> Iterator[Call]:
    """Who may be reached."""
    yield Call("ec2", "AuthorizeSecurityGroupEgress", _rule(i))


def _rule(i: Inputs) -> dict[str, Any]:
    about = i.given(Description="description")
    permission = i.given(IpProtocol="ipProtocol", FromPort="fromPort", ToPort="toPort")
    if "referencedSecurityGroupId" in i:
        permission["UserIdGroupPairs"] = [about | {"GroupId": i["referencedSecurityGroupId"]}]
    if "cidrIpv4" in i:
        permission["IpRanges"] = [about | {"CidrIp": i["cidrIpv4"]}]
    return {"IpPermissions": [permission]} | i.given(GroupId="securityGroupId") | i.rest()


@makes("aws:cloudwatch/logGroup:LogGroup")
def log_group(i: Inputs) -> Iterator[Call]:
    """A log group, and for how long it keeps."""
    name = i["name"]
    yield Call("logs", "CreateLogGroup", {"logGroupName": name} | i.given(kmsKeyId="kmsKeyId"))
    days = {"logGroupName": name, "retentionInDays": i["retentionInDays"]}
    yield Call("logs", "PutRetentionPolicy", days)


@makes("aws:mwaa/environment:Environment")
def environment(i: Inputs) -> Iterator[Call]:
    """Airflow; what was uploaded has a version that only S3 knows."""
    versions = {
        "RequirementsS3ObjectVersion": i.get("requirementsS3ObjectVersion", "1"),
        "StartupScriptS3ObjectVersion": i.get("startupScriptS3ObjectVersion", "1"),
    }
    options = {"AirflowConfigurationOptions": i["airflowConfigurationOptions"]}
    yield Call("mwaa", "CreateEnvironment", versions | options | i.rest())
