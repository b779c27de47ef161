"""Gate limits, references, freshness, deletes, history and mart inputs in a contract."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.contracts.model import Deletes, Drift, MartInput, Reference
from lakehouse.contracts.odcs import load_contracts, parse_contract
from lakehouse.errors import ContractError


def document(name: str = "orders", source: str = "files", **custom: Any) -> dict[str, Any]:
    properties = [
        {"name": "id", "logicalType": "integer", "primaryKey": True},
        {"name": "day", "logicalType": "date"},
        {"name": "at", "logicalType": "timestamp"},
        {"name": "amount", "logicalType": "number"},
        {"name": "kind", "logicalType": "string", "classification": "confidential"},
    ]
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": name,
        "version": "1.0.0",
        "status": "active",
        "team": {"name": "sales"},
        "customProperties": [
            {"property": key, "value": value} for key, value in {"source": source, **custom}.items()
        ],
        "schema": [{"name": name, "properties": properties}],
    }


def parsed(given: dict[str, Any]) -> Any:
    return parse_contract(yaml.safe_dump(given), "orders.yaml")


def test_the_gate_of_a_contract() -> None:
    drift = {"rows": 0.5, "means": {"amount": 0.2}}
    limits = {"onFail": "set-aside", "rejectShare": 0.05, "drift": drift}
    gate = parsed(document(gate={**limits, "levels": {"missing": "warn"}})).gate
    assert (gate.on_fail, gate.reject_share) == ("set-aside", 0.05)
    assert gate.drift == Drift(rows=0.5, means={"amount": 0.2})
    assert [gate.level(kind) for kind in ("missing", "freshness", "drift")] == [
        "warn",
        "warn",
        "fail",
    ]
    assert parsed(document()).gate.on_fail == "hold"


def test_deletes_history_and_what_is_masked() -> None:
    deletes = {"field": "kind", "values": ["gone"]}
    contract = parsed(document(deduplicate={"deletes": deletes, "history": True}))
    assert contract.deduplicate.deletes == Deletes("kind", ("gone",))
    assert contract.deduplicate.history
    assert [field.name for field in contract.fields if field.masked] == ["kind"]


def test_a_reference_and_the_field_that_freshness_is_told_by() -> None:
    given = document()
    given["schema"][0]["properties"][0]["relationships"] = [{"to": "items.id"}]
    sla = {"property": "freshness", "value": 2, "unit": "h", "element": "orders.at"}
    given["slaProperties"] = [sla]
    contract = parsed(given)
    assert contract.field("id").reference == Reference("items", "id")
    assert (contract.sla.freshness_hours, contract.sla.freshness_field) == (2.0, "at")


def test_the_inputs_of_a_mart() -> None:
    inputs = [{"table": "silver.orders", "field": "day", "slackDays": 1}]
    mart = parsed(document("daily", "mart", partitionBy="month(day)", inputs=inputs))
    assert mart.inputs == (MartInput(table="silver.orders", field="day", slack_days=1),)


@pytest.mark.parametrize(
    ("custom", "says"),
    [
        ({"gate": {"onFail": "ignore"}}, "Invalid enum value 'ignore'"),
        ({"gate": {"rejectShare": 1.5}}, "gate.rejectShare is 1.5; expected 0 to 1"),
        ({"gate": {"drift": {"means": {"kind": 0.1}}}}, "gate.drift.means.kind needs a number"),
        ({"gate": {"drift": {"means": {"size": 0.1}}}}, "no property 'size'"),
        ({"gate": {"rejectshare": 0.1}}, "did you mean 'rejectShare'"),
        ({"deduplicate": {"history": True, "keep": "first"}}, "remove keep and within"),
        ({"deduplicate": {"deletes": {"field": "op", "values": []}}}, "no property 'op'"),
        (
            {"deduplicate": {"deletes": {"field": "at", "values": ["x"]}}},
            "expected a string, integer or boolean",
        ),
        (
            {"deduplicate": {"keep": "first", "deletes": {"field": "kind", "values": ["x"]}}},
            "goes with 'keep: latest'",
        ),
        ({"inputs": [{"table": "silver.x", "field": "day"}]}, "'inputs' needs source mart"),
        ({"onFailedGate": "hold"}, "onFailedGate"),
    ],
)
def test_what_does_not_fit_is_refused(custom: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError) as caught:
        parsed(document(**custom))
    assert says in str(caught.value)


@pytest.mark.parametrize("to", ["a.b.c", ["items.a", "items.b"]])
def test_a_reference_names_one_field_of_one_dataset(to: Any) -> None:
    given = document()
    given["schema"][0]["properties"][0]["relationships"] = [{"to": to}]
    with pytest.raises(ContractError, match=re.escape("expected one 'to: dataset.field'")):
        parsed(given)


def test_what_contracts_name_of_each_other_is_there(tmp_path: Path) -> None:
    def load(*documents: dict[str, Any]) -> None:
        for given in documents:
            (tmp_path / f"{given['id']}.yaml").write_text(yaml.safe_dump(given))
        load_contracts(tmp_path)

    orders, items = document("orders"), document("items")
    inputs = [{"table": "silver.orders", "field": "day"}]
    daily = document("daily", "mart", partitionBy="day", inputs=inputs)
    orders["schema"][0]["properties"][1]["relationships"] = [{"to": "items.day"}]
    load(orders, items, daily)
    inputs[0]["field"] = "dya"
    with pytest.raises(ContractError, match=re.escape("silver.orders has the fields id, day, at")):
        load(daily)
    inputs[0] |= {"table": "gold.orders", "field": "day"}
    with pytest.raises(
        ContractError, match=re.escape("has no table gold.orders, it has gold.daily")
    ):
        load(daily)
    inputs[0]["table"] = "silver.orders"
    orders["schema"][0]["properties"][1]["relationships"] = [{"to": "things.day"}]
    with pytest.raises(ContractError, match=re.escape("property 'day' refers to things.day")):
        load(orders, daily)
