"""The code under test, wired to the world. A broken variant overrides one step of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from model.lake import Commits, Disk, InFlight, Ledgers, Row, Table
from model.scheduler import Scheduler
from model.shards import Shards
from support.inline import Inline

from lakehouse.contracts.model import Contract, Deduplicate, FileFormat
from lakehouse.ingestion.kinesis import Record, Stream
from lakehouse.ingestion.ledger import (
    Claim,
    ClaimedFile,
    Ledger,
    Limits,
    Plan,
    RejectFilter,
    ShardEnd,
)
from lakehouse.ingestion.loads import Attempt, Loads, LoadTable, work
from lakehouse.ingestion.orphans import Orphans, remove_orphans
from lakehouse.ingestion.replay import ReplayPlanner
from lakehouse.ingestion.streamplan import StreamPlanner
from lakehouse.ingestion.streamread import StreamAttempt

LONGEST_TASK: Final = timedelta(hours=12)
ORPHAN_AGE: Final = timedelta(hours=18)
CONTRACT: Final = Contract(
    dataset="d", version="1.0.0", description="", owner="tests", fields=(), source="stream",
    format=FileFormat(type="json"), deduplicate=Deduplicate(key=()),
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How a dataset is ingested in one schedule."""

    start: str = "trim_horizon"
    keys: int = 3
    roots: int = 2
    parts: int = 2
    records: int = 4
    accept_loss: bool = False


@dataclass
class World:
    """All that outlives the processes."""

    scheduler: Scheduler
    options: Options
    in_flight: InFlight = field(default_factory=InFlight)

    def __post_init__(self) -> None:
        self.stream = Shards(self.scheduler, self.options.keys, self.options.roots)
        self.store = Ledgers(self.scheduler, self.in_flight)
        self.disk = Disk(self.scheduler)
        self.table = Table(self.scheduler, self.in_flight, self.disk)


class Deployment:
    """What the platform's processes are made of."""

    ledger_type: type[Ledger] = Ledger
    loads_type: type[Loads] = Loads
    orphan_age = ORPHAN_AGE

    def __init__(self, world: World) -> None:
        self.world = world

    def ledger(self) -> Ledger:
        return self.ledger_type(self.world.store, "d", sleep=lambda _: None)

    def orphan_ledger(self) -> Ledger:
        return self.ledger()

    def commits(self) -> LoadTable:
        return Commits(self.world.table)

    def loads(self) -> Loads:
        return self.loads_type(
            self.ledger(), self.commits(), self.world.scheduler.clock, observe=lambda _: None
        )

    def stream(self) -> Stream:
        return self.world.stream

    def planner(self, *, accept_loss: bool) -> StreamPlanner:
        options = self.world.options
        limits = Limits(records=options.records)
        return StreamPlanner(
            self.stream(), options.start, limits, options.parts, accept_loss=accept_loss
        )

    def replay_planner(self) -> ReplayPlanner:
        def count(which: RejectFilter, upto: int) -> Counter[int]:
            del which
            self.world.scheduler.call(f"count rejects as of load {upto}")
            return Counter(row.load for row in self.world.table.rejects(upto))

        return ReplayPlanner(self.ledger(), count, CONTRACT, RejectFilter())

    def work(self, plan: Plan, part: int, *, accept_loss: bool) -> Claim:
        def attempt() -> Attempt:
            if plan.parts[part].rejects is not None:
                return Replayed(self.world, plan, part)
            return StreamAttempt(
                self.stream(), Files(self.world, plan, part), plan, part,
                ahead=Inline(), accept_loss=accept_loss, clock=self.world.scheduler.clock,
            )  # fmt: skip

        return work(self.ledger(), plan.load, part, attempt)

    def remove_orphans(self) -> Orphans:
        world = self.world

        def published() -> int:
            world.scheduler.call("read the table's load")
            return world.table.now.state.load

        def referenced() -> frozenset[str]:
            world.scheduler.call("read the table's references")
            return world.table.referenced()

        return remove_orphans(
            self.orphan_ledger(), world.disk, published, referenced, world.scheduler.now,
            minimum_age=self.orphan_age, shortest_age=self.orphan_age,
        )  # fmt: skip


class Files:
    """See Sink: a file for each page, written when it is added."""

    def __init__(self, world: World, plan: Plan, part: int) -> None:
        self._world = world
        self._plan = plan
        self._part = part
        self._files: list[ClaimedFile] = []

    def add(self, shard: str, records: Sequence[Record]) -> int:
        rows = [Row(self._plan.load, int(record.SequenceNumber)) for record in records]
        self._write(shard, rows)
        return len(rows)

    def _write(self, stem: str, rows: Sequence[Row]) -> None:
        path = self._world.disk.write(f"{self._plan.load}-{self._part}-{stem}", rows)
        self._files.append(ClaimedFile(path, 1, len(rows), 0, {}, {}, {}, {}, {}, {}, []))

    def claim(self, shards: tuple[ShardEnd, ...], through: datetime | None) -> Claim:
        return Claim(
            load=self._plan.load, part=self._part, files=tuple(self._files),
            good=sum(file.records for file in self._files), rejected={}, payload_bytes=0,
            shards=shards, through=through,
        )  # fmt: skip

    def abort(self) -> None:
        for file in self._files:
            self._world.disk.remove(file.path)


class Replayed(Files):
    """One try at a part of a replay, in which every reject turns out good."""

    def read(self) -> Claim:
        loads, replay = self._plan.parts[self._part].rejects, self._plan.replay
        assert loads is not None
        assert replay is not None
        self._world.scheduler.call(f"read rejects as of load {replay.upto}")
        rows = [
            Row(self._plan.load, row.sequence, row.attempt + 1)
            for row in self._world.table.rejects(replay.upto)
            if loads.first <= row.load <= loads.last
        ]
        if rows:
            self._write("replay", rows)
        return self.claim((), None)
