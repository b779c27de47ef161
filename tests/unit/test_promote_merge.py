"""How a candidate is written: what is read of silver, what prunes it, what the MERGE says."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from support.refining import GONE, contract_of

from lakehouse.contracts.model import Contract, Contracts, Deduplicate
from lakehouse.promotion.deliveries import in_loads, past_and
from lakehouse.promotion.history import live_predicate, unique_key
from lakehouse.promotion.merge import current, insert_statement, merge_statement
from lakehouse.promotion.region import bounding_field, day_field, region, touched, within

DAY = date(2013, 1, 10)


def changed(contract: Contract, **changes: Any) -> Contract:
    return msgspec.structs.replace(contract, **changes)


def test_a_bound_in_days_widens_the_range_of_event_times(contracts: Contracts) -> None:
    low, high = "TIMESTAMP '2013-01-03 00:00:00+00:00'", "TIMESTAMP '2013-01-18 00:00:00+00:00'"
    event = "`scheduled_departure`"
    assert region(contracts["flights"], [DAY]) == (
        f"((`_seen_to` >= {low} AND `_seen_from` < {high}) OR "
        f"(`_seen_from` IS NULL AND ({event} >= {low} AND {event} < {high})))"
    )


def test_days_close_together_are_one_range_and_others_stay_apart(contracts: Contracts) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=20)]
    predicate = region(contracts["weather"], days)
    assert predicate.count(" OR ") == 1
    assert "'2013-01-10 00:00:00+00:00' AND `time_hour` < TIMESTAMP '2013-01-12" in predicate


def test_too_many_ranges_become_their_outer_one(contracts: Contracts) -> None:
    days = [DAY + timedelta(days=3 * number) for number in range(150)]
    predicate = region(contracts["weather"], days)
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
    assert bounding_field(contracts[dataset]) == field


def test_an_event_time_outside_the_key_does_not_prune_without_a_bound(
    contracts: Contracts,
) -> None:
    unbounded = Deduplicate(key=("event_id",), keep="first")
    contract = changed(contracts["flights"], deduplicate=unbounded)
    assert bounding_field(contract) is None
    assert region(contract, [DAY]) == ""


def test_text_literals_are_escaped(contracts: Contracts) -> None:
    flights = contracts["flights"]
    partition = msgspec.structs.replace(flights.partition_by[0], field="origin")
    contract = changed(
        flights,
        partition_by=(partition,),
        deduplicate=Deduplicate(key=("origin",), keep="latest"),
    )
    assert region(contract, ["O'Hare"]) == "`origin` IN ('O\\'Hare')"


def test_a_row_without_the_field_is_found_as_well(contracts: Contracts) -> None:
    assert within(contracts["weather"], "time_hour", [None], "t") == "t.`time_hour` IS NULL"
    assert "OR `scheduled_departure` IS NULL" in region(contracts["flights"], [DAY, None])


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_are_days_like_others(contracts: Contracts, day: date) -> None:
    predicate = region(contracts["flights"], [day])
    assert "0001-01-01" in predicate or "9999-12-24" in predicate
    assert "None" not in predicate


def test_changed_days_are_told_as_ranges_and_unknown_ones_as_anywhere(
    contracts: Contracts,
) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=5)]
    found = touched("time_hour", days)
    assert found is not None
    assert found.ranges == (("2013-01-10", "2013-01-12"), ("2013-01-15", "2013-01-16"))
    assert touched("time_hour", [DAY, None]) is None
    assert touched("time_hour", [date.max]) is None
    assert touched(None, [DAY]) is None
    assert day_field(contracts["airlines"]) is None


def test_loads_are_ranges_and_need_not_be_neighbours() -> None:
    assert in_loads([3, 4, 5, 9]) == "(_load BETWEEN 3 AND 5 OR _load BETWEEN 9 AND 9)"
    assert in_loads([]) == "false"
    assert in_loads(range(0, 100, 2)).startswith("(_load BETWEEN 0 AND 98 AND _load IN (0, 2, ")
    assert past_and([7], 6, [2]) == (
        "((_load <= 6 AND NOT (_load BETWEEN 2 AND 2)) OR (_load BETWEEN 7 AND 7))"
    )


def test_rows_that_are_all_new_are_appended() -> None:
    assert insert_statement(contract_of(), "b", "v") == (
        "INSERT INTO lake.silver.things.`branch_b` "
        "(`id`, `at`, `state`, `op`, `_load`, `_source`, `_sequence`, `_index`)\n"
        "SELECT `id`, `at`, `state`, `op`, `_load`, `_source`, `_sequence`, `_index` FROM `v`"
    )


MERGES = {
    "first": (contract_of(keep="first"), "", ""),
    "latest": (contract_of(), "", ""),
    "within": (
        contract_of(within_days=7),
        ", `_seen_from`, `_seen_to`",
        "`_seen_from` = s.`_seen_from`, `_seen_to` = s.`_seen_to`",
    ),
    "deletes": (contract_of(deletes=GONE), ", `_tombstone`", ""),
    "history": (
        contract_of(history=True),
        ", `_valid_from`, `_valid_to`, `_current`, `_seen_to`",
        (
            "`_valid_from` = s.`_valid_from`, `_valid_to` = s.`_valid_to`, "
            "`_current` = s.`_current`, `_seen_to` = s.`_seen_to`"
        ),
    ),
}


@pytest.mark.parametrize("kind", MERGES)
def test_rows_are_merged_by_their_delivery(kind: str) -> None:
    contract, more, assigned = MERGES[kind]
    columns = f"`id`, `at`, `state`, `op`, `_load`, `_source`, `_sequence`, `_index`{more}"
    update = f"WHEN MATCHED THEN UPDATE SET {assigned}\n" if assigned else ""
    assert merge_statement(contract, "b", "v", "(t.`at` IS NULL)") == (
        "MERGE INTO lake.silver.things.`branch_b` t\n"
        "USING `v` s\n"
        "ON t.`_load` = s.`_load` AND t.`_source` = s.`_source` "
        "AND t.`_sequence` = s.`_sequence` AND t.`_index` = s.`_index` AND (t.`at` IS NULL)\n"
        "WHEN MATCHED AND s._gone THEN DELETE\n"
        f"{update}"
        f"WHEN NOT MATCHED THEN INSERT ({columns})\n"
        f"VALUES ({columns.replace('`, `', '`, s.`').replace('`id`', 's.`id`', 1)})"
    )


def test_of_silver_only_what_decides_is_read() -> None:
    select = current(contract_of(), "silver", "(`at` IS NULL)", "k")
    assert "t.`at`" in select
    assert "CAST(NULL AS string) AS `state`" in select
    assert "WHERE (`at` IS NULL)" in select
    assert "t.`state`" in current(contract_of(history=True), "silver", "", "k")


def test_readers_and_gate_know_tombstones_and_versions() -> None:
    assert live_predicate(contract_of()) == ""
    assert live_predicate(contract_of(deletes=GONE)) == "coalesce(_tombstone, false) = false"
    assert unique_key(contract_of()) == ("id",)
    assert unique_key(contract_of(history=True)) == ("id", "_valid_from")
