"""The Soda contracts that are rendered from a contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from lakehouse.contracts.model import Contract, Contracts, Deduplicate, Drift, Gate, Reference, Sla
from lakehouse.promotion import soda

GOLDEN = Path(__file__).parents[1] / "golden" / "soda"
SCOPE = "time_hour >= TIMESTAMP '2013-01-01 00:00:00+00:00'"


def changed(contract: Contract, field: str | None = None, **changes: Any) -> Contract:
    if field is None:
        return msgspec.structs.replace(contract, **changes)
    fields = tuple(
        msgspec.structs.replace(f, **changes) if f.name == field else f for f in contract.fields
    )
    return msgspec.structs.replace(contract, fields=fields)


def kinds(contract: Contract, published: soda.Published | None = None) -> list[tuple[Any, str]]:
    return [(check.column, check.kind) for check in soda.checks(contract, published)]


@pytest.mark.parametrize("dataset", ["flights", "weather", "delay_by_weather"])
def test_the_rendered_contract_is_the_golden_one(contracts: Contracts, dataset: str) -> None:
    contract = contracts[dataset]
    (rendered,) = soda.documents(contract, soda.dataset_path(contract, "audit_x"))
    assert rendered == (GOLDEN / f"{dataset}.yaml").read_text(encoding="utf-8")


def test_every_contract_counts_its_rows(contracts: Contracts) -> None:
    for contract in contracts.values():
        first = soda.checks(contract)[0]
        assert first.kind == "row_count"
        assert first.settings["threshold"] == {"must_be_greater_than": 0}


def test_checks_of_one_type_are_told_apart_and_their_own_words_are_kept(
    contracts: Contracts,
) -> None:
    checks = (
        {"failed_rows": {"expression": "a"}},
        {"failed_rows": {"expression": "b", "qualifier": "mine", "name": "b holds"}},
        {"row_count": None},
    )
    own = soda.checks(changed(contracts["weather"], checks=checks))[2:5]
    assert [check.settings["qualifier"] for check in own] == ["contract_1", "mine", "contract_3"]
    assert [check.settings["name"] for check in own] == [
        "failed_rows 1 of the contract",
        "b holds",
        "row_count 3 of the contract",
    ]


def test_row_rules_become_checks_for_a_mart_alone(contracts: Contracts) -> None:
    assert "invalid" in {kind for _, kind in kinds(contracts["delay_by_weather"])}
    assert "invalid" not in {kind for _, kind in kinds(contracts["weather"])}


def test_a_scope_is_for_the_checks_that_hold_row_by_row_alone(contracts: Contracts) -> None:
    percent = {"missing": {"threshold": {"metric": "percent", "must_be_less_than": 5}}}
    few = {"missing": {"threshold": {"must_be_less_than": 5}}}
    query = {"failed_rows": {"query": "SELECT 1"}}
    contract = changed(contracts["weather"], "temp", checks=(percent, few))
    contract = changed(contract, checks=(*contract.checks, query))
    near, far = (
        yaml.safe_load(text) for text in soda.documents(contract, "p", live="", scope=SCOPE)
    )
    assert near["filter"] == f"({SCOPE})"
    assert [next(iter(check)) for check in near["checks"]] == ["duplicate", "failed_rows"]
    assert {column["name"] for column in near["columns"]} == {"origin", "time_hour"}
    assert "filter" not in far
    assert [next(iter(check)) for check in far["checks"]] == ["row_count", "failed_rows"]
    assert [column["name"] for column in far["columns"]] == ["temp"]


def test_checks_of_single_rows_look_at_those_that_were_brought(contracts: Contracts) -> None:
    own = {"failed_rows": {"expression": "dewp > temp", "filter": "temp > 0"}}
    contract = changed(contracts["weather"], "origin", reference=Reference("airports", "faa"))
    (near, _) = (
        yaml.safe_load(text)
        for text in soda.documents(
            changed(contract, checks=(own,)), "p", scope=SCOPE, brought="_load IN (4)"
        )
    )
    filters = {
        settings["name"]: settings.get("filter")
        for check in [*near["checks"], *(c for col in near["columns"] for c in col["checks"])]
        for settings in check.values()
    }
    assert filters == {
        "unique by origin, time_hour": None,
        "failed_rows 1 of the contract": "(temp > 0) AND (_load IN (4))",
        "origin is there": "_load IN (4)",
        "origin is in airports.faa": None,
        "time_hour is there": "_load IN (4)",
    }


def test_tombstones_count_nowhere(contracts: Contracts) -> None:
    near, far = (
        yaml.safe_load(text)["filter"]
        for text in soda.documents(contracts["weather"], "p", live="_deleted = false", scope=SCOPE)
    )
    assert near == f"({SCOPE}) AND (_deleted = false)"
    assert far == "_deleted = false"


def test_versions_of_a_key_are_unique_by_their_begin(contracts: Contracts) -> None:
    rule = Deduplicate(key=("tailnum",), history=True)
    checks = soda.checks(changed(contracts["planes"], deduplicate=rule))
    (duplicate,) = (check for check in checks if check.kind == "duplicate")
    assert duplicate.settings["columns"] == ["tailnum", "_valid_from"]


def test_a_reference_is_looked_up_in_the_other_datasets_silver(contracts: Contracts) -> None:
    contract = changed(contracts["flights"], "carrier", reference=Reference("airlines", "carrier"))
    (check,) = (check for check in soda.checks(contract) if check.kind == "invalid")
    assert check.column == "carrier"
    assert check.settings["valid_reference_data"] == {
        "dataset": "lake/silver/airlines",
        "column": "carrier",
    }
    assert check.row_wise


def test_drift_is_measured_against_what_is_published(contracts: Contracts) -> None:
    gate = Gate(drift=Drift(rows=0.5, means={"temp": 0.1, "dewp": 0.1}))
    contract = changed(contracts["weather"], gate=gate)
    assert kinds(contract) == kinds(contracts["weather"]), "nothing is published yet"
    published = soda.Published(rows=100, means={"temp": -40.0})
    drifts = [
        check
        for check in soda.checks(contract, published)
        if check.settings["qualifier"] == "drift"
    ]
    assert [check.settings["threshold"]["must_be_between"] for check in drifts] == [
        {"greater_than_or_equal": 50.0, "less_than_or_equal": 150.0},
        {"greater_than_or_equal": -44.0, "less_than_or_equal": -36.0},
    ]
    assert not any(check.row_wise for check in drifts)


def test_freshness_is_a_check_where_the_contract_names_the_field_and_warns(
    contracts: Contracts,
) -> None:
    fresh = changed(contracts["weather"], sla=Sla(freshness_hours=6, freshness_field="time_hour"))
    (check,) = (check for check in soda.checks(fresh) if check.kind == "freshness")
    assert check.settings["threshold"] == {
        "unit": "hour",
        "must_be_less_than_or_equal": 6,
        "level": "warn",
    }
    assert "freshness" not in {kind for _, kind in kinds(contracts["weather"])}


def test_the_contract_lowers_the_level_of_a_derived_check(contracts: Contracts) -> None:
    contract = changed(contracts["weather"], gate=Gate(levels={"missing": "warn"}))
    levels = {
        check.kind: (check.settings.get("threshold") or {}).get("level", "fail")
        for check in soda.checks(contract)
    }
    assert levels == {
        "row_count": "fail",
        "duplicate": "fail",
        "failed_rows": "fail",
        "missing": "warn",
    }
