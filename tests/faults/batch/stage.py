"""Plays a story through the platform's own steps, with something going wrong in one of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Final, Literal

import msgspec
import pyarrow.compute as pc
import pytest
from faults.batch.death import DiedError, Life, kill, living, meddle
from faults.batch.story import Row, Story, deliveries, expected, rounds_of, totals
from faults.batch.watch import Reader
from pyspark.sql import SparkSession

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import PublishConflictError, RunningElsewhereError
from lakehouse.ingestion.ingest import land, on_driver, replay
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.marts import build as marts
from lakehouse.naming import landing_prefix
from lakehouse.promotion import promote as promotion
from lakehouse.promotion.runclaim import run_claim
from lakehouse.tables import load_table

Step = Literal["land", "promote", "marts", "replay"]
Kind = Literal["none", "killed before", "killed after", "twin", "twin unclaimed", "outside commit",
               "compaction", "expiry"]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = (
    "killed before",
    "killed after",
    "twin",
    "twin unclaimed",
    "outside commit",
    "compaction",
    "expiry",
)
_CALLS: Final[dict[Step, int]] = {"land": 20, "promote": 40, "marts": 30, "replay": 9}
"""About how many calls a step makes; the call at which a fault strikes is drawn from them."""
_LIFE: Final = 2.0
"""Seconds of a run's claim, so that whoever comes after a dead one does not wait long."""


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong, in which of the steps of the story, at which of the step's calls."""

    kind: Kind
    step: Step
    nth: int
    """Of the steps of this name."""
    call: int


class Outcome(msgspec.Struct, frozen=True):
    """What came of a story with a fault."""

    seed: int
    fault: Fault
    struck: str
    """Before or after which call; empty where the step ended before."""
    rows: int
    missing: int
    surplus: int
    mart_wrong: int
    deliveries: int
    bronze: int
    """Positions in bronze, good and rejected."""
    unaudited: tuple[str, ...]
    looks: int
    """How often the reader looked at main."""
    again: int
    """Runs that were needed beyond the story's own."""
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether main is what one clean run gives, and nobody saw anything else."""
        wrong = self.missing + self.surplus + self.mart_wrong
        return not wrong and not self.unaudited and self.deliveries == self.bronze


def draw(seed: int) -> Fault:
    """The fault of a seed; kinds and steps come in turns."""
    random = Random(f"fault {seed}")
    kind = KINDS[seed % len(KINDS)]
    steps: tuple[Step, ...] = ("land", "promote", "marts", "replay")
    step = random.choice(steps if kind.startswith("killed") else ("promote", "marts", "promote"))
    rounds = rounds_of(seed)
    times = {"land": rounds, "promote": rounds + 1, "marts": 2, "replay": 1}[step]
    return Fault(kind, step, random.randrange(times), random.randrange(1, _CALLS[step] + 1))


class Stage:
    """One story on one deployment."""

    def __init__(self, aws: Aws, spark: SparkSession, story: Story, fault: Fault) -> None:
        self._aws = aws
        self._spark = spark
        self._story = story
        self._fault = fault
        self._orders = story.contract(widened=False)
        self._counts: dict[str, int] = {}
        self._runs = 0
        self._again = 0
        self._struck = ""
        self._reader = Reader(aws, f"silver.{story.orders}", f"gold.{story.daily}")

    def play(self) -> Outcome:
        """Play it to its end and compare."""
        began = time.monotonic()
        with self._reader:
            for files in self._story.rounds:
                self._drop(files)
                self._step("land", self._land)
                self._step("promote", self._promote)
                if self._counts.get("marts", 0) < 1:
                    self._step("marts", self._marts)
            self._orders = self._story.contract(widened=True)
            self._step("replay", self._replay)
            self._step("promote", self._promote)
            self._step("marts", self._marts)
        return self._compare(time.monotonic() - began)

    def _drop(self, files: dict[str, list[str]]) -> None:
        for name, lines in files.items():
            self._aws.client("s3").put_object(
                Bucket=self._aws.bucket("landing"),
                Key=landing_prefix(self._story.orders) + name,
                Body="".join(f"{line}\n" for line in lines).encode(),
            )

    def _step(self, name: Step, run: Callable[[SparkSession], object]) -> None:
        nth = self._counts.get(name, 0)
        self._counts[name] = nth + 1
        mine = (self._fault.step, self._fault.nth) == (name, nth)
        kind = self._fault.kind if mine else "none"
        if kind.startswith("twin"):
            self._twins(run, claimed=kind == "twin")
            return
        what = {
            "none": None,
            "killed before": kill("before"),
            "killed after": kill("after"),
            "outside commit": meddle(partial(self._beside, name, "commit")),
            "compaction": meddle(partial(self._beside, name, "compact")),
            "expiry": meddle(partial(self._beside, name, "expire")),
        }[kind]
        life = Life(self._fault.call, what)
        try:
            with living(life):
                run(self._spark)
        except (DiedError, PublishConflictError):
            self._again += 1
            self._until_free(run)
        if mine:
            self._struck = life.happened

    def _twins(self, run: Callable[[SparkSession], object], *, claimed: bool) -> None:
        def one(spark: SparkSession) -> None:
            with contextlib.suppress(RunningElsewhereError, PublishConflictError):
                run(spark)

        with _claims(claimed), ThreadPoolExecutor(2) as pool:
            list(pool.map(one, [self._spark, self._spark.newSession()]))
        self._struck = "two runs at once"
        self._again += 1
        self._until_free(run)

    def _until_free(self, run: Callable[[SparkSession], object]) -> None:
        """Run again as an operator would: once whoever is dead no longer holds the claim."""
        deadline = time.monotonic() + 30
        while True:
            try:
                run(self._spark)
            except RunningElsewhereError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _beside(self, step: Step, what: str) -> None:
        """What others do meanwhile to the table that the step writes."""
        name = f"gold.{self._story.daily}" if step == "marts" else f"silver.{self._story.orders}"
        layer, _, dataset = name.partition(".")
        table = load_table(self._aws, "gold" if layer == "gold" else "silver", dataset)
        if table is None or table.current_snapshot() is None:
            return
        if what == "expire":
            now = datetime.now(UTC) + timedelta(days=1)
            table.maintenance.expire_snapshots().older_than(now).commit()
            return
        if what == "compact":
            self._spark.sql(
                f"CALL lake.system.rewrite_data_files(table => '{name}', "
                "options => map('rewrite-all', 'true'))"
            )
        else:
            table.overwrite(table.scan().to_arrow())
        after = self._aws.catalog().load_table(name).current_snapshot()
        assert after is not None
        self._reader.outside.add(after.snapshot_id)

    def _land(self, _: SparkSession) -> None:
        land(self._aws, self._orders, on_driver(self._aws, self._orders))

    def _replay(self, _: SparkSession) -> None:
        replay(self._aws, self._orders, RejectFilter(), on_driver(self._aws, self._orders))

    def _promote(self, spark: SparkSession) -> None:
        self._runs += 1
        promotion.promote(
            self._aws, spark, self._orders, clock=_now, run_id=f"{self._story.seed}-{self._runs}"
        )

    def _marts(self, spark: SparkSession) -> None:
        self._runs += 1
        marts.build(
            self._aws,
            spark,
            self._story.mart(),
            self._story.select(),
            contracts=Contracts([self._orders, self._story.mart()], "the story"),
            clock=_now,
            run_id=f"{self._story.seed}-{self._runs}",
        )

    def _compare(self, seconds: float) -> Outcome:
        wanted = expected(self._story)
        found = self._rows("silver", self._orders)
        rows = [
            Row(r["id"], str(r["day"]), r["at"].isoformat(), r["amount"], r["kind"]) for r in found
        ]
        days = self._rows("gold", self._story.mart())
        mart = [(str(r["day"]), r["orders"], r["amount"]) for r in days]
        # A row that is there twice is one that is too many.
        twice = len(rows) - len(set(rows))
        return Outcome(
            seed=self._story.seed,
            fault=self._fault,
            struck=self._struck,
            rows=len(wanted),
            missing=len(wanted - set(rows)),
            surplus=len(set(rows) - wanted) + twice,
            mart_wrong=len(totals(wanted) ^ set(mart)) + len(mart) - len(set(mart)),
            deliveries=deliveries(self._story),
            bronze=self._positions(),
            unaudited=tuple(self._reader.unaudited),
            looks=self._reader.looks,
            again=self._again,
            seconds=round(seconds, 1),
        )

    def _rows(
        self, layer: Literal["silver", "gold"], contract: Contract
    ) -> list[dict[str, object]]:
        table = load_table(self._aws, layer, contract.dataset)
        return [] if table is None else table.scan().to_arrow().to_pylist()

    def _positions(self) -> int:
        table = load_table(self._aws, "bronze", self._orders.dataset)
        assert table is not None
        rows = table.scan(selected_fields=("_source", "_sequence", "_index", "_attempt")).to_arrow()
        first = rows.filter(pc.equal(rows["_attempt"], 0))
        keys = rows.select(["_source", "_sequence", "_index"]).group_by(
            ["_source", "_sequence", "_index"]
        )
        assert keys.aggregate([]).num_rows == first.num_rows, "a position came twice"
        return first.num_rows


@contextlib.contextmanager
def _claims(claimed: bool) -> Iterator[None]:
    """Without claims, nothing but the compare-and-swap keeps two runs apart."""
    if claimed:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for module in (promotion, marts):
            patch.setattr(module, "run_claim", lambda *_, **__: contextlib.nullcontext())
        yield


@contextlib.contextmanager
def short_claims() -> Iterator[None]:
    """Claims of dead runs end soon."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (promotion, marts):
            patch.setattr(module, "run_claim", partial(run_claim, life=_LIFE))
        yield


def _now() -> datetime:
    return datetime.now(UTC)
