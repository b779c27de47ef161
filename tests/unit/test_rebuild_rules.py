from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from support.refining import contract_of

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Partition
from lakehouse.errors import InputError
from lakehouse.maintenance.branches import LIFE, dead_rebuilds, rebuild_branch, require_rebuild
from lakehouse.maintenance.compare import identity, rows_of
from lakehouse.maintenance.operate import Operator
from lakehouse.maintenance.rebuild import batches, fingerprint
from lakehouse.promotion.verdict import LoadCounts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def partitioned(*, field: str = "at", transform: Any = "day") -> Contract:
    return msgspec.structs.replace(
        contract_of(), partition_by=(Partition(field=field, transform=transform),)
    )


def operator() -> Operator:
    return Operator(
        aws=Aws("nowhere", "us-east-1"),
        session=lambda: None,
        contracts=Contracts([], "nowhere"),
        marts={},
        clock=lambda: NOW,
        run_id="run",
        code="",
        dry_run=True,
    )


def branched(*names: str) -> Any:
    refs = {name: SimpleNamespace(snapshot_id=n) for n, name in enumerate(names)}
    return SimpleNamespace(metadata=SimpleNamespace(refs=refs), name=lambda: ("silver", "things"))


def test_loads_are_rebuilt_in_order_in_batches_that_are_bounded() -> None:
    counts = [LoadCounts(n, good, {}) for n, good in ((0, 4), (1, 4), (3, 9), (4, 0), (7, 1))]

    assert list(batches(counts, 8)) == [[0, 1], [3], [4, 7]]
    assert list(batches(counts, 1)) == [[0], [1], [3], [4, 7]]
    assert list(batches(counts, 100)) == [[0, 1, 3, 4, 7]]
    assert list(batches([], 8)) == []


@pytest.mark.parametrize(
    ("transform", "group", "expected"),
    [
        (
            "day",
            "2024-02-29",
            ("2024-02-29 00:00:00", "2024-02-29 23:59:59.999999"),
        ),
        (
            "month",
            "2024-02-01",
            ("2024-02-01 00:00:00", "2024-02-29 23:59:59.999999"),
        ),
        (
            "year",
            "2024-01-01",
            ("2024-01-01 00:00:00", "2024-12-31 23:59:59.999999"),
        ),
    ],
)
def test_rows_of_a_day_are_found_by_literals(
    transform: str, group: str, expected: tuple[str, str]
) -> None:
    low, high = expected
    by_time = partitioned(transform=transform)
    assert rows_of(by_time, group) == f"`at` BETWEEN TIMESTAMP '{low}' AND TIMESTAMP '{high}'"
    assert rows_of(by_time, None) == "`at` IS NULL"


def test_rows_of_a_value_are_found_by_it() -> None:
    by_state = partitioned(field="state", transform="identity")
    assert rows_of(by_state, "it's") == "`state` = CAST('it\\'s' AS string)"
    assert rows_of(contract_of(), "all") == "true"


def test_rows_are_known_by_what_is_unique_in_their_table() -> None:
    assert identity(contract_of(), "silver") == ("id",)
    assert identity(contract_of(history=True), "silver") == ("id", "_valid_from")
    assert identity(contract_of(within_days=2), "silver") == ("id", "_seen_from")
    assert identity(contract_of(key=()), "gold") == ()


def test_the_same_contract_has_the_same_fingerprint_wherever_it_lies() -> None:
    contract = contract_of()
    moved = msgspec.structs.replace(contract, path="/elsewhere/things.yaml")
    changed = msgspec.structs.replace(contract, checks=({"row_count": {}},))

    assert fingerprint(contract) == fingerprint(moved)
    assert fingerprint(contract) != fingerprint(changed)


def test_rebuilds_that_nobody_published_end_by_their_age() -> None:
    old = rebuild_branch("jr-1", NOW - LIFE - timedelta(seconds=1))
    new = rebuild_branch("jr-2", NOW - LIFE)
    assert old == "rebuild_jr_1_20260215T115959"
    table = branched("main", old, new, "audit_jr_1_20200101T000000_1")

    assert list(dead_rebuilds(table, NOW)) == [old]


@pytest.mark.parametrize("name", ["main", "audit_x", "rebuild_gone"])
def test_only_a_rebuild_is_published_or_dropped(name: str) -> None:
    with pytest.raises(
        InputError, match=r"silver\.things has no rebuild on a branch .* it has: reb"
    ):
        require_rebuild(branched("main", "audit_x", "rebuild_x"), name)


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("erase", {}, "got 'erase', expected one of replay, rebuild, drop-branch"),
        ("rebuild", {"asof": 7}, "unknown field `asof`"),
        ("rebuild", {"as_of": "seven"}, "Expected `int | null`, got `str`"),
        ("drop-branch", {}, "missing required field `branch`"),
        ("replay", {"code": ["range"]}, "unknown field `code`"),
    ],
)
def test_what_an_operation_does_not_take_is_told_before_anything_is_done(
    operation: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        operator().step(operation, json.dumps(arguments))
