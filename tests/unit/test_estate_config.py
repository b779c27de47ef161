from __future__ import annotations

from typing import Any

import pytest

from estate.config import parse_config
from lakehouse.errors import EstateError


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
        ({"keys": {"deletion_days": 31}}, "keys.deletion_days: Input should be less than"),
    ],
)
def test_what_is_wrong_stands_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EstateError) as caught:
        parse_config({"prefix": "acme"} | wrong)

    assert message in str(caught.value)
    assert str(caught.value).startswith("lakehouse:platform: ")
    assert "\n" not in str(caught.value)


def test_every_error_is_named_at_once() -> None:
    with pytest.raises(EstateError, match=r"no 'prefix'; add it; analytics\.results_days: "):
        parse_config({"analytics": {"results_days": 0}})


@pytest.mark.parametrize("raw", [None, [], "local"])
def test_a_configuration_that_is_no_mapping_is_refused(raw: object) -> None:
    with pytest.raises(EstateError, match="lakehouse:platform"):
        parse_config(raw)
