from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.rendered import CONTRACTS, STACKS, estate, of, with_radar

from estate.account import Account
from estate.compute.jobshapes import IngestConfig
from estate.ingress.arrivals import queue_policy
from estate.operations.alarmrules import Alarm, dataset_alarms
from estate.operations.alarms import dashboard
from estate.operations.alerts import topic_policy
from estate.operations.audit import WATCHED, trail_policy
from estate.storage.keypolicies import key_policy
from estate.storage.keys import KEYS
from lakehouse.contracts.odcs import load_contracts
from localaws.apply import Recorded, render

CONTINUOUS = IngestConfig()
ACCOUNT = Account("acme", "aws", "eu-west-1", "123456789012")
KEY = ACCOUNT.arn("kms", "key/1")
OWN = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
DATASETS = load_contracts(CONTRACTS)
TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}


@pytest.fixture(scope="module")
def prod() -> list[Recorded]:
    return estate("prod")


def by_sid(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_a_queue_takes_from_its_one_rule_by_tls_alone() -> None:
    found = by_sid(queue_policy("queue", "rule"))

    assert found["Arrivals"]["Principal"] == {"Service": "events.amazonaws.com"}
    assert found["Arrivals"]["Action"] == "sqs:SendMessage"
    assert found["Arrivals"]["Condition"] == {"ArnEquals": {"aws:SourceArn": "rule"}}
    assert (found["TlsOnly"]["Effect"], found["TlsOnly"]["Condition"]) == ("Deny", TLS_ONLY)
    assert all(statement["Resource"] == "queue" for statement in found.values())


@pytest.mark.parametrize("stack", STACKS)
def test_arrivals_are_encrypted_kept_and_tried_again(stack: str) -> None:
    found = estate(stack)
    queues = of(found, "Queue")

    assert all(q.inputs["kmsMasterKeyId"].endswith("key/key-inbound") for q in queues.values())
    redrive = json.loads(queues["arrivals"].inputs["redrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(queues["dead-arrivals"].inputs["name"])
    assert redrive["maxReceiveCount"] == 5
    assert queues["dead-arrivals"].inputs["messageRetentionSeconds"] == 14 * 86_400


def test_the_rule_hears_of_the_landing_bucket_alone(prod: list[Recorded]) -> None:
    pattern = json.loads(of(prod, "EventRule")["arrivals"].inputs["eventPattern"])
    landing = of(prod, "Bucket")["landing"].inputs["bucket"]

    assert pattern["detail"] == {"bucket": {"name": [landing]}}
    assert pattern["detail-type"] == ["Object Created"]
    (notification,) = of(prod, "BucketNotification").values()
    assert notification.inputs == {"bucket": landing, "eventbridge": True}


def test_the_topic_takes_from_services_of_this_account_by_tls_alone() -> None:
    found = by_sid(topic_policy("topic", ACCOUNT))

    assert found["Senders"]["Condition"] == OWN
    assert found["Senders"]["Action"] == "sns:Publish"
    assert (found["TlsOnly"]["Effect"], found["TlsOnly"]["Condition"]) == ("Deny", TLS_ONLY)
    assert set(found) == {"Senders", "Rules", "TlsOnly"}
    assert found["Rules"]["Principal"] == {"Service": "events.amazonaws.com"}


def test_addresses_are_subscribed_to_the_topic() -> None:
    found = render("dev", CONTRACTS, {"alerts": {"emails": ["a@example.org", "b@example.org"]}})

    subscribed = of(found, "TopicSubscription").values()
    assert {s.inputs["endpoint"] for s in subscribed} == {"a@example.org", "b@example.org"}
    assert {s.inputs["protocol"] for s in subscribed} == {"email"}


@pytest.mark.parametrize("name", KEYS)
def test_services_use_a_key_for_this_account_alone(name: Any) -> None:
    statements = by_sid(key_policy(ACCOUNT, name))
    root = statements.pop("AccountDecidesByIam")

    assert root["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    for sid, statement in statements.items():
        assert set(statement["Principal"]) == {"Service"}
        assert not any(action in {"kms:*", "*"} for action in statement["Action"])
        if statement["Principal"]["Service"] != "events.amazonaws.com":
            assert "123456789012" in json.dumps(statement["Condition"]), sid


def test_each_service_has_the_one_key_that_it_needs() -> None:
    users = {
        name: sorted(
            service.removesuffix(".amazonaws.com")
            for statement in key_policy(ACCOUNT, name)["Statement"]
            for service in _services(statement)
        )
        for name in KEYS
    }

    assert users == {
        "inbound": ["events"],
        "bronze": [],
        "silver": [],
        "gold": [],
        "operations": [
            "budgets",
            "cloudtrail",
            "cloudwatch",
            "costalerts",
            "events",
            "logs.eu-west-1",
        ],
    }


def _services(statement: dict[str, Any]) -> list[str]:
    found = statement["Principal"].get("Service", [])
    return [found] if isinstance(found, str) else found


def test_the_trail_alone_writes_its_bucket() -> None:
    found = by_sid(trail_policy(ACCOUNT, "acme-audit", KEY))
    trail = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/acme-lake"

    for sid in ("TrailLooks", "TrailWrites"):
        assert found[sid]["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert found[sid]["Condition"]["StringEquals"]["aws:SourceArn"] == trail
    assert found["TrailWrites"]["Resource"] == "arn:aws:s3:::acme-audit/AWSLogs/123456789012/*"
    assert found["TlsOnly"]["Effect"] == "Deny"
    allowed = [sid for sid, s in found.items() if s["Effect"] == "Allow"]
    assert allowed == ["TrailLooks", "TrailWrites"]


def test_the_trail_notes_who_touches_what_holds_data(prod: list[Recorded]) -> None:
    (trail,) = of(prod, "Trail").values()
    (selector,) = trail.inputs["advancedEventSelectors"]
    fields = {field["field"]: field for field in selector["fieldSelectors"]}

    assert trail.inputs["enableLogFileValidation"] is True
    assert trail.inputs["kmsKeyId"].endswith("key/key-operations")
    assert fields["resources.ARN"]["startsWiths"] == [
        f"{ACCOUNT.bucket(purpose)}/".replace("acme", "acme-lakehouse-prod") for purpose in WATCHED
    ]
    # Its own bucket is not watched: each line that it writes would be another event.
    assert "audit" not in json.dumps(fields)
    expiring = of(prod, "BucketLifecycleConfiguration")["audit"].inputs["rules"]
    assert [r["expiration"]["days"] for r in expiring if "expiration" in r] == [365]


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_costs_are_those_of_the_deployment_and_told_before_they_are_spent(stack: str) -> None:
    found = estate(stack)
    prefix = f"acme-lakehouse-{stack}"
    (budget,) = of(found, "Budget").values()
    (monitor,) = of(found, "AnomalyMonitor").values()
    (anomalies,) = of(found, "AnomalySubscription").values()

    assert budget.inputs["costFilters"] == [
        {"name": "TagKeyValue", "values": [f"user:deployment${prefix}"]}
    ]
    tags = json.loads(monitor.inputs["monitorSpecification"])["Tags"]
    assert (tags["Key"], tags["Values"]) == ("deployment", [prefix])
    warned = {(n["notificationType"], n["threshold"]) for n in budget.inputs["notifications"]}
    assert ("ACTUAL", 80) in warned
    assert ("FORECASTED", 100) in warned
    # A topic is told at once or not at all: summaries go by mail only.
    assert anomalies.inputs["frequency"] == "IMMEDIATE"


def alarms(dataset: str, ingest: IngestConfig = CONTINUOUS) -> dict[str, Alarm]:
    contract = DATASETS[dataset]
    found = dataset_alarms("acme", contract, ingest)
    return {alarm.name.removeprefix(f"{dataset}-"): alarm for alarm in found}


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_every_dataset_has_the_alarms_of_its_kind(dataset: str) -> None:
    contract = DATASETS[dataset]
    wanted = {"held"} | ({"freshness"} if contract.sla.freshness_hours is not None else set())
    wanted |= set() if contract.source == "mart" else {"rejects"}
    wanted |= {"lag", "absent", "throttled"} if contract.source == "stream" else set()

    assert set(alarms(dataset)) == wanted


def test_where_silence_is_the_fault_missing_data_is_an_alarm() -> None:
    missing = {
        alarm.name: alarm.settings["treat_missing_data"]
        for contract in DATASETS.values()
        for alarm in dataset_alarms("acme", contract, CONTINUOUS)
    }

    breaching = {name for name, treat in missing.items() if treat == "breaching"}
    assert breaching == {n for n in missing if n.endswith(("-freshness", "-absent"))}
    assert set(missing.values()) == {"breaching", "notBreaching"}


def test_freshness_looks_back_as_far_as_the_contract_promises_within_a_day() -> None:
    for contract in DATASETS.values():
        hours = contract.sla.freshness_hours
        if hours is None:
            continue
        settings = alarms(contract.dataset)["freshness"].settings
        assert settings["period"] == 3600
        assert settings["evaluation_periods"] == min(math.ceil(hours), 24)
        assert (settings["comparison_operator"], settings["threshold"]) == ("LessThanThreshold", 1)


@pytest.mark.parametrize(
    ("ingest", "absent", "late"),
    [
        (CONTINUOUS, 15, 15),
        (IngestConfig(continuous=False, every_minutes=10, timeout_minutes=60), 90, 25),
        (IngestConfig(continuous=False, every_minutes=360, timeout_minutes=2880), 1440, 375),
    ],
)
def test_who_drains_a_stream_now_and_then_is_not_missed_in_between(
    ingest: IngestConfig, absent: int, late: int
) -> None:
    found = alarms("flights", ingest)
    silence, lag = found["absent"].settings, found["lag"].settings

    assert silence["period"] * silence["evaluation_periods"] == absent * 60
    assert (silence["metric_name"], silence["treat_missing_data"]) == ("Running", "breaching")
    assert lag["threshold"] == late * 60_000


def test_who_is_paused_is_not_missed() -> None:
    assert "absent" not in alarms("flights", IngestConfig(paused=True))


def test_an_alarm_says_whose_dataset_it_is_and_what_is_wrong() -> None:
    for contract in DATASETS.values():
        for alarm in dataset_alarms("acme", contract, CONTINUOUS):
            assert alarm.says.startswith(f"{contract.dataset} ({contract.owner}): ")


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_tells_when_it_begins_and_when_it_is_over(stack: str) -> None:
    found = estate(stack)
    (policy,) = of(found, "TopicPolicy").values()
    topic = policy.inputs["arn"]

    assert of(found, "MetricAlarm")
    for alarm in of(found, "MetricAlarm").values():
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [topic]


def test_dead_letters_of_the_queue_that_there_is_are_an_alarm(prod: list[Recorded]) -> None:
    alarm = of(prod, "MetricAlarm")["dead-arrivals"].inputs

    assert alarm["dimensions"] == {"QueueName": of(prod, "Queue")["dead-arrivals"].inputs["name"]}


def test_throttling_is_watched_on_the_stream_that_there_is(prod: list[Recorded]) -> None:
    alarm = of(prod, "MetricAlarm")["flights-throttled"].inputs

    assert alarm["dimensions"] == {"StreamName": of(prod, "Stream")["flights"].inputs["name"]}


def test_the_dashboard_shows_every_dataset_without_overlap() -> None:
    widgets = dashboard("eu-west-1", list(DATASETS.values()))["widgets"]
    shown = {metric[3] for w in widgets for metric in w["properties"]["metrics"]}

    assert shown == set(DATASETS)
    places = [(w["x"], w["y"]) for w in widgets]
    assert len(places) == len(set(places)) == 2 * len(DATASETS)


def test_a_failed_run_is_told_with_its_job_its_run_and_its_reason(prod: list[Recorded]) -> None:
    rule = json.loads(of(prod, "EventRule")["failed-runs"].inputs["eventPattern"])
    target = of(prod, "EventTarget")["failed-runs"].inputs

    (start,) = rule["detail"]["jobName"]
    assert all(j.inputs["name"].startswith(start["prefix"]) for j in of(prod, "Job").values())
    assert rule["detail"]["state"] == ["ERROR", "FAILED", "TIMEOUT"]
    paths = target["inputTransformer"]["inputPaths"]
    text = json.loads(target["inputTransformer"]["inputTemplate"])
    assert all(f"<{name}>" in text for name in paths)
    assert target["arn"] == next(iter(of(prod, "TopicPolicy").values())).inputs["arn"]


def test_every_streamed_contract_has_a_schema_of_its_kind(tmp_path: Path) -> None:
    found = with_radar("prod", "main", tmp_path)
    assert set(of(found, "Schema")) == {"flights", "radar"}
    schema = of(found, "Schema")["radar"]
    (registry,) = of(found, "Registry").values()
    fields = {f["name"]: f for f in json.loads(schema.inputs["schemaDefinition"])["fields"]}

    assert schema.protect
    assert schema.inputs["registryArn"].endswith("registry/registry")
    assert registry.inputs["registryName"] == "acme-lakehouse-prod"
    assert (schema.inputs["dataFormat"], schema.inputs["compatibility"]) == ("AVRO", "BACKWARD")
    assert fields["seen"]["type"] == {"type": "long", "logicalType": "timestamp-micros"}
    assert "default" not in fields["seen"]
