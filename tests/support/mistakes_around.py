"""Mistakes of network, rights, signals, queries and costs, under the rule that has to find them."""

from __future__ import annotations

from typing import Final

from support.planting import Plant, at, inputs, statement, without

BUCKET = "arn:aws:s3:::acme-lakehouse-prod-"
ENFORCED = "configuration.enforceWorkgroupConfiguration"
RESULTS = "configuration.resultConfiguration.encryptionConfiguration"
SPENT = {
    "notificationType": "ACTUAL",
    "threshold": 100.0,
    "subscriberEmailAddresses": ["on-call@example.org"],
}
INGRESS, EGRESS = "SecurityGroupIngressRule", "SecurityGroupEgressRule"

MISTAKES: Final[dict[str, list[Plant]]] = {
    "subnets_give_no_public_addresses": [
        inputs("Subnet", "private-0", mapPublicIpOnLaunch=True),
        inputs("Subnet", "private-0", mapPublicIpOnLaunch=None),
    ],
    "what_runs_stands_in_private_subnets": [
        inputs("Route", "private-0", natGatewayId=None, gatewayId="igw-internet"),
        at("Connection", "network", "physicalConnectionRequirements.subnetId", "subnet-public-0"),
        without("RouteTableAssociation", "private-0"),
    ],
    "s3_is_reached_by_the_gateway": [inputs("VpcEndpoint", "s3", routeTableIds=[])],
    "what_runs_finds_a_way_out": [
        without("Route", "private-0"),
        inputs("Route", "private-1", natGatewayId=None),
    ],
    "members_reach_each_other": [
        without(INGRESS, "members-in"),
        inputs(INGRESS, "members-in", ipProtocol="tcp", fromPort=443.0, toPort=443.0),
    ],
    "nothing_is_open_to_the_internet": [
        inputs(INGRESS, "members-in", cidrIpv4="0.0.0.0/0"),
        inputs(INGRESS, "members-in", cidrIpv6="::/0"),
        inputs("SecurityGroup", "members", ingress=[{"cidrBlocks": ["0.0.0.0/0"]}]),
    ],
    "the_internet_is_reached_by_tls_alone": [
        inputs(EGRESS, "tls-out", fromPort=22.0),
        inputs(EGRESS, "tls-out", ipProtocol="-1", fromPort=None, toPort=None),
    ],
    "default_groups_are_closed": [
        without("DefaultSecurityGroup", "closed"),
        inputs("DefaultSecurityGroup", "closed", egress=[{"cidrBlocks": ["0.0.0.0/0"]}]),
    ],
    "networks_are_logged": [
        without("FlowLog", "flow-logs"),
        inputs("FlowLog", "flow-logs", trafficType="REJECT"),
    ],
    "names_are_resolved": [
        inputs("Vpc", "network", enableDnsHostnames=False),
        inputs("Vpc", "network", enableDnsSupport=None),
    ],
    "endpoints_answer_by_the_services_name": [
        inputs("VpcEndpoint", "s3", vpcEndpointType="Interface"),
    ],
    "role_policies_fit": [statement("RolePolicy", "land", "Logs", Resource=["r" * 10_240])],
    "dags_only_start_jobs": [
        statement("RolePolicy", "airflow", "LandingObjects", Resource=[f"{BUCKET}gold/*"]),
        statement("RolePolicy", "airflow", "VerdictsObjects", Action=["s3:PutObject"]),
        statement("RolePolicy", "airflow", "Jobs", Action=["glue:UpdateTable"]),
    ],
    "nobody_may_a_whole_service": [
        statement("RolePolicy", "land", "Logs", Action=["s3:*"]),
        statement("RolePolicy", "land", "Logs", Action="*"),
        statement("RolePolicy", "land", "Logs", NotAction=["iam:*"]),
    ],
    "stars_stand_where_iam_knows_no_resource": [
        statement("RolePolicy", "land", "Logs", Resource="*"),
        statement("RolePolicy", "land", "Logs", Action=["iam:PassRole"], Resource=["*"]),
    ],
    "services_come_from_this_account": [
        statement("Role", "land", "", "assumeRolePolicy", Condition={}),
    ],
    "people_are_named": [
        statement("Role", "land", "", "assumeRolePolicy", Principal="*"),
        statement(
            "Role",
            "land",
            "",
            "assumeRolePolicy",
            Principal={"AWS": "arn:aws:iam::123456789012:root"},
        ),
    ],
    "every_role_has_its_rights": [without("RolePolicy", "land")],
    "dead_letters_outlive_the_letters": [
        inputs("Queue", "dead-arrivals", messageRetentionSeconds=3600.0),
    ],
    "every_queue_has_dead_letters": [inputs("Queue", "arrivals", redrivePolicy=None)],
    "dead_letters_are_told": [without("MetricAlarm", "dead-arrivals")],
    "every_alarm_tells_somebody": [
        inputs("MetricAlarm", "flights-lag", alarmActions=[]),
        inputs("MetricAlarm", "flights-lag", alarmActions=None),
    ],
    "silence_is_an_alarm": [
        inputs("MetricAlarm", "flights-absent", treatMissingData="notBreaching"),
        inputs("MetricAlarm", "flights-absent", treatMissingData=None),
        inputs("MetricAlarm", "flights-held", treatMissingData="missing"),
    ],
    "alarms_look_back_a_day_at_most": [
        inputs("MetricAlarm", "flights-lag", period=3600.0, evaluationPeriods=25.0),
    ],
    "throttled_streams_are_told": [without("MetricAlarm", "flights-throttled")],
    "streams_keep_a_weekend": [
        inputs("Stream", "flights", retentionPeriod=24.0),
        inputs("Stream", "flights", retentionPeriod=None),
    ],
    "logs_end": [
        inputs("LogGroup", "flow-logs", retentionInDays=None),
        inputs("LogGroup", "flow-logs", retentionInDays=0.0),
        without("LogGroup", "land-error"),
        without("LogGroup", "airflow-task"),
    ],
    "the_trail_sees_all_data": [
        inputs("Trail", "lake", advancedEventSelectors=None),
        at(
            "Trail",
            "lake",
            "advancedEventSelectors.0.fieldSelectors.2.startsWiths",
            [f"{BUCKET}gold/"],
        ),
    ],
    "the_trail_cannot_be_forged": [
        inputs("Trail", "lake", enableLogFileValidation=False),
        inputs("Trail", "lake", enableLogging=False),
    ],
    "workgroups_bind": [at("Workgroup", "analyst", ENFORCED, False)],
    "queries_are_bounded": [
        at("Workgroup", "analyst", "configuration.bytesScannedCutoffPerQuery", None),
    ],
    "query_results_are_encrypted_by_the_estates_keys": [
        at("Workgroup", "analyst", RESULTS, None),
        at("Workgroup", "analyst", f"{RESULTS}.encryptionOption", "SSE_S3"),
        at("Workgroup", "analyst", f"{RESULTS}.kmsKeyArn", "alias/aws/s3"),
    ],
    "everything_is_tagged": [
        inputs("aws", "default", defaultTags=None),
        inputs("aws", "default", defaultTags='{"tags": {"deployment": "acme-lakehouse-prod"}}'),
    ],
    "streams_are_paid_by_their_dataset": [
        inputs("Stream", "flights", tags=None),
        at("Stream", "flights", "tags.dataset", None),
    ],
    "budgets_count_their_deployment": [
        inputs("Budget", "monthly", costFilters=None),
        at("Budget", "monthly", "costFilters.0.values", ["user:deployment$another"]),
    ],
    "budgets_warn_before_it_is_spent": [
        inputs("Budget", "monthly", notifications=[]),
        inputs("Budget", "monthly", notifications=[SPENT]),
    ],
}
