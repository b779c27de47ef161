"""Which shards a load reads, and from where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lakehouse.errors import DataLossError
from lakehouse.ingestion.kinesis import Page, Stream
from lakehouse.ingestion.ledger import Claim, Plan, Position, ShardEnd, StreamState
from lakehouse.ingestion.streamplan import (
    StreamPlanner,
    after_load,
    first_position,
    first_state,
    with_children,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRIM = Position("trim_horizon")


def after(sequence: str) -> Position:
    return Position("after", sequence)


def claim(*ends: ShardEnd, through: datetime = NOW) -> Claim:
    return Claim(
        load=0, part=0, files=(), good=0, rejected={}, payload_bytes=0, shards=ends, through=through
    )


def end(shard: str, sequence: str = "9", *, closed: bool = False) -> ShardEnd:
    return ShardEnd(shard, after(sequence), closed, behind_ms=0)


class FakeStream(Stream):
    """A stream with given shards, some of which hold a record past every position."""

    def __init__(self, shards: dict[str, tuple[str, ...]], busy: set[str] | None = None) -> None:
        self.name = "s"
        self._shards = shards
        self.busy = busy or set()
        self.iterators = 0

    def retention(self) -> timedelta:
        return timedelta(hours=24)

    def shards(self) -> dict[str, tuple[str, ...]]:
        return self._shards

    def iterator(self, shard: str, position: Position) -> str:
        del position
        self.iterators += 1
        return shard

    def get(self, iterator: str, limit: int = 10_000) -> Page:
        del limit
        return Page(Records=[None] if iterator in self.busy else [], NextShardIterator=iterator)  # type: ignore[list-item]  # only its length is looked at


def plan(state: StreamState) -> Plan:
    return Plan(load=0, made_at=NOW, parts=(), stream=state)


def test_a_new_stream_begins_at_the_shards_without_listed_parents() -> None:
    shards = {"a": ("gone",), "b": ("a",), "c": ("a",), "d": ()}
    assert set(first_state(shards, TRIM, NOW).positions) == {"a", "d"}


def test_a_shard_goes_on_after_what_was_claimed_and_a_closed_one_is_finished() -> None:
    before = StreamState(
        positions={"a": TRIM, "b": TRIM, "c": after("3")}, finished=(), initial=TRIM
    )
    state = after_load(before, [claim(end("a")), claim(end("b", closed=True))])
    assert state.positions == {"a": after("9"), "c": after("3")}
    assert state.finished == ("b",)


def test_through_is_the_earliest_of_the_claims() -> None:
    before = StreamState(positions={}, finished=(), initial=TRIM)
    early = NOW - timedelta(minutes=5)
    assert after_load(before, [claim(), claim(through=early)]).through == early


def test_a_child_waits_until_all_its_parents_are_read_to_the_end() -> None:
    shards = {"a": (), "b": (), "merged": ("a", "b")}
    half = StreamState(positions={"b": after("1")}, finished=("a",), initial=TRIM)
    assert "merged" not in with_children(half, shards).positions
    whole = StreamState(positions={}, finished=("a", "b"), initial=TRIM)
    assert with_children(whole, shards).positions == {"merged": TRIM}


def test_both_children_of_a_split_are_read_from_their_beginning() -> None:
    state = StreamState(positions={}, finished=("a",), initial=after("1"))
    shards = {"a": (), "left": ("a",), "right": ("a",)}
    assert with_children(state, shards).positions == {"left": TRIM, "right": TRIM}


def test_a_finished_shard_is_not_read_again_while_it_is_listed_and_forgotten_after() -> None:
    state = StreamState(positions={"b": after("1")}, finished=("a",), initial=TRIM)
    assert with_children(state, {"a": (), "b": ("a",)}).finished == ("a",)
    assert with_children(state, {"b": ("a",)}).finished == ("a",)
    assert with_children(state, {"b": ()}).finished == ()


def test_a_parent_that_vanished_unread_is_loud_unless_that_is_accepted() -> None:
    before = StreamState(positions={"a": after("1")}, finished=(), initial=TRIM, through=NOW)
    stream = FakeStream({"a": (), "child": ("lost",)}, {"a"})
    claims = [claim(end("a", "2"))]
    with pytest.raises(DataLossError, match="shard lost of stream s was never read to its end"):
        StreamPlanner(stream).next_plan(1, plan(before), claims, NOW)
    made = StreamPlanner(stream, accept_loss=True).next_plan(1, plan(before), claims, NOW)
    assert made is not None
    assert made.stream is not None
    assert made.stream.positions == {"a": after("2"), "child": TRIM}
    assert made.accepted_loss == "all that was left in lost"


def test_a_finished_shard_that_a_late_listing_lacks_is_not_forgotten() -> None:
    state = StreamState(positions={}, finished=("shard-1", "shard-2"), initial=TRIM)
    assert with_children(state, {"shard-1": ()}).finished == ("shard-1", "shard-2")


def test_a_claim_that_does_not_say_how_far_leaves_the_load_where_it_was() -> None:
    before = StreamState(positions={}, finished=(), initial=TRIM, through=NOW)
    later = NOW + timedelta(hours=1)
    unknown = msgspec.structs.replace(claim(), through=None)
    assert after_load(before, [claim(through=later), unknown]).through == NOW


def test_a_start_at_a_time_holds_for_children_too() -> None:
    start = Position("timestamp", timestamp=NOW)
    state = StreamState(positions={}, finished=("a",), initial=start)
    assert with_children(state, {"a": (), "b": ("a",)}).positions == {"b": start}


def test_the_first_load_is_planned_even_when_nothing_has_arrived() -> None:
    planner = StreamPlanner(FakeStream({"a": (), "b": ()}))
    made = planner.next_plan(0, None, [], NOW)
    assert made is not None
    assert [s.shard for p in made.parts for s in p.shards] == ["a", "b"]


def test_nothing_new_makes_no_plan_and_keeps_its_iterators() -> None:
    stream = FakeStream({"a": (), "b": ()})
    planner = StreamPlanner(stream)
    state = StreamState(positions={"a": TRIM, "b": TRIM}, finished=(), initial=TRIM, through=NOW)
    for _ in range(5):
        assert planner.next_plan(1, plan(state), [], NOW) is None
    assert stream.iterators == 2
    stream.busy = {"b"}
    assert planner.next_plan(1, plan(state), [], NOW) is not None


def test_a_quiet_stream_still_gets_a_load_each_quarter_of_its_retention() -> None:
    planner = StreamPlanner(FakeStream({"a": ()}))
    state = StreamState(positions={"a": TRIM}, finished=(), initial=TRIM, through=NOW)
    assert planner.next_plan(1, plan(state), [], NOW + timedelta(hours=5)) is None
    assert planner.next_plan(1, plan(state), [], NOW + timedelta(hours=7)) is not None


def test_a_listing_that_was_behind_a_reshard_is_asked_again() -> None:
    stream = FakeStream({"a": ()})
    planner = StreamPlanner(stream)
    closed = [claim(end("a", closed=True))]
    state = StreamState(positions={"a": TRIM}, finished=(), initial=TRIM)
    assert planner.next_plan(1, plan(state), closed, NOW) is None
    stream._shards = {"a": (), "child": ("a",)}
    made = planner.next_plan(1, plan(state), closed, NOW + timedelta(minutes=2))
    assert made is None or made.stream is not None
    stream.busy = {"child"}
    made = planner.next_plan(1, plan(state), closed, NOW + timedelta(minutes=4))
    assert made is not None
    assert [s.shard for part in made.parts for s in part.shards] == ["child"]


@pytest.mark.parametrize(
    ("start", "position"),
    [
        ("trim_horizon", TRIM),
        ("latest", Position("timestamp", timestamp=NOW)),
        ("2025-12-31T01:00:00+01:00", Position("timestamp", timestamp=NOW - timedelta(days=1))),
    ],
)
def test_where_a_stream_begins_stays_the_same_afterwards(start: str, position: Position) -> None:
    assert first_position(start, NOW) == position


def test_many_shards_share_the_parts() -> None:
    shards: dict[str, tuple[str, ...]] = {f"s{n:02d}": () for n in range(10)}
    made = StreamPlanner(FakeStream(shards), parts=4).next_plan(0, None, [], NOW)
    assert made is not None
    assert [len(p.shards) for p in made.parts] == [3, 3, 2, 2]
