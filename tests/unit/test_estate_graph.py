from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from support.estategraph import graph, provider
from support.rendered import STACKS, changed, estate, of, planted

from localaws.apply import Recorded
from policies.rules import RULES, findings

Plant = Callable[[list[Recorded]], list[Recorded]]


@pytest.mark.parametrize("stack", STACKS)
def test_no_rule_finds_anything_in_a_stack(stack: str) -> None:
    assert findings(graph([*estate(stack), provider(stack)])) == []


def without(kind: str, name: str) -> Plant:
    return lambda found: [r for r in found if not (r.type.endswith(f":{kind}") and r.name == name)]


def statement(kind: str, name: str, sid: str, /, **wrong: Any) -> Plant:
    """A mistake in a statement of a policy; None for a part takes the statement away."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        policy = json.loads(of(found, kind)[name].inputs["policy"])
        assert sid in {s["Sid"] for s in policy["Statement"]}
        policy["Statement"] = [
            s if s["Sid"] != sid else s | wrong
            for s in policy["Statement"]
            if s["Sid"] != sid or wrong
        ]
        return planted(found, kind, name, policy=json.dumps(policy))

    return plant


def inputs(kind: str, name: str, /, **wrong: Any) -> Plant:
    return lambda found: planted(found, kind, name, **wrong)


def at(kind: str, name: str, path: str, wrong: Any) -> Plant:
    return lambda found: changed(found, kind, name, path, wrong)


def another(kind: str, name: str, type_: str) -> Plant:
    return lambda found: [*found, replace(of(found, kind)[name], type=type_)]


EXPIRY = {"id": "old", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 30}}
BUCKET = "arn:aws:s3:::acme-lakehouse-prod-"
ROLE = "arn:aws:iam::123456789012:role/"
LIFECYCLE = "BucketLifecycleConfiguration"
TABLE = "CatalogTable"
PROJECTED = of(estate("prod"), TABLE)["verdicts"].inputs["parameters"]
EXPIRING = [
    inputs(LIFECYCLE, name, rules=[EXPIRY])
    for name in ("ledger", "bronze", "silver", "gold", "verdicts", "landing", "artifacts")
]


MISTAKES: Final[dict[str, list[Plant]]] = {
    "runs_do_not_wait_in_a_queue": [
        inputs("Job", "land", jobRunQueuingEnabled=True),
        inputs("Job", "land", jobRunQueuingEnabled=None),
    ],
    "runs_have_no_twin": [
        inputs("Job", "land", executionProperty={"maxConcurrentRuns": 2.0}),
        inputs("Job", "land", executionProperty=None),
    ],
    "nobody_but_airflow_retries": [
        inputs("Job", "land", maxRetries=1.0),
    ],
    "streaming_jobs_are_restarted": [
        inputs("Job", "ingest-main", timeout=2880.0),
        inputs("Job", "ingest-main", maintenanceWindow=None),
    ],
    "batch_jobs_end": [
        inputs("Job", "promote", timeout=None),
        inputs("Job", "promote", timeout=0.0),
    ],
    "flex_is_for_batch_on_common_workers": [
        inputs("Job", "ingest-main", executionClass="FLEX"),
        inputs("Job", "land", executionClass="FLEX", workerType="R.1X"),
    ],
    "nothing_live_expires": [
        *EXPIRING,
    ],
    "what_was_erased_ends": [
        at(LIFECYCLE, "silver", "rules.0.noncurrentVersionExpiration.noncurrentDays", 400.0),
        at(LIFECYCLE, "silver", "rules.0.status", "Disabled"),
        without(LIFECYCLE, "gold"),
    ],
    "records_are_written_once": [
        statement("BucketPolicy", "ledger", "WrittenOnce"),
        statement("BucketPolicy", "verdicts", "WrittenOnce", Condition={}),
        statement("BucketPolicy", "verdicts", "WrittenOnce", Resource=[f"{BUCKET}verdicts/runs/*"]),
        statement("RolePolicy", "land", "LedgerObjects", Action=["s3:DeleteObject"]),
        statement("RolePolicy", "promote", "VerdictsRelease", Resource=[f"{BUCKET}verdicts/*"]),
    ],
    "events_reach_encrypted_queues": [
        statement("Key", "key-inbound", "Arrivals"),
        statement("Key", "key-inbound", "Arrivals", Action=["kms:Decrypt"]),
        statement("QueuePolicy", "arrivals", "Arrivals"),
        without("QueuePolicy", "dead-arrivals"),
        inputs("EventTarget", "arrivals", deadLetterConfig=None),
    ],
    "dead_letters_outlive_the_letters": [
        inputs("Queue", "dead-arrivals", messageRetentionSeconds=3600.0),
    ],
    "every_queue_has_dead_letters": [
        inputs("Queue", "arrivals", redrivePolicy=None),
    ],
    "every_alarm_tells_somebody": [
        inputs("MetricAlarm", "flights-lag", alarmActions=[]),
    ],
    "senders_reach_the_encrypted_topic": [
        statement("Key", "key-operations", "Alerts"),
        statement("Key", "key-operations", "FailedRuns"),
        statement("TopicPolicy", "alerts", "Rules"),
        inputs("Topic", "alerts", kmsMasterKeyId="alias/aws/sns"),
        statement(
            "TopicPolicy", "alerts", "Senders", Principal={"Service": ["budgets.amazonaws.com"]}
        ),
    ],
    "eventbridge_is_asked_for_no_source": [
        statement("Key", "key-inbound", "Arrivals", Condition={"StringEquals": {}}),
        statement("Key", "key-operations", "FailedRuns", Condition={"StringEquals": {}}),
        statement("TopicPolicy", "alerts", "Rules", Condition={"StringEquals": {}}),
    ],
    "every_failed_run_is_told": [
        without("EventTarget", "failed-runs"),
        inputs("Job", "land", name="acme-land"),
        inputs(
            "EventRule",
            "failed-runs",
            eventPattern=(
                '{"source": ["aws.glue"], "detail": '
                '{"jobName": [{"prefix": "acme-lakehouse-prod-"}], "state": ["FAILED"]}}'
            ),
        ),
    ],
    "logs_can_be_encrypted": [
        statement("Key", "key-operations", "Logs"),
        inputs("LogGroup", "flow-logs", name="/vpc/flow-logs"),
    ],
    "the_trail_can_be_written": [
        statement("Key", "key-operations", "Trail"),
        statement("BucketPolicy", "audit", "TrailWrites"),
    ],
    "role_policies_fit": [
        statement("RolePolicy", "land", "Logs", Resource=["r" * 10_240]),
    ],
    "iceberg_tables_belong_to_the_jobs": [
        another("CatalogDatabase", "gold", "aws:s3tables/table:Table"),
        inputs(TABLE, "verdicts", databaseName="silver"),
        inputs(TABLE, "checks", databaseName="gold"),
        inputs(TABLE, "verdicts", parameters={"table_type": "ICEBERG"}),
        inputs(TABLE, "verdicts", parameters={"metadata_location": "s3://x/1.metadata.json"}),
        inputs(TABLE, "verdicts", openTableFormatInput={"icebergInput": {}}),
        inputs(TABLE, "verdicts", tableType="MANAGED_TABLE"),
        at(TABLE, "verdicts", "storageDescriptor.inputFormat", "org.apache.iceberg.mr.Input"),
        at(TABLE, "verdicts", "storageDescriptor.serDeInfo", {}),
    ],
    "what_the_gates_wrote_is_found": [
        without(TABLE, "approvals"),
        inputs(TABLE, "verdicts", parameters=PROJECTED | {"projection.enabled": "false"}),
        inputs(TABLE, "verdicts", parameters=PROJECTED | {"projection.dataset.values": "planes"}),
        inputs(
            TABLE,
            "verdicts",
            parameters=PROJECTED
            | {
                "storage.location.template": "s3://acme-lakehouse-prod-verdicts/verdicts/${dataset}/"
            },
        ),
    ],
    "every_job_has_a_role_of_its_own": [
        inputs("Job", "land", roleArn=f"{ROLE}acme-lakehouse-prod-promote"),
        inputs("Job", "land", roleArn=f"{ROLE}admin"),
        inputs("Role", "land", assumeRolePolicy='{"Statement": []}'),
    ],
    "jobs_find_what_they_are_told_of": [
        at(
            "Job",
            "land",
            "command.scriptLocation",
            "s3://acme-lakehouse-prod-artifacts/code/land.py",
        ),
        statement("RolePolicy", "land", "ArtifactsObjects"),
        statement("RolePolicy", "land", "Environment"),
    ],
    "no_secret_is_an_argument": [
        at("Job", "land", "defaultArguments.--api-token", "abc"),
    ],
    "dags_only_start_jobs": [
        statement("RolePolicy", "airflow", "LandingObjects", Resource=[f"{BUCKET}gold/*"]),
        statement("RolePolicy", "airflow", "VerdictsObjects", Action=["s3:PutObject"]),
        statement("RolePolicy", "airflow", "Jobs", Action=["glue:UpdateTable"]),
    ],
    "airflow_has_a_role_of_its_own": [
        inputs("Environment", "airflow", executionRoleArn=f"{ROLE}acme-lakehouse-prod-land"),
    ],
    "ended_ingest_jobs_are_started_again": [
        without("Schedule", "ingest-main"),
    ],
    "schedules_may_start_their_jobs": [
        statement("RolePolicy", "supervisor", "Start"),
        statement("RolePolicy", "supervisor", "ScheduleKey"),
    ],
    "what_is_referred_to_is_there": [
        without("Key", "key-gold"),
        without("Bucket", "results"),
    ],
    "subnets_give_no_public_addresses": [
        inputs("Subnet", "private-0", mapPublicIpOnLaunch=True),
        inputs("Subnet", "private-0", mapPublicIpOnLaunch=None),
    ],
    "what_runs_stands_in_private_subnets": [
        inputs("Route", "private-0", natGatewayId=None, gatewayId="igw-internet"),
        at("Connection", "network", "physicalConnectionRequirements.subnetId", "subnet-public-0"),
        without("RouteTableAssociation", "private-0"),
    ],
    "s3_is_reached_by_the_gateway": [
        inputs("VpcEndpoint", "s3", routeTableIds=[]),
    ],
    "jobs_run_in_the_network_if_there_is_one": [
        inputs("Job", "land", connections=None),
        statement("RolePolicy", "land", "NetworkInterfaces"),
    ],
}
"""Under each rule, what it has to find."""


@pytest.mark.parametrize(
    ("rule", "plant"), [(rule, plant) for rule, found in MISTAKES.items() for plant in found]
)
def test_a_planted_mistake_is_found_by_its_rule(rule: str, plant: Plant) -> None:
    found = findings(graph(plant([*estate("prod"), provider("prod")])))

    assert rule in {finding.rule for finding in found}, found


def test_every_rule_has_a_mistake_that_it_catches() -> None:
    assert set(MISTAKES) == {rule.name for rule in RULES}
