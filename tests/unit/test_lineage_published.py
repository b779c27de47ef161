"""Which publication a snapshot belongs to, and which loads its rows come from."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from pyiceberg.table.snapshots import Operation
from support.bronze_rows import START
from support.memory import MemoryStore
from support.verdicts import rows_check, silver

from lakehouse.aws import Aws
from lakehouse.ingestion.ledger import Claim, Ledger, ObjectRef, Part, Plan
from lakehouse.lineage import published
from lakehouse.lineage.brought import loads_up_to, ranges, resolve
from lakehouse.lineage.published import Lake, Published
from lakehouse.promotion.progress import Approval, Held, Publication, SetAside, State, TakenIn
from lakehouse.promotion.verdict import Verdict

AWS = Aws("lake", "eu-west-1")
VERDICT = silver(1, rows_check(5), snapshot_id=1)


def at(hour: int) -> str:
    return (START + timedelta(hours=hour)).isoformat()


def publication(number: int, loads: tuple[int, ...] = (), **facts: Any) -> Publication:
    plain: dict[str, Any] = {
        "snapshot_id": number * 10,
        "base": None,
        "at": at(number),
        "verdict": "v",
        "run_id": "jr",
        "code": "abc",
        "contract_version": "1",
    }
    return Publication(number=number, loads=loads, **plain | facts)


def state_of(*publications: Publication, **facts: Any) -> State:
    plain: dict[str, Any] = {
        "uuid": "",
        "base": 1,
        "promoted": 99,
        "set_aside": (),
        "held": None,
        "taken_in": (),
        "inputs": {},
        "select": "",
        "gated": "",
    }
    return State(publications=publications, **plain | facts)


class Snapshots:
    """A table's metadata: each snapshot's parent, and whether a compaction made it."""

    def __init__(self, **parents: tuple[int | None, bool]) -> None:
        self.metadata = self
        self.parents = {int(name[1:]): found for name, found in parents.items()}

    def snapshot_by_id(self, snapshot_id: int) -> Any:
        if snapshot_id not in self.parents:
            return None
        parent, replaces = self.parents[snapshot_id]
        operation = Operation.REPLACE if replaces else Operation.APPEND
        summary = SimpleNamespace(operation=operation)
        return SimpleNamespace(parent_snapshot_id=parent, summary=summary)


def lake_of(
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    verdicts: dict[int, Verdict] | None = None,
    approval: Approval | None = None,
    **parents: tuple[int | None, bool],
) -> Lake:
    found = verdicts or {}
    monkeypatch.setattr(published, "load_table", lambda *_: Snapshots(**parents))
    monkeypatch.setattr(published, "read_state", lambda _: state)
    monkeypatch.setattr(published, "read_verdict", lambda _, __, snapshot: found.get(snapshot))
    monkeypatch.setattr(published, "read_approval", lambda *_: approval)
    return Lake(AWS)


def ask(lake: Lake, snapshot: int, before: str = "") -> Published | str:
    return lake.publication("silver", "flights", snapshot, before=before)


def test_behind_compactions_is_the_publication(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_of(
        monkeypatch,
        state_of(publication(1), publication(2)),
        s20=(10, False),
        s21=(20, True),
        s22=(21, True),
    )
    found = ask(lake, 22)
    assert isinstance(found, Published)
    assert (found.number, found.compacted, found.known) == (2, True, "list")


def test_a_candidate_on_a_compaction_is_no_publication(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_of(monkeypatch, state_of(publication(2)), s30=(21, False), s21=(20, True))
    assert "nothing published snapshot 30" in str(ask(lake, 30))


def test_an_expired_snapshot_is_found_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(lake_of(monkeypatch, state_of(publication(1))), 10)
    assert isinstance(found, Published)
    assert (found.number, found.passed, found.reason) == (1, None, "the verdict is gone")


def test_what_the_list_has_lost_is_known_by_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = publication(7, at="2030-01-01T00:00:00+00:00")
    found = ask(lake_of(monkeypatch, state_of(kept), {1: VERDICT}), 1)
    assert isinstance(found, Published)
    assert (found.number, found.known, found.loads) == (None, "verdict", (1,))


def test_a_passed_verdict_later_than_the_list_was_never_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = publication(7, at="2020-01-01T00:00:00+00:00")
    assert "main had moved" in str(ask(lake_of(monkeypatch, state_of(kept), {1: VERDICT}), 1))


def test_a_failed_verdict_counts_with_its_approval_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = state_of(publication(7, at="2030-01-01T00:00:00+00:00"))
    failed = {1: msgspec.structs.replace(VERDICT, passed=False, reason="too few rows")}
    assert "its gate failed it: too few rows" in str(ask(lake_of(monkeypatch, kept, failed), 1))
    word = Approval("flights", 1, "ann", "known gap", at(1))
    found = ask(lake_of(monkeypatch, kept, failed, word), 1)
    assert isinstance(found, Published)
    assert found.approval == word


def test_a_snapshot_without_a_trace_is_told_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_of(monkeypatch, state_of(publication(1), publication(2), publication(3)))
    found = ask(lake, 77, before=at(2))
    assert isinstance(found, Published)
    assert (found.number, found.known) == (2, "time")
    assert "nothing published" in str(ask(lake, 77))


def published_at(number: int | None, loads: tuple[int, ...] = ()) -> Published:
    facts: dict[str, Any] = dict.fromkeys(("rows", "rows_added", "approval", "touched"))
    return Published(
        number=number,
        snapshot_id=1,
        known="list" if number else "verdict",
        compacted=False,
        at=at(number or 0),
        run_id="",
        code="",
        contract_version="",
        verdict="",
        passed=True,
        reason="",
        failing=(),
        loads=loads,
        inputs={},
        rebuilt=False,
        **facts,
    )


def test_the_loads_are_all_up_to_the_publication_but_those_left_out() -> None:
    held = Held(
        made_from="load 8",
        contract_version="1",
        reason="",
        verdict="",
        branch="",
        snapshot_id=1,
        at="",
        load=8,
    )
    state = state_of(
        publication(1, (0, 2)),
        publication(2, (4, 9)),
        publication(3, (3, 11)),
        set_aside=(SetAside(5, "", "", ""),),
        taken_in=(TakenIn(6, "", "", ""),),
        held=held,
    )
    # Load 3 was set aside when the second was published, and taken in with the third.
    assert loads_up_to(published_at(2), state) == ([0, 1, 2, 4, 7, 9], [3, 5, 6, 8], True)
    assert loads_up_to(published_at(3), state)[0] == [0, 1, 2, 3, 4, 7, 9, 10, 11]
    kept, out, exact = loads_up_to(published_at(None, (1,)), state)
    # The first that is listed brought load 0, so an older one did not have it.
    assert (kept, out, exact) == ([1], [0], False)


def test_of_thousands_of_loads_only_the_newest_are_read() -> None:
    store = MemoryStore()
    ledger = Ledger(store, "flights")
    reads: list[str] = []
    get = store.get
    for load in range(4990, 5000):
        ref = ObjectRef(f"f/{load}", "v", 1, START)
        ledger.record_plan(Plan(load, START, (Part(objects=(ref,)),)))
        ledger.record_claim(
            Claim(load, 0, (), good=0 if load == 4995 else 2, rejected={}, payload_bytes=1)
        )
    store.get = lambda key: (reads.append(key), get(key))[1]  # type: ignore[method-assign]
    older, newest = resolve(ledger, range(5000), 10)
    assert (older.first, older.last, older.resolved) == (0, 4989, False)
    assert (newest.first, newest.last, newest.kind) == (4990, 4999, "files")
    assert (newest.good, newest.empty, len(newest.objects)) == (18, 1, 10)
    assert len(reads) == 20


def test_a_load_that_the_ledger_lost_is_told() -> None:
    (group,) = resolve(Ledger(MemoryStore(), "flights"), [3], None)
    assert (group.kind, group.resolved) == ("unknown", True)


def test_ranges() -> None:
    assert [(r.first, r.last) for r in ranges([4, 1, 2, 7])] == [(1, 2), (4, 4), (7, 7)]
