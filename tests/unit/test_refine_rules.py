"""Silver is what one clean run over all loads gives, however they are cut and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from support.duckspark import DuckSpark, in_duckdb
from support.refining import (
    GONE,
    HARD,
    HARD_STEPS,
    Delivery,
    contract_of,
    expected,
    histories,
    in_order,
)

from lakehouse.contracts.model import Contract
from lakehouse.promotion.deliveries import in_loads, past_and
from lakehouse.promotion.increment import Changes, Increment
from lakehouse.promotion.merge import insert_statement, merge_statement
from lakehouse.promotion.region import file_field, within
from lakehouse.tables import SPARK_TYPES, own_columns

KINDS = {
    "first": contract_of(keep="first"),
    "latest": contract_of(),
    "latest by arrival": contract_of(event=False),
    "first within": contract_of(keep="first", within_days=2, by_day=True),
    "latest within": contract_of(within_days=2),
    "latest of a day": contract_of(key=("id", "at"), by_day=True),
    "deletes": contract_of(deletes=GONE),
    "deletes within": contract_of(deletes=GONE, within_days=2),
    "history": contract_of(history=True),
    "history by arrival": contract_of(history=True, event=False),
    "history with deletes": contract_of(history=True, deletes=GONE),
}
_TYPES = {"long": "bigint", "timestamptz": "timestamptz"}


def tables(session: DuckSpark, contract: Contract, deliveries: Sequence[Delivery]) -> None:
    """Bronze with the deliveries and an empty silver."""
    kinds = {f.name: SPARK_TYPES[f.type] for f in contract.fields} | {
        name: _TYPES.get(str(kind), str(kind)) for name, kind, _ in own_columns(contract, "silver")
    }
    columns = ", ".join(
        f'"{name}" {kind.replace("string", "varchar").replace("timestamp", "timestamptz")}'
        for name, kind in kinds.items()
    ).replace("timestamptztz", "timestamptz")
    session.run(f"CREATE TABLE silver ({columns})")
    session.run(
        'CREATE TABLE bronze (id varchar, "at" timestamptz, state varchar, op varchar, '
        "_source varchar, _sequence varchar, _index bigint, _arrived_at timestamptz, "
        "_load bigint, _attempt int, _reject struct(code varchar, detail varchar))"
    )
    for delivery in deliveries:
        values = list(delivery.row().values())
        session.run(f"INSERT INTO bronze VALUES ({', '.join('?' * len(values))})", values)


def promote(
    session: DuckSpark, contract: Contract, loads: Sequence[int], done: Sequence[int]
) -> None:
    """Refine the loads into silver, where ``done`` are in it."""
    replays = session.rows("SELECT max(_attempt) AS newest FROM bronze")[0]["newest"]
    promoted = max(done, default=-1)
    with Increment(
        session.as_spark(),
        contract,
        bronze="bronze",
        silver="silver" if done else None,
        loads=in_loads(loads),
        settled=past_and(loads, promoted, set(range(promoted + 1)) - {*done, *loads}),
        replays=bool(replays) or min(loads) < promoted,
        name="i",
    ) as increment:
        changes = increment.changes()
        before = silver(session)
        (old,) = session.rows(f'SELECT count(*) AS n FROM "{changes.view}" WHERE NOT _new')
        assert changes.replaces == (old["n"] > 0)
        statement = merge_statement(contract, "b", changes.view, in_files(contract, changes))
        if not changes.replaces:
            statement = insert_statement(contract, "b", changes.view)
        session.run(in_duckdb(statement.replace("lake.silver.things.`branch_b`", "silver")))
        told_truly(session, contract, before, changes)


def in_files(contract: Contract, changes: Changes) -> str:
    """The predicate that the MERGE is pruned by."""
    field = file_field(contract)
    return within(contract, field, changes.files, "t") if field else ""


def told_truly(
    session: DuckSpark, contract: Contract, before: list[dict[str, Any]], changes: Changes
) -> None:
    """That every changed row lies in the scope and in the days that are said to be touched."""
    after = silver(session)
    changed = [r for r in before if r not in after] + [r for r in after if r not in before]
    scope = changes.scope.replace("`", '"') or "true"
    inside = session.rows(f"SELECT * FROM silver WHERE {scope}")
    assert all(row in inside for row in changed if row in after)
    assert len(changed) <= 2 * changes.rows
    live = [row for row in changed if not row.get("_tombstone")]
    if contract.event_time is None:
        assert changes.touched is None
    elif changes.touched is None:
        assert any(row["at"] is None for row in changed)
    else:
        for row in live:
            day = row["at"].date().isoformat()
            assert any(low <= day < high for low, high in changes.touched.ranges)


def silver(session: DuckSpark) -> list[dict[str, Any]]:
    return in_order(session.rows("SELECT * FROM silver"))


@pytest.mark.parametrize("kind", KINDS)
@given(case=histories())
@example(case=(HARD, HARD_STEPS))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
def test_cuts_and_order_of_loads_make_no_difference(
    kind: str, case: tuple[list[Delivery], list[list[int]]]
) -> None:
    contract = KINDS[kind]
    deliveries, batches = case
    if "at" in contract.deduplicate.key:
        deliveries = [delivery for delivery in deliveries if delivery.at is not None]
    session = DuckSpark()
    tables(session, contract, deliveries)
    done: list[int] = []
    for batch in batches:
        promote(session, contract, batch, done)
        done += batch
        so_far = [delivery for delivery in deliveries if delivery.load in done]
        assert silver(session) == expected(contract, so_far)
