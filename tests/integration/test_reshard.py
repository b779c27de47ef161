"""Splits and merges of shards, on an emulator that keeps the parents of a shard."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.kinesis_local import kinesis_local
from support.waiting import wait_for

from lakehouse import aws as aws_module
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.ingestion import ingest
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.ledger import Limits, Plan
from lakehouse.ingestion.loads import LoadReport
from lakehouse.ingestion.streamplan import Shards, StreamPlanner
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEYS = tuple(f"key{number}" for number in range(12))
_numbers = itertools.count(1)


class Feed:
    """A stream of its own: keyed records, numbered by key; its shards split and merged."""

    def __init__(self, aws: Aws, shards: int = 2) -> None:
        self.aws = aws
        self.contract = Contract(
            dataset=f"counted{next(_numbers)}",
            version="1.0.0",
            description="",
            owner="tests",
            fields=(
                Field(name="key", type="string", required=True),
                Field(name="number", type="integer", required=True),
            ),
            source="stream",
            format=FileFormat(type="json"),
            deduplicate=Deduplicate(key=("key", "number")),
        )
        self.sent: Counter[str] = Counter()
        self._name = aws.stream(self.contract.dataset)
        self._client = aws.client("kinesis")
        self._client.create_stream(StreamName=self._name, ShardCount=shards)
        self._settle()

    def send(self, count: int) -> None:
        records = []
        for key in itertools.islice(itertools.cycle(KEYS), count):
            body = json.dumps({"key": key, "number": self.sent[key]}).encode()
            records.append({"Data": body, "PartitionKey": key})
            self.sent[key] += 1
        answer = self._client.put_records(StreamName=self._name, Records=records)
        assert answer["FailedRecordCount"] == 0

    def split(self, which: int = 0) -> None:
        """Split an open shard in two equal halves."""
        shard = (shards := self._open())[which % len(shards)]
        low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        self._client.split_shard(
            StreamName=self._name,
            ShardToSplit=shard["ShardId"],
            NewStartingHashKey=str((low + high) // 2 + 1),
        )
        self._settle()

    def merge(self, which: int = 0) -> None:
        """Merge two neighbours among the open shards, where there are two."""
        shards = self._open()
        if len(shards) < 2:
            return
        left, right = list(itertools.pairwise(shards))[which % (len(shards) - 1)]
        self._client.merge_shards(
            StreamName=self._name,
            ShardToMerge=left["ShardId"],
            AdjacentShardToMerge=right["ShardId"],
        )
        self._settle()

    def planned(self) -> list[Plan]:
        ledger = ingest.open_ledger(self.aws, self.contract.dataset)
        plans = [ledger.plan(load) for load in ledger.plans_after(-1)]
        return [plan for plan in plans if plan is not None]

    def check(self) -> None:
        """Nothing is lost, repeated or out of its key's order; no child was read too early."""
        table = load_table(self.aws, "bronze", self.contract.dataset)
        assert table is not None
        columns = ("_load", "_sequence", "_source", "key", "number")
        rows = table.scan(selected_fields=columns).to_arrow().to_pylist()
        rows.sort(key=lambda row: (row["_load"], int(row["_sequence"])))
        found: defaultdict[str, list[int]] = defaultdict(list)
        sources: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        for row in rows:
            found[row["key"]].append(row["number"])
            sources[row["key"], row["_load"]].add(row["_source"])
        assert found == {key: list(range(count)) for key, count in self.sent.items()}
        mixed = {where: shards for where, shards in sources.items() if len(shards) > 1}
        assert not mixed, f"one load holds records of a key from several shards: {mixed}"
        self._check_plans(Stream.of(self.aws, self.contract).shards())

    def _check_plans(self, shards: Shards) -> None:
        ledger = ingest.open_ledger(self.aws, self.contract.dataset)
        closed: set[str] = set()
        for plan in self.planned():
            assert plan.stream is not None
            finished, reading = plan.stream.finished, set(plan.stream.positions)
            assert reading == {start.shard for part in plan.parts for start in part.shards}
            assert len(finished) == len(set(finished))
            assert closed.issuperset(finished)
            assert not reading & closed
            early = {
                s: set(shards[s]) - closed for s in reading if not closed.issuperset(shards[s])
            }
            assert not early, (
                f"load {plan.load} reads children of shards that are not read: {early}"
            )
            claims = ledger.claims(plan)
            assert claims is not None
            closed |= {end.shard for claim in claims for end in claim.shards if end.closed}
        assert closed == {parent for parents in shards.values() for parent in parents}

    def _open(self) -> list[dict[str, Any]]:
        shards = self._client.list_shards(StreamName=self._name)["Shards"]
        still_open = [s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
        return sorted(still_open, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    def _settle(self) -> None:
        def active() -> bool:
            answer = self._client.describe_stream_summary(StreamName=self._name)
            return bool(answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

        wait_for(active, every=0.005)


class Forgetful(Stream):
    """A stream that lists some of its shards no longer, as it does once their retention is over."""

    forgotten: frozenset[str] = frozenset()

    def shards(self) -> dict[str, tuple[str, ...]]:
        return {s: parents for s, parents in super().shards().items() if s not in self.forgotten}


class Driver:
    """A driver without Spark: it plans, works and publishes, and may be left at any point."""

    def __init__(self, feed: Feed, stream: Stream | None = None) -> None:
        self._feed = feed
        self._loads = ingest.open_loads(feed.aws, feed.contract)
        self._planner = StreamPlanner(
            stream or Stream.of(feed.aws, feed.contract), limits=Limits(records=40), parts=3
        )

    def plan(self) -> Plan | None:
        return self._loads.plan(self._planner)

    def claim(self, parts: int = 1000) -> None:
        """Plan a load and work on its first parts, without publishing it."""
        plan = self.plan()
        for part in range(min(parts, len(plan.parts)) if plan else 0):
            assert plan is not None
            ingest.work_on(self._feed.aws, self._feed.contract, plan, part)

    def load(self) -> Plan | None:
        execute = ingest.on_driver(self._feed.aws, self._feed.contract)
        return self._loads.run(self._planner, execute)

    def drain(self) -> None:
        """Carry out loads until there is nothing to read."""
        for _ in range(100):
            if self.load() is None:
                return
        raise AssertionError("there is always something to read: is a shard read over and over?")


@pytest.fixture(scope="module")
def kinesis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kinesis_local(tmp_path_factory.mktemp("kinesis-local")) as url:
        yield url


# For each test, so that the session's Spark never starts with this endpoint in its environment.
@pytest.fixture(autouse=True)
def endpoint(aws: Aws, kinesis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", kinesis_url)
    aws_module._client.cache_clear()
    yield aws
    aws_module._client.cache_clear()


def test_shards_are_split_and_merged_between_two_loads(aws: Aws) -> None:
    feed = Feed(aws)
    driver = Driver(feed)
    for reshard in (feed.split, feed.merge, feed.split, feed.merge):
        feed.send(60)
        assert driver.load()
        reshard()
    feed.send(60)
    driver.drain()
    feed.check()


def test_shards_are_split_and_merged_while_a_load_is_planned(aws: Aws) -> None:
    feed = Feed(aws)
    driver = Driver(feed)
    for reshard in (feed.split, feed.merge, feed.split, feed.merge):
        feed.send(60)
        planned = driver.plan()
        assert planned is not None
        reshard()
        feed.send(60)
        assert driver.load() == planned
    driver.drain()
    feed.check()


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("between", [0, 36])
def test_generations_of_shards_come_while_nothing_runs(
    aws: Aws, read_before: bool, between: int
) -> None:
    feed = Feed(aws)
    feed.send(60)
    if read_before:
        Driver(feed).drain()
    # A child is split, its halves are merged, and that one with a shard of the first generation.
    for reshard in (feed.split, feed.split, feed.merge, feed.merge, feed.merge, feed.split):
        reshard()
        if between:
            feed.send(between)
    feed.send(60)
    Driver(feed).drain()
    feed.check()


def test_the_ledger_forgets_the_shards_that_the_stream_forgets(aws: Aws) -> None:
    feed = Feed(aws, shards=1)
    stream = Forgetful.of(aws, feed.contract)
    assert isinstance(stream, Forgetful)
    driver = Driver(feed, stream)
    for _ in range(3):
        read = frozenset(stream.shards())
        for reshard in (feed.split, feed.merge):
            feed.send(24)
            reshard()
            feed.send(24)
            driver.drain()
        stream.forgotten |= read
    feed.check()
    finished = [len(plan.stream.finished) for plan in feed.planned() if plan.stream]
    assert max(finished) <= 7, "of two rounds of three shards, and one more"


ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 60)),
    st.tuples(st.sampled_from(["split", "merge"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["load", "crash after plan"]), st.integers(0, 1)),
    st.tuples(st.just("crash after claim"), st.integers(0, 1), st.integers(1, 3)),
)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=st.lists(ACTIONS, min_size=8, max_size=20))
def test_whatever_comes_in_whatever_order(aws: Aws, actions: list[tuple[Any, ...]]) -> None:
    feed = Feed(aws)
    drivers = [Driver(feed), Driver(feed)]
    for action, which, *parts in actions:
        match action:
            case "send":
                feed.send(which)
            case "split":
                feed.split(which)
            case "merge":
                feed.merge(which)
            case "load":
                drivers[which].load()
            case "crash after plan":
                drivers[which].plan()
                drivers[which] = Driver(feed)
            case "crash after claim":
                drivers[which].claim(*parts)
                drivers[which] = Driver(feed)
    Driver(feed).drain()
    assert [driver.load() for driver in drivers] == [None, None]
    feed.check()


def test_spark_drains_the_stream_through_a_split(spark: SparkSession, aws: Aws) -> None:
    from lakehouse.ingestion.ingestquery import IngestQuery
    from lakehouse.ingestion.stream import LoadsSource, StreamOptions

    feed = Feed(aws)
    feed.send(120)
    done: list[LoadReport] = []

    def observe(report: LoadReport) -> None:
        if not done:
            feed.split()
            feed.send(120)
        done.append(report)

    # What Spark starts has the environment of its own start, and this.
    environment = spark.sparkContext.environment
    environment["AWS_ENDPOINT_URL_KINESIS"] = os.environ["AWS_ENDPOINT_URL_KINESIS"]
    try:
        spark.dataSource.register(LoadsSource)
        options = StreamOptions(aws, feed.contract, Limits(records=40), parts=3)
        query = IngestQuery(spark, options, observe, trigger_seconds=0)
        query.start()
        query.drain()
    finally:
        del environment["AWS_ENDPOINT_URL_KINESIS"]
    assert sum(report.good for report in done) == 240
    feed.check()
