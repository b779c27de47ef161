"""A replay is planned once, after what is unfinished, and carries a stream's state on."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import MemoryStore, MemoryTable

from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.errors import TransientError
from lakehouse.ingestion import replay
from lakehouse.ingestion.ledger import (
    Claim,
    ClaimedFile,
    Ledger,
    LoadRange,
    Part,
    Plan,
    Position,
    RejectFilter,
    ShardEnd,
    ShardStart,
    StreamState,
)
from lakehouse.ingestion.loads import Loads, work
from lakehouse.ingestion.replay import ReplayPlanner, ReplayReport, into_parts, merged, run_replay

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTRACT = Contract(
    dataset="d", version="1.1.0", description="", owner="tests",
    fields=(Field(name="id", type="integer", required=True),),
    source="stream", format=FileFormat(type="json"), deduplicate=Deduplicate(key=("id",)),
    checks=({"row_count": {"threshold": {"must_be_greater_than": 0}}},), path="somewhere/d.yaml",
)  # fmt: skip
TYPES = RejectFilter(codes=("type",), since=NOW)


class World:
    """Deliveries numbered from 0, every third a reject until it is replayed, in a table in memory.

    Part ``n`` of a stream's load reads ``n``'s turn of what was sent. ``fail`` is called before
    each step that another process could see.
    """

    def __init__(self) -> None:
        self.store, self.table = MemoryStore(), MemoryTable()
        self.sent = 0
        self.rows: dict[str, list[tuple[int, int, int]]] = {}
        """Load, number and attempt of the rows of a file."""
        self.fail: Callable[[], None] = lambda: None
        self.loads = Loads(
            Ledger(self.store, "d", sleep=lambda _: None), self.table, lambda: NOW,
            observe=lambda _: None,
        )  # fmt: skip

    def published(self) -> list[tuple[int, int, int]]:
        return [row for file in self.table.files for row in self.rows[file.path]]

    def rejects(self, upto: int) -> list[tuple[int, int, int]]:
        rows = [row for row in self.published() if row[0] <= upto]
        again = {number for _, number, attempt in rows if attempt}
        return [row for row in rows if row[1] % 3 == 0 and row[1] not in again]

    def count(self, which: RejectFilter, upto: int) -> Mapping[int, int]:
        del which
        self.fail()
        return Counter(load for load, _, _ in self.rejects(upto))

    def planner(self, which: RejectFilter = TYPES, contract: Contract = CONTRACT) -> ReplayPlanner:
        return ReplayPlanner(self.loads.ledger, self.count, contract, which)

    def next_plan(
        self, load: int, previous: Plan | None, claims: Iterable[Claim], now: datetime
    ) -> Plan | None:
        """A stream of one shard, whose positions count what was read."""
        start = Position("trim_horizon")
        if previous is not None and previous.stream is not None:
            ends = [end.end for claim in claims for end in claim.shards]
            start = (*ends, previous.stream.positions["s"])[0]
        if int(start.sequence or 0) == self.sent:
            return None
        state = StreamState({"s": start}, (), Position("trim_horizon"))
        return Plan(load, now, (Part(shards=(ShardStart("s", start),)),), stream=state)

    def work(self, plan: Plan, part: int) -> Claim:
        return work(self.loads.ledger, plan.load, part, lambda: Attempt(self, plan, part))

    def execute(self, plan: Plan) -> list[Claim]:
        return [self.work(plan, part) for part in range(len(plan.parts))]

    def replay(self, planner: ReplayPlanner | None = None, **how: object) -> ReplayReport:
        return run_replay(
            self.loads, planner or self.planner(), CONTRACT, self.execute, patience=0, **how  # type: ignore[arg-type]  # of the test
        )  # fmt: skip

    def ingest(self) -> None:
        while self.loads.run(self, self.execute) is not None:
            pass


class Attempt:
    def __init__(self, world: World, plan: Plan, part: int) -> None:
        self._world, self._plan, self._part = world, plan, part

    def read(self) -> Claim:
        self._world.fail()
        plan, part = self._plan, self._plan.parts[self._part]
        shards: tuple[ShardEnd, ...] = ()
        if part.rejects is not None:
            assert plan.replay is not None
            first, last = part.rejects.first, part.rejects.last
            found = [r for r in self._world.rejects(plan.replay.upto) if first <= r[0] <= last]
            rows = [(plan.load, number, attempt + 1) for _, number, attempt in found]
        else:
            end = self._world.sent
            rows = [(plan.load, n, 0) for n in range(int(part.shards[0].start.sequence or 0), end)]
            shards = (ShardEnd("s", Position("after", str(end)), closed=False, behind_ms=0),)
        path = f"{len(self._world.rows)}"
        self._world.rows[path] = rows
        file = ClaimedFile(path, 1, len(rows), 0, {}, {}, {}, {}, {}, {}, [])
        return Claim(
            load=plan.load, part=self._part, files=(file,) if rows else (), good=len(rows),
            rejected={}, payload_bytes=0, shards=shards,
            outcomes={"type": {"good": len(rows)}} if part.rejects else {},
        )  # fmt: skip

    def abort(self) -> None:
        pass


def test_rejects_become_good_and_a_second_replay_finds_none() -> None:
    world = World()
    world.sent = 7
    world.ingest()
    done = world.replay()
    assert (done.load, done.good, done.appended, done.others) == (1, 3, 3, ())
    assert [row for row in world.published() if row[2]] == [(1, 0, 1), (1, 3, 1), (1, 6, 1)]
    again = world.replay()
    assert (again.load, again.good, again.appended) == (None, 0, 0)
    assert world.loads.ledger.plans_after(1) == []


def test_a_plan_says_all_that_it_covers_to_whoever_finds_it() -> None:
    world = World()
    world.sent = 4
    world.ingest()
    plan = world.loads.plan(world.planner())
    assert plan is not None
    found = world.loads.progress().pending
    assert found == plan
    assert found.replay is not None
    assert found.replay.upto == 0
    assert found.replay.which == TYPES
    assert found.replay.contract == msgspec.structs.replace(CONTRACT, path="")
    assert found.parts == (Part(rejects=LoadRange(0, 0)),)
    assert found.stream is not None
    assert found.stream.positions == {"s": Position("after", "4")}


def test_a_streaming_job_carries_out_a_replay_that_it_finds_and_goes_on() -> None:
    world = World()
    world.sent = 4
    world.ingest()
    world.loads.plan(world.planner())
    world.sent = 6
    world.ingest()
    assert sorted(world.published()) == [
        (0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (1, 0, 1), (1, 3, 1), (2, 4, 0), (2, 5, 0),
    ]  # fmt: skip


def test_a_replay_that_was_left_unfinished_is_the_one_that_is_asked_for_again() -> None:
    world = World()
    world.sent = 4
    world.ingest()
    world.loads.plan(world.planner())
    done = world.replay()
    assert (done.load, done.good, done.others) == (1, 2, ())


def test_another_replay_that_was_left_unfinished_comes_first() -> None:
    world = World()
    world.sent = 4
    world.ingest()
    world.loads.plan(world.planner(RejectFilter(codes=("range",))))
    done = world.replay()
    assert (done.load, done.good, done.others) == (None, 0, (1,))


def test_a_load_of_the_stream_is_waited_for_and_then_carried_out() -> None:
    world = World()
    world.sent = 1
    world.loads.plan(world)
    said: list[str] = []
    done = world.replay(told=said.append)
    assert (done.load, done.good, done.others) == (1, 1, (0,))
    assert said == [
        "load 0 of d is under way; waiting for it to be published",
        "nobody has published load 0 in 0 s; carrying it out here",
    ]


def test_a_load_that_ends_elsewhere_meanwhile_is_not_read_here() -> None:
    world = World()
    world.sent = 1
    world.loads.plan(world)

    def others_go_on(_: float) -> None:
        world.ingest()

    done = run_replay(
        world.loads, world.planner(), CONTRACT, world.execute, patience=60, sleep=others_go_on
    )
    assert (done.load, done.good, done.others) == (1, 1, ())


def test_what_was_found_holds_while_the_stream_goes_on_but_not_after_another_replay() -> None:
    world = World()
    world.sent = 4
    world.ingest()
    planner = world.planner()
    counted: list[int] = []
    count = world.count
    planner._count = lambda which, upto: (counted.append(upto), count(which, upto))[1]  # type: ignore[func-returns-value]
    ledger = world.loads.ledger
    previous = ledger.plan(0)
    assert previous is not None
    claims = ledger.claims(previous) or []
    first = planner.next_plan(1, previous, claims, NOW)
    world.sent = 8
    world.ingest()
    second = planner.next_plan(
        2, ledger.plan(1), ledger.claims(ledger.plan(1) or previous) or [], NOW
    )
    assert counted == [0]
    assert first is not None
    assert second is not None
    assert second.replay == first.replay
    world.replay()
    assert (
        planner.next_plan(3, ledger.plan(2), ledger.claims(ledger.plan(2) or previous) or [], NOW)
        is None
    )
    assert counted == [0, 2]


def test_nothing_is_planned_where_no_load_was_ever() -> None:
    assert World().replay().load is None


def test_the_state_of_a_stream_waits_for_the_children_of_a_closed_shard() -> None:
    state = StreamState({"s": Position("trim_horizon")}, (), Position("trim_horizon"), NOW)
    previous = Plan(
        0, NOW, (Part(shards=(ShardStart("s", Position("trim_horizon")),)),), stream=state
    )
    end = ShardEnd("s", Position("after", "9"), closed=True, behind_ms=0)
    claim = Claim(
        load=0, part=0, files=(), good=1, rejected={}, payload_bytes=1, shards=(end,),
        through=NOW + timedelta(minutes=1),
    )  # fmt: skip
    planner = ReplayPlanner(World().loads.ledger, lambda *_: {0: 1}, CONTRACT, RejectFilter())
    plan = planner.next_plan(1, previous, [claim], NOW)
    assert plan is not None
    assert plan.stream is not None
    assert plan.stream.childless
    assert (plan.stream.positions, plan.stream.finished) == ({}, ("s",))


@pytest.mark.parametrize(
    ("rejects", "ranges"),
    [
        ({}, []),
        ({3: 1}, [(3, 3)]),
        ({3: 1, 9: 1}, [(3, 9)]),
        ({1: 6, 2: 4, 5: 9, 6: 1, 7: 30, 9: 2}, [(1, 2), (5, 6), (7, 7), (9, 9)]),
    ],
)
def test_parts_are_runs_of_loads_of_about_equal_size(
    monkeypatch: pytest.MonkeyPatch, rejects: dict[int, int], ranges: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(replay, "_PART_REJECTS", 10)
    assert [(p.rejects.first, p.rejects.last) for p in into_parts(rejects) if p.rejects] == ranges


def test_outcomes_of_parts_add_up() -> None:
    parts = [{"type": {"good": 1, "type": 2}}, {"type": {"good": 3}, "range": {"range": 1}}]
    assert merged(parts) == {"range": {"range": 1}, "type": {"good": 4, "type": 2}}


class CrashError(Exception):
    """A process ends here."""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "ingest", "replay"]),
            st.integers(0, 4),
            st.sampled_from(["", "", "lost", "done"]),
        ),
        max_size=25,
    )
)
def test_no_sequence_of_loads_replays_and_crashes_loses_or_repeats(
    steps: list[tuple[str, int, str]],
) -> None:
    world = World()
    for what, number, fault in steps:
        if what == "send":
            world.sent += number
            continue
        left = number
        world.store.faults = [""] * number + [fault]

        def fail() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise CrashError

        world.fail, world.table.meddle = fail, fail
        with contextlib.suppress(CrashError, TransientError):
            world.ingest() if what == "ingest" else world.replay()
        world.fail, world.table.meddle, world.store.faults = (lambda: None), None, []
    world.ingest()
    world.replay()
    first = sorted(number for _, number, attempt in world.published() if not attempt)
    again = sorted(number for _, number, attempt in world.published() if attempt)
    assert first == list(range(world.sent))
    assert again == list(range(0, world.sent, 3))
