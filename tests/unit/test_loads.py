"""The load protocol against a store and a table in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory import MemoryStore, MemoryTable

from lakehouse.errors import LedgerError, PublishConflictError
from lakehouse.ingestion.ledger import Claim, ClaimedFile, Ledger, ObjectRef, Part, Plan
from lakehouse.ingestion.loads import Loads, TableState, work

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Input:
    """Objects that arrive one by one; a planner over those that no plan covers yet."""

    def __init__(self) -> None:
        self.arrived: list[ObjectRef] = []

    def arrive(self, count: int, size: int = 1) -> None:
        """Objects of one record each, or of none."""
        for _ in range(count):
            name = f"o{len(self.arrived)}"
            self.arrived.append(ObjectRef(name, "v1", size=size, arrived_at=NOW))

    def planner(self, ledger: Ledger) -> InputPlanner:
        return InputPlanner(self, ledger)


class InputPlanner:
    def __init__(self, source: Input, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger

    def next_plan(
        self,
        load: int,
        previous: Plan | None,
        claims: Sequence[Claim],  # noqa: ARG002 - the protocol's signature
        now: datetime,
    ) -> Plan | None:
        if previous is not None:
            self._ledger.mark_landed(tuple(o for p in previous.parts for o in p.objects))
        arrived = sorted(self._source.arrived, key=lambda o: o.key)
        fresh = list(self._ledger.not_landed(arrived))
        parts = tuple(Part(objects=(ref,)) for ref in fresh)
        return Plan(load=load, made_at=now, parts=parts) if parts else None


class OneFile:
    """An attempt that puts every object of its part in one file of its own."""

    made = 0

    def __init__(self, plan: Plan, part: int) -> None:
        self._plan = plan
        self._part = part
        self.aborted = False

    def read(self) -> Claim:
        OneFile.made += 1
        objects = [o for o in self._plan.parts[self._part].objects if o.size]
        path = ",".join(o.key for o in objects) + f"#{OneFile.made}"
        file = ClaimedFile(path, 1, len(objects), 0, {}, {}, {}, {}, {}, {}, [])
        if not objects:
            return Claim(
                load=self._plan.load, part=self._part, files=(), good=0, rejected={},
                payload_bytes=0,
            )  # fmt: skip
        return Claim(
            load=self._plan.load, part=self._part, files=(file,), good=len(objects),
            rejected={}, payload_bytes=1,
        )  # fmt: skip

    def abort(self) -> None:
        self.aborted = True


def execute(ledger: Ledger) -> Callable[[Plan], list[Claim]]:
    return lambda plan: [
        work(ledger, plan.load, part, lambda part=part: OneFile(plan, part))  # type: ignore[misc]  # bound per part
        for part in range(len(plan.parts))
    ]


def make() -> tuple[Loads, MemoryStore, MemoryTable, Input]:
    store, table, source = MemoryStore(), MemoryTable(), Input()
    return Loads(Ledger(store, "d", sleep=lambda _: None), table, lambda: NOW), store, table, source


def objects_in(table: MemoryTable) -> list[str]:
    return sorted(key for file in table.files for key in file.path.partition("#")[0].split(","))


def test_a_load_is_planned_worked_and_published_once() -> None:
    loads, _, table, source = make()
    source.arrive(3)
    planner, run = source.planner(loads.ledger), execute(loads.ledger)
    first = loads.run(planner, run)
    assert first is not None
    assert first.load == 0
    assert loads.run(planner, run) is None
    source.arrive(1)
    second = loads.run(planner, run)
    assert second is not None
    assert second.load == 1
    assert objects_in(table) == ["o0", "o1", "o2", "o3"]
    assert table.now == TableState(1, loads.ledger.identity())


def test_an_empty_load_commits_nothing_and_the_next_one_goes_on() -> None:
    loads, _, table, source = make()
    planner, run = source.planner(loads.ledger), execute(loads.ledger)
    for expected in (0, 1):
        source.arrive(1, size=0)
        plan = loads.run(planner, run)
        assert plan is not None
        assert plan.load == expected
        assert loads.run(planner, run) is None
    assert table.version == 0
    source.arrive(1)
    assert loads.run(planner, run) is not None
    assert table.now.load == 2


def test_publishing_again_changes_nothing() -> None:
    loads, _, table, source = make()
    source.arrive(2)
    loads.run(source.planner(loads.ledger), execute(loads.ledger))
    assert loads.publish(0) is False
    assert len(table.files) == 2


def test_a_found_claim_is_returned_without_reading_again() -> None:
    ledger = Ledger(MemoryStore(), "d", sleep=lambda _: None)
    plan = Plan(load=0, made_at=NOW, parts=(Part(objects=(ObjectRef("o", "v", 1, NOW),)),))
    first = work(ledger, 0, 0, lambda: OneFile(plan, 0))
    made = OneFile.made
    assert work(ledger, 0, 0, lambda: OneFile(plan, 0)) == first
    assert OneFile.made == made


def test_the_slower_of_two_twins_removes_its_files_and_takes_the_others_claim() -> None:
    ledger = Ledger(MemoryStore(), "d", sleep=lambda _: None)
    plan = Plan(load=0, made_at=NOW, parts=(Part(objects=(ObjectRef("o", "v", 1, NOW),)),))
    winner = OneFile(plan, 0).read()

    class Slow(OneFile):
        def read(self) -> Claim:
            mine = super().read()
            ledger.record_claim(winner)
            return mine

    slow = Slow(plan, 0)
    assert work(ledger, 0, 0, lambda: slow) == winner
    assert slow.aborted


def test_an_attempt_that_fails_removes_its_files() -> None:
    ledger = Ledger(MemoryStore(), "d", sleep=lambda _: None)
    plan = Plan(load=0, made_at=NOW, parts=(Part(),))

    class Broken(OneFile):
        def read(self) -> Claim:
            raise OSError("disk")

    broken = Broken(plan, 0)
    with pytest.raises(OSError, match="disk"):
        work(ledger, 0, 0, lambda: broken)
    assert broken.aborted
    assert ledger.claim(0, 0) is None


@pytest.mark.parametrize("fault", ["lost", "done"])
def test_a_put_without_an_answer_is_settled_by_reading(fault: str) -> None:
    loads, store, table, source = make()
    source.arrive(1)
    loads.ledger.identity()
    store.faults = [fault, fault, fault]
    loads.run(source.planner(loads.ledger), execute(loads.ledger))
    assert objects_in(table) == ["o0"]


def test_a_commit_in_between_is_asked_again() -> None:
    loads, _, table, source = make()
    source.arrive(1)

    def compaction() -> None:
        table.version += 1

    table.meddle = compaction
    loads.run(source.planner(loads.ledger), execute(loads.ledger))
    assert objects_in(table) == ["o0"]


def test_a_table_that_never_stands_still_is_reported() -> None:
    loads, _, table, source = make()
    source.arrive(1)

    def always() -> None:
        table.version += 1
        table.meddle = always

    table.meddle = always
    with pytest.raises(PublishConflictError, match="moved 10 times"):
        loads.run(source.planner(loads.ledger), execute(loads.ledger))


def test_another_ledger_is_refused() -> None:
    loads, _, table, source = make()
    table.now = TableState(-1, "strange")
    with pytest.raises(LedgerError, match="belongs to ledger strange"):
        loads.run(source.planner(loads.ledger), execute(loads.ledger))


def test_an_emptied_ledger_is_refused() -> None:
    loads, store, _, source = make()
    source.arrive(1)
    loads.run(source.planner(loads.ledger), execute(loads.ledger))
    for key in [k for k in store.objects if "plans" in k]:
        store.delete(key)
    with pytest.raises(LedgerError, match="holds load 0, which its ledger does not know"):
        loads.progress()


def test_a_load_is_not_published_over_an_unpublished_one() -> None:
    loads, _, _, source = make()
    run = execute(loads.ledger)
    source.arrive(1)
    first = loads.plan(source.planner(loads.ledger))
    assert first is not None
    run(first)
    second = Plan(load=1, made_at=NOW, parts=(Part(objects=(ObjectRef("x", "v", 1, NOW),)),))
    run(loads.ledger.record_plan(second))
    with pytest.raises(LedgerError, match="before load 0"):
        loads.publish(1)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_crashes_twins_and_faults_lose_and_repeat_nothing(data: st.DataObject) -> None:
    """Drivers that crash at any step, run side by side, over a store that does not answer."""
    store, table, source = MemoryStore(), MemoryTable(), Input()
    source.arrive(data.draw(st.integers(1, 3)), size=data.draw(st.integers(0, 1)))

    def driver() -> None:
        loads = Loads(Ledger(store, "d", sleep=lambda _: None), table, lambda: NOW)
        crash_at = data.draw(st.sampled_from(["", "planned", "half claimed", "claimed"]))
        plan = loads.plan(source.planner(loads.ledger))
        if plan is None or crash_at == "planned":
            return
        for part in range(len(plan.parts)):
            if crash_at == "half claimed" and part == len(plan.parts) // 2:
                return
            work(loads.ledger, plan.load, part, lambda part=part: OneFile(plan, part))  # type: ignore[misc]  # bound per part
        if crash_at != "claimed":
            loads.publish(plan.load)

    for _ in range(data.draw(st.integers(1, 6))):
        store.faults = data.draw(st.lists(st.sampled_from(["", "lost", "done"]), max_size=4))
        if data.draw(st.booleans()):
            table.meddle = driver
        driver()
        source.arrive(data.draw(st.integers(0, 2)), size=data.draw(st.integers(0, 1)))

    store.faults = []
    table.meddle = None
    loads = Loads(Ledger(store, "d", sleep=lambda _: None), table, lambda: NOW)
    while loads.run(source.planner(loads.ledger), execute(loads.ledger)) is not None:
        pass
    assert objects_in(table) == sorted(o.key for o in source.arrived if o.size)
