from __future__ import annotations

from typing import Any

import pytest

from estate.config import parse_config
from lakehouse.errors import EstateError
from localaws.apply import stack_config


def test_a_prefix_is_enough() -> None:
    assert parse_config({"prefix": "acme"}).streams.mode == "ON_DEMAND"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"straems": {}}, "unknown key 'straems'; did you mean 'streams'?"),
        ({"jobs": {"land": {"worker": 2}}}, "unknown key 'jobs.land.worker'"),
        ({"prefix": "Acme_Lake"}, "prefix: String should match pattern"),
        ({"prefix": "a" * 41}, "prefix: String should have at most 40 characters"),
        ({"disposable": "yes"}, "disposable: Input should be a valid boolean, got 'yes'"),
        ({"streams": {"mode": "ON_DEMAND", "shards": 2}}, "ON_DEMAND streams have none"),
        ({"streams": {"mode": "PROVISIONED"}}, "shards is for PROVISIONED streams"),
        ({"streams": {"retention_hours": 12}}, "streams.retention_hours: Input should be greater"),
        ({"jobs": {"ingest": {"continuous": False, "worker_type": "G.025X"}}}, "take G.1X"),
        ({"jobs": {"ingest": {"maintenance_window": "Sun:24"}}}, "maintenance_window"),
        ({"jobs": {"land": {"execution_class": "FLEX", "worker_type": "G.4X"}}}, "G.1X and G.2X"),
        ({"jobs": {"land": {"worker_type": "G.025X"}}}, "jobs.land.worker_type: Input should be"),
        ({"network": {"cidr": "10.40.0.0/20"}}, "10.40.0.0/20 is no private /16 or /17 of IPv4"),
        ({"network": {"cidr": "8.8.0.0/16"}}, "8.8.0.0/16 is no private /16 or /17"),
        ({"network": {"cidr": "ten"}}, "network.cidr: ten is no network, such as 10.40.0.0/16"),
        ({"network": {"cidr": "10.40.0.1/16"}}, "10.40.0.1/16 is no network"),
        ({"network": {"zones": 1}}, "network.zones: Input should be greater than or equal to 2"),
        ({"network": {"egress": "open"}}, "network.egress: Input should be 'nat' or 'endpoints'"),
        ({"network": {"flow_log_days": 25}}, "network.flow_log_days: Input should be 7, 14,"),
        (
            {"network": {"egress": "endpoints", "nat_per_zone": True}},
            "nat_per_zone is for egress nat",
        ),
        (
            {"network": {"egress": "endpoints"}, "jobs": {"python_requirements": "x.txt"}},
            "jobs.python_requirements fetches packages from an index",
        ),
        (
            {"network": {"egress": "endpoints"}, "airflow": {}},
            "airflow fetches packages from an index that endpoints do not lead to",
        ),
        ({"retain": True, "disposable": True}, "a stack is disposable or its data is retained"),
        ({"airflow": {}}, "airflow runs in a network of the estate's own; add network: {}"),
        (
            {"network": {}, "airflow": {"environment_class": "mw1.tiny"}},
            "airflow.environment_class: Input should be 'mw1.micro', 'mw1.small'",
        ),
        (
            {"network": {}, "airflow": {"environment_class": "mw1.micro"}},
            "mw1.micro has one worker; set max_workers: 1",
        ),
        (
            {"network": {}, "airflow": {"min_workers": 4, "max_workers": 3}},
            "min_workers 4 is above max_workers 3",
        ),
        ({"network": {}, "airflow": {"max_workers": 26}}, "airflow.max_workers: Input should be"),
        (
            {"network": {}, "airflow": {"maintenance": "SUN:10:15"}},
            "airflow.maintenance: String should match pattern",
        ),
        ({"alerts": {"emails": ["nobody"]}}, "alerts.emails.0: String should match pattern"),
        (
            {"analytics": {"scan_limit_gb": {"analyst": 0}}},
            "analytics.scan_limit_gb.analyst: Input should be greater",
        ),
        (
            {"audiences": {"analysts": []}},
            "unknown key 'audiences.analysts'; did you mean 'analyst'?",
        ),
        ({"audit": {"days": 7}}, "audit.days: Input should be greater than or equal to 30"),
        ({"cost": {}}, "no 'cost.monthly_usd'; add it"),
        ({"cost": {"monthly_usd": 0}}, "cost.monthly_usd: Input should be greater"),
        ({"lake": {"noncurrent_days": 0}}, "lake.noncurrent_days: Input should be greater"),
        ({"streams": {"compatibility": "NONE"}}, "streams.compatibility: Input should be"),
        ({"streams": {"max_record_kib": 10_241}}, "streams.max_record_kib: Input should be less"),
        ({"jobs": {"ingest": {"every_minutes": 0}}}, "jobs.ingest.every_minutes: Input should"),
        ({"keys": {"deletion_days": 31}}, "keys.deletion_days: Input should be less than"),
    ],
)
def test_what_is_wrong_stands_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EstateError) as caught:
        parse_config({"prefix": "acme"} | wrong)

    assert message in str(caught.value)
    assert str(caught.value).startswith("lakehouse:platform: ")
    assert "\n" not in str(caught.value)


def test_addresses_are_a_list_as_yaml_has_it() -> None:
    config = parse_config({"prefix": "acme", "alerts": {"emails": ["on-call@example.org"]}})

    assert config.alerts.emails == ("on-call@example.org",)


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_costs_are_counted_by_a_tag_that_the_stack_sets(stack: str) -> None:
    config = stack_config(stack)
    parsed = parse_config(config["lakehouse:platform"])

    if parsed.cost:
        assert config["aws:defaultTags"]["tags"]["deployment"] == parsed.prefix


def test_every_error_is_named_at_once() -> None:
    with pytest.raises(EstateError, match=r"no 'prefix'; add it; analytics\.results_days: "):
        parse_config({"analytics": {"results_days": 0}})


@pytest.mark.parametrize("raw", [None, [], "local"])
def test_a_configuration_that_is_no_mapping_is_refused(raw: object) -> None:
    with pytest.raises(EstateError, match="lakehouse:platform"):
        parse_config(raw)
