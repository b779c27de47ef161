"""Every kind of silver on Spark: late, replayed, deleted and taken-in deliveries, load by load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import pytest
from support.bronze_rows import START, Clock, deliver, renamed, silver_rows
from support.refining import GONE, HARD, HARD_STEPS, came, contract_of, expected, in_order

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Gate
from lakehouse.promotion.progress import (
    PROMOTED,
    SET_ASIDE,
    TAKEN_IN,
    SetAside,
    TakenIn,
    Touched,
    as_property,
    read_state,
)
from lakehouse.promotion.promote import promote
from lakehouse.promotion.publish import branch_name, publish, record
from lakehouse.promotion.refine import Refined, refine, survey
from lakehouse.promotion.verdict import LoadCounts, Verdict, put_verdict
from lakehouse.tables import ensure_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


KINDS = {
    "first": contract_of(keep="first"),
    "within": contract_of(within_days=2, by_day=True, deletes=GONE),
    "deletes": contract_of(deletes=GONE),
    "history": contract_of(history=True, deletes=GONE, by_day=True),
}


def land(aws: Aws, contract: Contract, load: int) -> None:
    deliver(aws, contract, load, [d.row() for d in HARD if d.load == load])


def refined(
    aws: Aws, spark: SparkSession, contract: Contract, loads: Sequence[int], done: Sequence[int]
) -> Refined:
    """Refine the loads and publish what came of it, as if a gate had passed it."""
    state = read_state(ensure_table(aws, contract, "silver"))
    last = max([*loads, *done])
    taken_in = [load for load in loads if load <= state.promoted]
    aside = [n for n in range(last) if n not in {*loads, *done}]
    found = survey(spark, contract, state.promoted, last, aside, taken_in)
    assert found.loads == tuple(loads)
    result = refine(
        aws,
        spark,
        contract,
        base=state.base,
        loads=found.loads,
        replayed=found.replayed,
        branch=branch_name("run", last, START),
        summary={"lakehouse.run": "run"},
    )
    left = [SetAside(load, "", "", "") for load in aside]
    progress: dict[str, str | None] = {PROMOTED: str(last), SET_ASIDE: as_property(left)}
    candidate = result.candidate
    if not candidate.changed:
        record(aws, "silver", contract.dataset, state, progress, drop=[candidate.branch])
        return result
    put_verdict(
        aws,
        Verdict(
            dataset=contract.dataset,
            layer="silver",
            snapshot_id=candidate.snapshot_id,
            base_snapshot_id=candidate.base,
            run_id="run",
            loads=tuple(loads),
            inputs={},
            contract_version=contract.version,
            checked_at=START.isoformat(),
            passed=True,
            reason="",
            checks=(),
        ),
    )
    publish(aws, candidate, state, progress)
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_leaves_what_one_clean_run_would(
    aws: Aws, spark: SparkSession, kind: str
) -> None:
    contract = renamed(KINDS[kind], kind)
    done: list[int] = []
    for load in range(5):
        land(aws, contract, load)
    for loads in HARD_STEPS:
        refined(aws, spark, contract, loads, done)
        done += loads
        so_far = [d for d in HARD if d.load in done]
        assert in_order(silver_rows(aws, contract.dataset)) == expected(contract, so_far)


def test_a_step_tells_where_rows_changed_and_rewrites_no_other_file(
    aws: Aws, spark: SparkSession
) -> None:
    contract = renamed(contract_of(within_days=2, by_day=True), "scoped")
    days = [came(0, 8 + day, f"k{day}", day, "u") for day in range(20)]
    again = [came(1, 40, "k5", 6, "v"), came(1, 41, "new", 12, "v")]
    deliver(aws, contract, 0, [d.row() for d in days])
    refined(aws, spark, contract, [0], [])
    deliver(aws, contract, 1, [d.row() for d in again])
    result = refined(aws, spark, contract, [1], [0])

    assert result.touched == Touched(
        "at", (("2026-03-06", "2026-03-08"), ("2026-03-13", "2026-03-14"))
    )
    assert "2026-03-05" in result.scope
    table = aws.catalog().load_table("silver.scoped")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["deleted-data-files"] == "1", "of the day that k5 leaves alone"
    assert snapshot.summary["lakehouse.run"] == "run"
    assert result.candidate.rows == 21
    assert result.candidate.rows_added == 1


def test_what_is_all_there_already_makes_no_snapshot(aws: Aws, spark: SparkSession) -> None:
    contract = renamed(contract_of(keep="first"), "unchanged")
    deliver(aws, contract, 0, [came(0, 8, "a", 1, "u").row()])
    refined(aws, spark, contract, [0], [])
    deliver(aws, contract, 1, [came(1, 9, "a", 1, "u").row()])
    state = read_state(ensure_table(aws, contract, "silver"))
    result = refine(
        aws,
        spark,
        contract,
        base=state.base,
        loads=[1],
        replayed=False,
        branch="audit_unchanged",
        summary={},
    )
    assert not result.candidate.changed
    assert result.candidate.snapshot_id == state.base


def test_a_survey_counts_a_position_where_its_newest_attempt_is(
    aws: Aws, spark: SparkSession
) -> None:
    contract = renamed(contract_of(), "surveyed")
    for load in range(5):
        land(aws, contract, load)
    found = survey(spark, contract, -1, 4, [2])
    assert found.replayed
    assert found.loads == (0, 1, 3, 4)
    assert found.counts == (
        LoadCounts(0, 4, {}),
        LoadCounts(1, 2, {}),
        LoadCounts(3, 2, {"type": 1}),
        LoadCounts(4, 3, {}),
    )
    late = survey(spark, contract, 4, 4, [0], taken_in=[0])
    assert late.loads == (0,)
    assert late.counts == (LoadCounts(0, 4, {}),)


def test_a_load_of_rejects_alone_is_surveyed_where_they_are_limited(
    aws: Aws, spark: SparkSession
) -> None:
    contract = renamed(contract_of(), "rejects_alone")
    deliver(aws, contract, 0, [came(0, 8, "a", 1, None, good=False).row()])
    assert survey(spark, contract, -1, 0, []).loads == ()
    limited = msgspec.structs.replace(contract, gate=Gate(reject_share=0.5))
    assert survey(spark, limited, -1, 0, []).counts == (LoadCounts(0, 0, {"type": 1}),)


def test_tombstones_pass_the_gate_and_a_taken_in_load_its_late_rows(
    aws: Aws, spark: SparkSession
) -> None:
    contract = renamed(contract_of(deletes=GONE, history=True), "gated")
    clock = Clock()
    land(aws, contract, 0)
    promote(aws, spark, contract, clock=clock, run_id="run-1")
    land(aws, contract, 1)
    promote(aws, spark, contract, clock=clock, run_id="run-2")
    state = read_state(ensure_table(aws, contract, "silver"))
    left = {SET_ASIDE: "[]", TAKEN_IN: as_property([TakenIn(2, "ada", "mended", "")])}
    land(aws, contract, 2)
    record(aws, "silver", contract.dataset, state, {**left, PROMOTED: "2"})

    done = promote(aws, spark, contract, clock=clock, run_id="run-3")

    assert done.promoted == (2,)
    rows = silver_rows(aws, contract.dataset)
    so_far = [d for d in HARD if d.load in {0, 1, 2}]
    assert in_order(rows) == expected(contract, so_far)
    assert sorted(row["id"] for row in rows if row["_current"]) == ["a", "c", "d"]
