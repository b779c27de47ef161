"""The Soda contract that is rendered from a contract."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lakehouse.contracts.model import Contracts
from lakehouse.promotion import soda

GOLDEN = Path(__file__).parents[1] / "golden" / "soda"


@pytest.mark.parametrize("dataset", ["flights", "weather", "delay_by_weather"])
def test_the_rendered_contract_is_the_golden_one(contracts: Contracts, dataset: str) -> None:
    contract = contracts[dataset]
    rendered = soda.render(contract, soda.dataset_path(contract, "audit_x"))
    assert rendered == (GOLDEN / f"{dataset}.yaml").read_text(encoding="utf-8")


def test_every_contract_counts_its_rows(contracts: Contracts) -> None:
    for contract in contracts.values():
        first = soda.document(contract, "p")["checks"][0]
        assert first["row_count"]["threshold"] == {"must_be_greater_than": 0}


def test_the_number_of_checks_is_the_number_of_results_to_expect(contracts: Contracts) -> None:
    assert soda.count(contracts["flights"]) == 3 + 9
    assert soda.count(contracts["weather"]) == 3 + 2


def test_checks_of_one_type_are_told_apart_and_their_own_qualifier_is_kept(
    contracts: Contracts,
) -> None:
    checks = (
        {"failed_rows": {"expression": "a"}},
        {"failed_rows": {"expression": "b", "qualifier": "mine"}},
        {"row_count": None},
    )
    contract = msgspec.structs.replace(contracts["weather"], checks=checks)
    own = soda.document(contract, "p")["checks"][2:]
    assert [next(iter(check.values()))["qualifier"] for check in own] == [
        "contract_1",
        "mine",
        "contract_3",
    ]


def test_row_rules_become_checks_for_a_mart_alone(contracts: Contracts) -> None:
    kinds = {
        name: {
            kind
            for column in soda.document(contracts[name], "p")["columns"]
            for check in column["checks"]
            for kind in check
        }
        for name in ("weather", "delay_by_weather")
    }
    assert "invalid" in kinds["delay_by_weather"]
    assert "invalid" not in kinds["weather"]
