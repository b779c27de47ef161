"""The MERGE of an increment: what it compares, what it prunes, what it updates."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from lakehouse.contracts.model import Contract, Contracts, Deduplicate
from lakehouse.promotion.merge import merge_statement, pruning, pruning_field

DAY = date(2013, 1, 10)


def changed(contract: Contract, **changes: Any) -> Contract:
    return msgspec.structs.replace(contract, **changes)


def test_a_bound_in_days_widens_the_range_of_event_times(contracts: Contracts) -> None:
    assert pruning(contracts["flights"], [DAY]) == (
        "((t.`scheduled_departure` >= TIMESTAMP '2013-01-03 00:00:00+00:00' "
        "AND t.`scheduled_departure` < TIMESTAMP '2013-01-18 00:00:00+00:00'))"
    )


def test_days_close_together_are_one_range_and_others_stay_apart(contracts: Contracts) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=20)]
    predicate = pruning(contracts["weather"], days)
    assert predicate.count(" OR ") == 1
    assert "'2013-01-10 00:00:00+00:00' AND t.`time_hour` < TIMESTAMP '2013-01-12" in predicate


def test_too_many_ranges_become_their_outer_one(contracts: Contracts) -> None:
    days = [DAY + timedelta(days=3 * number) for number in range(150)]
    predicate = pruning(contracts["weather"], days)
    assert " OR " not in predicate
    assert str(days[0]) in predicate
    assert str(days[-1] + timedelta(days=1)) in predicate


@pytest.mark.parametrize(
    ("dataset", "field"),
    [("flights", "scheduled_departure"), ("weather", "time_hour"), ("airlines", None)],
)
def test_only_what_bounds_the_key_prunes(
    contracts: Contracts, dataset: str, field: str | None
) -> None:
    assert pruning_field(contracts[dataset]) == field


def test_an_event_time_outside_the_key_does_not_prune_without_a_bound(
    contracts: Contracts,
) -> None:
    unbounded = Deduplicate(key=("event_id",), keep="first")
    contract = changed(contracts["flights"], deduplicate=unbounded)
    assert pruning_field(contract) is None
    assert pruning(contract, [DAY]) == ""


def test_text_literals_are_escaped(contracts: Contracts) -> None:
    flights = contracts["flights"]
    partition = msgspec.structs.replace(flights.partition_by[0], field="origin")
    contract = changed(
        flights,
        partition_by=(partition,),
        deduplicate=Deduplicate(key=("origin",), keep="latest"),
    )
    assert pruning(contract, ["O'Hare"]) == "t.`origin` IN ('O\\'Hare')"


def test_the_first_is_kept_by_inserting_only(contracts: Contracts) -> None:
    statement = merge_statement(contracts["flights"], "b", "v", "")
    assert "MERGE INTO lake.silver.flights.`branch_b` t" in statement
    assert "UPDATE" not in statement
    assert "BETWEEN s.`scheduled_departure` - INTERVAL '7' DAY" in statement


def test_the_latest_is_kept_by_updating_what_is_older(contracts: Contracts) -> None:
    statement = merge_statement(contracts["weather"], "b", "v", "(true)")
    assert "WHEN MATCHED AND (t.`time_hour` IS NULL OR s.`time_hour` > t.`time_hour`" in statement
    assert "AND (true)" in statement
