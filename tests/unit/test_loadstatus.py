"""How a stream's loads stand, by its ledger alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rich.console import Console
from support.memory import MemoryStore

from lakehouse.cli import showloads
from lakehouse.ingestion.ledger import (
    Claim,
    Ledger,
    Part,
    Plan,
    Position,
    ShardEnd,
    ShardStart,
    StreamState,
)
from lakehouse.ingestion.loadstatus import LoadStatus, ledger_status

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRIM = Position("trim_horizon")


def after(sequence: str) -> Position:
    return Position("after", sequence)


def plan(load: int, *starts: ShardStart, through: datetime | None = None) -> Plan:
    state = StreamState({s.shard: s.start for s in starts}, (), TRIM, through)
    parts = tuple(Part(shards=(start,)) for start in starts)
    return Plan(load=load, made_at=NOW - timedelta(minutes=10 - load), parts=parts, stream=state)


def claim(load: int, part: int, end: ShardEnd, good: int = 0, bad: int = 0) -> Claim:
    rejected = {"range": bad} if bad else {}
    return Claim(
        load=load, part=part, files=(), good=good, rejected=rejected, payload_bytes=100 * good,
        shards=(end,), through=NOW - timedelta(seconds=30), seconds=1.25,
    )  # fmt: skip


@pytest.fixture
def found() -> LoadStatus:
    """Load 0 is published, 1 was empty, 2 is claimed, 3 is under way."""
    ledger = Ledger(MemoryStore(), "flights", sleep=lambda _: None)
    for load, good in ((0, 9), (1, 0), (2, 5)):
        ledger.record_plan(plan(load, ShardStart("a", TRIM), ShardStart("b", TRIM)))
        for part, shard in enumerate("ab"):
            end = ShardEnd(shard, after(f"{load}{part}"), closed=False, behind_ms=100 * part)
            ledger.record_claim(claim(load, part, end, good, bad=1 if load == 2 else 0))
    ledger.record_plan(plan(3, ShardStart("a", after("20")), ShardStart("b", after("21"))))
    return ledger_status(ledger, published=0, last=10)


def test_each_load_has_its_state(found: LoadStatus) -> None:
    assert [line.state for line in found.loads] == ["published", "empty", "claimed", "working"]
    assert [line.good for line in found.loads] == [18, 0, 10, 0]
    assert found.planned == 4


def test_shards_stand_where_the_last_whole_load_left_them(found: LoadStatus) -> None:
    assert {s.shard: s.position for s in found.shards} == {"a": after("20"), "b": after("21")}
    assert found.worst_ms == 100
    assert found.through == NOW - timedelta(seconds=30)


def test_it_reads_well(found: LoadStatus, capsys: pytest.CaptureFixture[str]) -> None:
    showloads.tables(Console(soft_wrap=True, highlight=False), found, NOW)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[3].split() == ["2", "8", "min", "ago", "claimed", "2/2", "10", "2", "0.0", "1.2"]
    assert lines[-1] == (
        "4 loads of flights, 2 open shards, read through 30 s ago, at worst 0.1 s behind"
    )


def test_nothing_yet_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = ledger_status(Ledger(MemoryStore(), "flights"), published=-1, last=10)
    showloads.tables(Console(soft_wrap=True, highlight=False), nothing, NOW)
    assert capsys.readouterr().out == "no load of flights yet: lakehouse run ingest flights\n"


def test_the_same_as_json(found: LoadStatus, capsys: pytest.CaptureFixture[str]) -> None:
    showloads.as_json(found)
    read = msgspec.json.decode(capsys.readouterr().out)
    assert read["loads"][2]["rejected"] == {"range": 2}
    assert read["shards"][0]["position"]["sequence"] == "20"
