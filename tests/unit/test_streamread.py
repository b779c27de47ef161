"""One part of a stream's load is read whatever the stream answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from support.inline import Inline

from lakehouse.errors import DataLossError
from lakehouse.ingestion.kinesis import (
    ExpiredIteratorError,
    Page,
    Record,
    ShardGoneError,
    Stream,
    ThrottledError,
)
from lakehouse.ingestion.ledger import (
    Claim,
    Limits,
    Part,
    Plan,
    Position,
    ShardEnd,
    ShardStart,
    StreamState,
)
from lakehouse.ingestion.streamread import StreamAttempt, instants

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Scripted(Stream):
    """A stream whose pages, or errors, come in the given order."""

    def __init__(self, *answers: Page | Exception) -> None:
        self.name = "s"
        self._answers: Iterator[Page | Exception] = iter(answers)
        self.opened: list[Position] = []
        self.asked = 0
        self.gone = False
        self.kept = timedelta(hours=24)

    def retention(self) -> timedelta:
        return self.kept

    def iterator(self, shard: str, position: Position) -> str:
        if self.gone:
            raise ShardGoneError(f"shard {shard} is gone")
        self.opened.append(position)
        return f"{shard}-{len(self.opened)}"

    def get(self, iterator: str, limit: int = 10_000) -> Page:  # noqa: ARG002 - Stream's signature
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[str] = []

    def add(self, shard: str, records: Sequence[Record]) -> int:  # noqa: ARG002 - Sink's signature
        self.records += [record.SequenceNumber for record in records]
        return sum(len(record.Data) for record in records)

    def claim(self, shards: tuple[ShardEnd, ...], through: datetime | None) -> Claim:
        return Claim(
            load=0, part=0, files=(), good=len(self.records), rejected={}, payload_bytes=0,
            shards=shards, through=through,
        )  # fmt: skip

    def abort(self) -> None:
        self.records.clear()


def page(*sequences: int, closed: bool = False, behind: int = 0) -> Page:
    records = [Record(b"x", "k", str(n), NOW.timestamp()) for n in sequences]
    return Page(records, None if closed else "next", behind)


def read(
    stream: Scripted,
    sink: Kept,
    limits: Limits | None = None,
    *,
    through: datetime | None = None,
    accept_loss: bool = False,
) -> Claim:
    trim = Position("trim_horizon")
    began = None if through is None else NOW - timedelta(days=9)
    state = StreamState({"shard": trim}, (), trim, through, began=began)
    parts = (Part(shards=(ShardStart("shard", trim),)),)
    plan = Plan(0, NOW, parts, limits or Limits(), state)
    return StreamAttempt(
        stream, sink, plan, 0, ahead=Inline(), clock=lambda: NOW, accept_loss=accept_loss
    ).read()


def test_a_shard_is_read_until_it_is_caught_up() -> None:
    sink = Kept()
    claim = read(Scripted(page(1, 2, behind=9), page(behind=5), page(3), page()), sink)
    assert sink.records == ["1", "2", "3"]
    assert claim.shards == (ShardEnd("shard", Position("after", "3"), False, 0),)
    assert claim.through == NOW


def test_the_end_of_a_closed_shard_is_said() -> None:
    claim = read(Scripted(page(1, closed=True)), Kept())
    assert claim.shards[0].closed
    assert claim.shards[0].end == Position("after", "1")


def test_a_shard_without_records_stays_where_it_was() -> None:
    claim = read(Scripted(page(behind=0)), Kept())
    assert claim.shards[0].end == Position("trim_horizon")


def test_what_is_behind_is_not_said_to_be_read_through() -> None:
    claim = read(
        Scripted(page(1, behind=60_000), page(2, behind=30_000)), Kept(), Limits(records=1)
    )
    assert claim.through == NOW - timedelta(minutes=1)
    assert claim.shards[0].behind_ms == 60_000


def test_a_closed_shard_is_read_through_to_its_last_record_and_its_children_go_on() -> None:
    """Not to now: what arrived since lies in children that nobody has read yet."""
    before = NOW - timedelta(hours=9)
    assert read(Scripted(page(1, closed=True)), Kept(), through=before).through == NOW
    assert read(Scripted(page(closed=True)), Kept(), through=before).through == before
    assert read(Scripted(page(closed=True)), Kept()).through is None


def test_what_the_stream_may_have_lost_before_it_was_read_is_loud() -> None:
    """Also for a plan that was made in time and carried out too late."""
    sink = Kept()
    with pytest.raises(DataLossError, match="read up to 2025-12-30 23:00Z only: what arrived in"):
        read(Scripted(page(7), page()), sink, through=NOW - timedelta(hours=25))
    assert not sink.records


def test_a_longer_retention_keeps_more() -> None:
    stream = Scripted(page(7), page())
    stream.kept = timedelta(hours=48)
    assert read(stream, Kept(), through=NOW - timedelta(hours=25)).good == 1


def test_an_accepted_loss_is_said_in_the_claim() -> None:
    stream = Scripted(page(7), page())
    claim = read(stream, Kept(), through=NOW - timedelta(hours=25), accept_loss=True)
    assert claim.good == 1
    assert claim.accepted_loss == "what arrived in shard between 2025-12-30 23:00Z and 00:01Z"


def test_what_each_shard_lost_is_said_once() -> None:
    trim, through = Position("trim_horizon"), NOW - timedelta(hours=25)
    starts = (ShardStart("a", trim), ShardStart("b", trim))
    state = StreamState({"a": trim, "b": trim}, (), trim, through, began=NOW - timedelta(days=9))
    plan = Plan(0, NOW, (Part(shards=starts),), Limits(), state)
    claim = StreamAttempt(
        Scripted(page(1), page(), page(2), page()), Kept(), plan, 0,
        ahead=Inline(), clock=lambda: NOW, accept_loss=True,
    ).read()  # fmt: skip
    assert [text.split()[3] for text in claim.accepted_loss.split("; ")] == ["a", "b"]


def test_a_backlog_from_before_the_first_load_is_read_from_the_edge_of_the_retention() -> None:
    edge = 24 * 3_600_000
    stream = Scripted(page(1, behind=edge - 10_000), page(2, behind=edge - 20_000), page())
    assert read(stream, Kept()).good == 2


def test_a_backlog_that_is_trimmed_while_it_is_read_is_loud() -> None:
    late = [page(1, behind=23 * 3_600_000), page(2, behind=24 * 3_600_000 + 1), page(3), page()]
    with pytest.raises(DataLossError, match="was read up to 2025-12-30 23:59Z only"):
        read(Scripted(*late), Kept(), through=NOW - timedelta(hours=23))


def test_a_shard_that_is_gone_is_loud_unless_that_is_accepted() -> None:
    stream = Scripted()
    stream.gone = True
    with pytest.raises(ShardGoneError):
        read(stream, Kept())
    claim = read(stream, Kept(), accept_loss=True)
    assert claim.shards == (ShardEnd("shard", Position("trim_horizon"), True, 0),)
    assert claim.accepted_loss == "all that was left in shard"


def test_throttling_ends_the_part_with_what_it_has() -> None:
    sink = Kept()
    claim = read(Scripted(page(1, behind=5), ThrottledError("slow down")), sink)
    assert claim.shards[0].end == Position("after", "1")
    assert sink.records == ["1"]


def test_throttling_before_anything_was_read_is_an_error() -> None:
    with pytest.raises(ThrottledError):
        read(Scripted(ThrottledError("slow down")), Kept())


def test_an_expired_iterator_is_replaced_by_one_after_the_last_record() -> None:
    sink, expired = Kept(), ExpiredIteratorError("too old")
    stream = Scripted(page(1, behind=5), expired, page(2), page())
    claim = read(stream, sink)
    assert sink.records == ["1", "2"]
    assert stream.opened == [Position("trim_horizon"), Position("after", "1")]
    assert claim.shards[0].end == Position("after", "2")


def test_no_page_is_fetched_ahead_of_an_empty_one() -> None:
    stream = Scripted(page(1), page())
    read(stream, Kept())
    assert stream.asked == 2


def test_instants_keep_their_milliseconds() -> None:
    (found,) = instants([1767225600.123]).to_pylist()
    assert found == datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    assert instants([]).type == pa.timestamp("us", tz="UTC")
