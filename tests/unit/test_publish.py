"""Names and ages of audit branches, and the progress that goes with a publication."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from pyiceberg.table import Table

from lakehouse.promotion.progress import Held, SetAside, as_property, read_state
from lakehouse.promotion.publish import BRANCH_LIFE, branch_name, dead_branches

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HELD = Held(
    made_from="load 3",
    contract_version="1.0.0",
    reason="r",
    verdict="v",
    branch=branch_name("jr_1", 2, NOW - 2 * BRANCH_LIFE),
    snapshot_id=7,
    at="t",
)


def table(refs: dict[str, int], **properties: str) -> Table:
    found = {name: SimpleNamespace(snapshot_id=number) for name, number in refs.items()}
    return cast(
        "Table",
        SimpleNamespace(
            metadata=SimpleNamespace(refs=found, table_uuid="u"),
            properties={f"lakehouse.{key.replace('_', '-')}": v for key, v in properties.items()},
        ),
    )


def test_no_two_attempts_share_a_branch() -> None:
    names = {branch_name("jr_1", n, NOW) for n in (1, 2)} | {branch_name("jr_2", 1, NOW)}
    assert len(names) == 3
    assert branch_name("manual__2026-05-01T00:00", 1, NOW) == (
        "audit_manual__2026_05_01T00_00_20260501T120000_1"
    )


def test_only_branches_that_outlived_every_run_are_dead() -> None:
    old = branch_name("jr_1", 1, NOW - BRANCH_LIFE - timedelta(seconds=1))
    young = branch_name("jr_2", 1, NOW - BRANCH_LIFE + timedelta(seconds=1))
    refs = {"main": 1, old: 2, young: 3, "release": 4, HELD.branch: 5}
    assert list(dead_branches(table(refs, held=as_property(HELD)), NOW)) == [old]
    assert set(dead_branches(table(refs), NOW)) == {old, HELD.branch}


def test_a_table_without_progress_is_before_its_first_load() -> None:
    state = read_state(table({}))
    assert (state.base, state.promoted, state.set_aside, state.held) == (None, -1, (), None)


def test_progress_is_read_back_as_it_was_written() -> None:
    entry = SetAside(2, "bad", "dataset=x/1.json", "2026-05-01T00:00:00+00:00")
    written: dict[str, Any] = {
        "promoted": "4",
        "set_aside": as_property([entry]),
        "held": as_property(HELD),
        "inputs": as_property({"silver.flights": 9}),
    }
    state = read_state(table({"main": 5}, **written))
    assert (state.base, state.promoted, state.set_aside, state.held) == (5, 4, (entry,), HELD)
    assert state.inputs == {"silver.flights": 9}
