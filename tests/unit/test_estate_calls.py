from __future__ import annotations

import functools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import apicalls_data, apicalls_lake, apicalls_network, apicalls_signals
from support.apicalls import CALLS, NOT_SENT, WITHOUT_CALL, calls
from support.apicheck import refusals
from support.estategraph import graph, provider
from support.rendered import CONTRACTS, STACKS, account, estate, of, put, with_many, with_radar

from localaws.apply import Recorded, render
from policies.rules import findings

assert apicalls_data, "the four register the types"
assert apicalls_lake
assert apicalls_network
assert apicalls_signals

ALSO: dict[str, dict[str, Any]] = {
    "endpoints": {"network": {"zones": 3, "egress": "endpoints"}, "jobs": {}},
    "nat_per_zone": {"network": {"zones": 3, "nat_per_zone": True}},
    "memory": {"jobs": {"promote": {"worker_type": "R.1X"}}},
    "tags": {"cost": {"monthly_usd": 250, "activate_tags": True}},
    "mails": {"alerts": {"emails": ["on-call@example.org"]}},
}
"""Changes to staging, for resources that no stack has as it is."""
ON, KIND, VALUES = "projection.enabled", "projection.dataset.type", "projection.dataset.values"
PROJECTED = {
    ON: "true",
    KIND: "enum",
    VALUES: "flights",
    "storage.location.template": "s3://acme-lakehouse-prod-verdicts/",
}
NOISE = {f"k{n}": random.Random(n).randbytes(250_000).hex() for n in range(5)}
VIEW = "/* Presto View: eyJvcmlnaW5hbFNxbCI6ICJTRUxFQ1QgMSJ9 */"
"""Its text is {"originalSql": "SELECT 1"} alone."""


@functools.cache
def variant(name: str) -> list[Recorded]:
    return render("staging", CONTRACTS, ALSO[name])


def refused(resources: list[Recorded]) -> list[str]:
    return [
        f"{resource.type} {resource.name!r}: {line}"
        for resource in resources
        if resource.type not in WITHOUT_CALL
        for call in calls(resource)
        for line in refusals(call)
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_aws_would_take_every_resource_of_a_stack(stack: str) -> None:
    assert refused(estate(stack)) == []


@pytest.mark.parametrize("name", ALSO)
def test_aws_would_take_what_a_stack_may_choose(name: str) -> None:
    assert refused(variant(name)) == []


def test_aws_would_take_what_a_contract_adds(tmp_path: Path) -> None:
    found = with_radar("prod", "radar", tmp_path)

    assert "radar" in of(found, "Schema")
    assert refused(found) == []


def test_a_hundred_contracts_are_no_more_than_aws_takes(tmp_path: Path) -> None:
    found = with_many("prod", 100, 20, tmp_path)

    assert len(of(found, "Stream")) == 100
    assert findings(graph([*found, provider("prod")])) == []
    assert refused(found) == []


def test_every_type_has_its_calls_or_a_reason_to_have_none(tmp_path: Path) -> None:
    used = {r.type for stack in STACKS for r in estate(stack)} | {
        r.type for name in ALSO for r in variant(name)
    }
    used |= {r.type for r in with_radar("dev", "main", tmp_path)}
    used |= {r.type for r in account(cost_tags=["deployment"])}

    assert used == set(CALLS) | set(WITHOUT_CALL)
    assert {kind for kind, _ in NOT_SENT} <= used


def test_an_input_that_goes_into_no_call_is_found() -> None:
    (job,) = (r for r in estate("dev") if r.type.endswith(":Stream"))

    with pytest.raises(ValueError, match=r"'enforceConsumerDeletion'.* go into no call"):
        calls(replace(job, inputs={**job.inputs, "enforceConsumerDeletion": True}))


@pytest.mark.parametrize(
    ("kind", "name", "path", "wrong", "message"),
    [
        ("Job", "land", "name", "j" * 300, "300 characters are not between 1 and 255"),
        ("Job", "land", "workerType", "G.3X", "'G.3X' is none of Standard, G.1X"),
        ("Job", "land", "workerType", "G.025X", "G.025X is for gluestreaming"),
        ("Job", "land", "executionClass", "SPOT", "'SPOT' is none of FLEX, STANDARD"),
        ("Job", "ingest-main", "executionClass", "FLEX", "FLEX is for glueetl"),
        ("Job", "ingest-main", "maintenanceWindow", "Sun:24", "does not match"),
        ("Job", "land", "maintenanceWindow", "Sun:10", "MaintenanceWindow is for gluestreaming"),
        ("Job", "land", "timeout", 20_000, "not between 1 and 10080"),
        ("Job", "land", "numberOfWorkers", "two", "Invalid type for parameter NumberOfWorkers"),
        ("Job", "land", "roleArn", None, 'Missing required parameter in input: "Role"'),
        ("Job", "land", "workers", 2, 'Unknown parameter in input: "Workers"'),
        ("Job", "land", "command.name", "spark", "command 'spark' is none of Glue's"),
        ("Schedule", "ingest-main", "scheduleExpression", "rate(1 minutes)", "no rate()"),
        ("Schedule", "ingest-main", "scheduleExpression", "rate(5m)", "no rate()"),
        ("Schedule", "ingest-main", "scheduleExpression", "cron(0 5 * *)", "no rate()"),
        ("Schedule", "ingest-main", "flexibleTimeWindow.mode", "ON", "'ON' is none of OFF, FLEX"),
        ("Bucket", "ledger", "bucket", "Acme-Ledger", "'Acme-Ledger' is no bucket's name"),
        ("Bucket", "ledger", "bucket", "a" * 64, "is no bucket's name"),
        ("BucketVersioning", "ledger", "versioningConfiguration.status", "On", "'On' is none of"),
        ("LogGroup", "flow-logs", "retentionInDays", 25, "25 days are none of"),
        ("LogGroup", "flow-logs", "name", "a:b", "does not match"),
        ("Stream", "flights", "streamModeDetails.streamMode", "AUTO", "'AUTO' is none of"),
        ("Stream", "flights", "name", "flights/1", "does not match"),
        ("Stream", "flights", "retentionPeriod", "week", "Invalid type for parameter Retention"),
        ("Stream", "flights", "maxRecordSizeInKib", 20_000, "20000  are not between 1024"),
        ("Role", "land", "name", "r" * 65, "65 characters are not between 1 and 64"),
        ("RolePolicy", "land", "policy", "x" * 10_241, "10241 characters are more than 10240"),
        ("Alias", "alias-gold", "name", "gold key", "does not match"),
        ("Key", "key-gold", "deletionWindowInDays", 40, "40 days are not between 7 and 30"),
        ("Queue", "arrivals", "visibilityTimeoutSeconds", 50_000, "not between 0 and 43200"),
        ("Queue", "arrivals", "name", "a" * 81, "is no queue's name"),
        ("MetricAlarm", "flights-lag", "period", 45, "period 45 is no multiple of 60"),
        ("MetricAlarm", "flights-lag", "evaluationPeriods", 500, "a day at the most"),
        ("MetricAlarm", "flights-lag", "statistic", "Mean", "'Mean' is none of"),
        ("MetricAlarm", "flights-lag", "comparisonOperator", "Above", "'Above' is none of"),
        ("MetricAlarm", "flights-rejects", "metricQueries.2.returnData", False, "exactly one"),
        ("Workgroup", "analyst", "name", "analysts of ours", "does not match"),
        ("Environment", "airflow", "environmentClass", "mw1.tiny", "is none of MWAA's"),
        ("Environment", "airflow", "networkConfiguration.subnetIds", ["s"], "min length: 2"),
        ("Environment", "airflow", "webserverAccessMode", "OPEN", "'OPEN' is none of"),
        ("Environment", "airflow", "weeklyMaintenanceWindowStart", "SUN:10:15", "does not match"),
        ("Environment", "airflow", "minWorkers", 9, "1 to 25 workers"),
        ("VpcEndpoint", "s3", "vpcEndpointType", "Door", "'Door' is none of"),
        ("FlowLog", "flow-logs", "trafficType", "SOME", "'SOME' is none of ACCEPT, REJECT, ALL"),
        ("FlowLog", "flow-logs", "maxAggregationInterval", 300, "300 s are neither 60 nor 600"),
        ("EventRule", "arrivals", "eventPattern", "x" * 2049, "longer than 2048"),
        ("SecurityGroup", "members", "description", "jobs' group", "characters that EC2 refuses"),
        ("SecurityGroupEgressRule", "tls-out", "fromPort", "https", "Invalid type for parameter"),
        ("Trail", "lake", "advancedEventSelectors.0.fieldSelectors.0.equals", [], "min length: 1"),
        ("Budget", "monthly", "timeUnit", "WEEKLY", "'WEEKLY' is none of"),
        ("Budget", "monthly", "limitAmount", "many", "does not match"),
        ("AnomalySubscription", "anomalies", "frequency", "HOURLY", "'HOURLY' is none of"),
        ("Connection", "network", "connectionType", "VPN", "'VPN' is none of"),
        ("CatalogTable", "verdicts", "name", "Verdicts", "'Verdicts' is not in lower case"),
        ("CatalogTable", "verdicts", "databaseName", None, 'required parameter in input: "Dat'),
        ("CatalogTable", "verdicts", "tableVersion", 2, 'parameter in TableInput: "TableVersion"'),
        ("CatalogTable", "verdicts", "description", "d" * 2049, "2049 characters are not"),
        ("CatalogTable", "verdicts", "partitionKeys.0.name", "layer", "two columns have one name"),
        ("CatalogTable", "verdicts", "storageDescriptor.columns.0.name", "a b", "not in lower"),
        ("CatalogTable", "verdicts", "storageDescriptor.columns.0.type", "x" * 131_073, "131073 c"),
        ("CatalogTable", "verdicts", "storageDescriptor.location", "s" * 2057, "2057 characters"),
        ("CatalogTable", "verdicts", "storageDescriptor.serDeInfo.library", "x", "Unknown paramet"),
        ("CatalogTable", "verdicts", "parameters", PROJECTED, "no place for 'dataset'"),
        ("CatalogTable", "verdicts", "parameters", {ON: "true"}, "has projection None"),
        ("CatalogTable", "verdicts", "parameters", PROJECTED | {KIND: "list"}, "projection 'list'"),
        ("CatalogTable", "verdicts", "parameters", PROJECTED | {VALUES: "a, b"}, "values 'a, b'"),
        ("CatalogTable", "verdicts", "parameters", PROJECTED | {VALUES: ""}, "has values ''"),
        ("CatalogTable", "verdicts", "parameters", {"x": "y" * 512_001}, "512001 characters are"),
        ("CatalogTable", "verdicts", "parameters", NOISE, "compressed bytes are more than 1000000"),
        ("CatalogTable", "checks", "parameters", {}, "has no parameter presto_view"),
        ("CatalogTable", "checks", "viewOriginalText", "SELECT 1", "text is none of Athena's"),
        ("CatalogTable", "checks", "viewOriginalText", VIEW, "its text lacks ['catalog', 'columns"),
        ("CatalogTable", "checks", "storageDescriptor.columns.0.name", "set", "other columns than"),
    ],
)  # fmt: skip
def test_what_aws_would_refuse_is_found(
    kind: str, name: str, path: str, wrong: Any, message: str
) -> None:
    # prod's ingest job is a batch job, which may be FLEX; that of local streams.
    stack = "local" if name == "ingest-main" else "prod"
    resource = of(estate(stack), kind)[name]
    mistaken = replace(resource, inputs=put(resource.inputs, path, wrong))

    found = refused([mistaken])

    assert any(message in line for line in found), found
