"""Marts made anew in part: after any change they are what a build as a whole would give."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from support.bronze_rows import Clock

from lakehouse.aws import Aws
from lakehouse.contracts.model import (
    Contract,
    Contracts,
    Deduplicate,
    Field,
    FileFormat,
    MartInput,
    Partition,
)
from lakehouse.errors import ContractError
from lakehouse.marts import build as marts
from lakehouse.marts.build import Build
from lakehouse.marts.plan import plan
from lakehouse.marts.sql import pinned
from lakehouse.promotion.progress import (
    PUBLICATIONS,
    Publication,
    Touched,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import Candidate
from lakehouse.promotion.verdict import Origin, Verdict, put_verdict
from lakehouse.tables import ensure_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
Row = dict[str, Any]
NOW = Clock()
ORDERS = Contract(
    dataset="orders",
    version="1.0.0",
    description="",
    owner="tests",
    source="files",
    format=FileFormat(type="csv"),
    fields=(
        Field(name="id", type="integer", primary_key=True),
        Field(name="at", type="timestamp"),
        Field(name="day", type="date"),
        Field(name="kind", type="string"),
        Field(name="amount", type="integer"),
    ),
    event_time="at",
    deduplicate=Deduplicate(key=("id",)),
    partition_by=(Partition("day", "day"),),
)
RATES = msgspec.structs.replace(
    ORDERS,
    dataset="rates",
    fields=(
        Field(name="since", type="date", primary_key=True),
        Field(name="rate", type="integer"),
    ),
    event_time=None,
    deduplicate=Deduplicate(key=("since",)),
    partition_by=(Partition("since", "month"),),
)
KINDS = msgspec.structs.replace(
    RATES,
    dataset="kinds",
    fields=(
        Field(name="kind", type="string", primary_key=True),
        Field(name="name", type="string"),
    ),
    deduplicate=Deduplicate(key=("kind",)),
    partition_by=(),
)
MONTHLY = Contract(
    dataset="monthly",
    version="1.0.0",
    description="",
    owner="tests",
    source="mart",
    format=FileFormat(type="json"),
    fields=(
        Field(name="month", type="date", primary_key=True),
        Field(name="name", type="string", primary_key=True),
        Field(name="orders", type="integer"),
        Field(name="amount", type="integer"),
        Field(name="rates", type="integer"),
    ),
    deduplicate=Deduplicate(key=("month", "name")),
    partition_by=(Partition("month", "month"),),
    inputs=(
        MartInput(table="silver.orders", field="day"),
        MartInput(table="silver.rates", field="since", slack_days=1),
    ),
)
MONTHLY_SQL = """
SELECT
    CAST(date_trunc('month', o.day) AS date) AS month,
    coalesce(k.name, o.kind) AS name,
    count(*) AS orders,
    sum(o.amount) AS amount,
    sum(r.rate) AS rates
FROM silver.orders AS o
LEFT JOIN silver.rates AS r ON r.since = date_add('day', 1, o.day)
LEFT JOIN silver.kinds AS k ON k.kind = o.kind
GROUP BY CAST(date_trunc('month', o.day) AS date), coalesce(k.name, o.kind)
"""
YEARLY = msgspec.structs.replace(
    MONTHLY,
    dataset="yearly",
    fields=(
        Field(name="year", type="date", primary_key=True),
        Field(name="orders", type="integer"),
    ),
    deduplicate=Deduplicate(key=("year",)),
    partition_by=(Partition("year", "year"),),
    inputs=(MartInput(table="gold.monthly", field="month"),),
)
YEARLY_SQL = """
SELECT CAST(date_trunc('year', month) AS date) AS year, CAST(sum(orders) AS bigint) AS orders
FROM gold.monthly GROUP BY CAST(date_trunc('year', month) AS date)
"""
ALL = Contracts([ORDERS, RATES, KINDS, MONTHLY, YEARLY], "the test")
FIRST = date(2024, 1, 1)
DAYS = 120


class Lake:
    """The inputs, each changed by whole states of its rows, and the mart made from them."""

    def __init__(self, aws: Aws, spark: SparkSession) -> None:
        self.aws, self.spark = aws, spark
        self.rows: dict[str, dict[Any, Row]] = {"orders": {}, "rates": {}, "kinds": {}}
        self._runs = 0

    def table(self, contract: Contract) -> Table:
        return ensure_table(self.aws, contract, contract.checked_layer)

    def put(self, contract: Contract, rows: Mapping[Any, Row], field: str | None) -> None:
        """Publish the rows as the table's new state, with the days of ``field`` that changed."""
        before = self.rows[contract.dataset]
        keys = before.keys() | rows.keys()
        unlike = [key for key in keys if before.get(key) != rows.get(key)]
        changed = [state.get(key) for key in unlike for state in (before, rows)]
        touched = None
        if field is not None:
            values = [row[field] for row in changed if row is not None]
            found = sorted({v.date() if isinstance(v, datetime) else v for v in values})
            spans = tuple((str(d), str(d + timedelta(days=1))) for d in found)
            touched = Touched(field, spans)
        base = read_state(self.table(contract)).base
        self.commit(contract, rows)
        self.publication(contract, base, touched)

    def commit(self, contract: Contract, rows: Mapping[Any, Row]) -> None:
        """Commit the rows without a word to anyone."""
        table = self.table(contract)
        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        columns = {f.name: pa.array([r.get(f.name) for r in rows.values()], f.type) for f in schema}
        write = table.overwrite if table.current_snapshot() else table.append
        write(pa.table(columns, schema=schema))
        self.rows[contract.dataset] = dict(rows)

    def publication(self, contract: Contract, base: int | None, touched: Touched | None) -> None:
        table = self.table(contract)
        state = read_state(table)
        assert state.base is not None
        made = Publication(
            number=len(state.publications) + 1,
            snapshot_id=state.base,
            base=base,
            at="",
            verdict="",
            run_id="",
            code="",
            contract_version="1.0.0",
            touched=touched,
        )
        with table.transaction() as change:
            change.set_properties({PUBLICATIONS: as_property([*state.publications, made])})

    def build(
        self, contract: Contract = MONTHLY, sql: str = MONTHLY_SQL, full: bool = False
    ) -> Build:
        self._runs += 1
        return marts.build(
            self.aws,
            self.spark,
            contract,
            sql,
            contracts=ALL,
            clock=NOW,
            run_id=f"run-{self._runs}",
            full=full,
        )

    def compare(self, contract: Contract = MONTHLY, sql: str = MONTHLY_SQL) -> None:
        """The mart has just the rows that its SELECT gives over its inputs as they are."""
        inputs = plan(self.aws, contract, sql, ALL).inputs
        wanted = self.spark.sql(pinned(contract.dataset, sql, inputs)).collect()
        found = self.table(contract).scan().to_arrow().to_pylist()
        names = [field.name for field in contract.fields]
        rows = sorted(tuple(row[name] for name in names) for row in found)
        assert rows == sorted(tuple(row) for row in wanted)

    def files(self) -> dict[str, set[str]]:
        """Paths of the mart's files by month."""
        found: dict[str, set[str]] = {}
        for task in self.table(MONTHLY).scan().plan_files():
            months = int(task.file.partition[0])
            found.setdefault(f"{1970 + months // 12}-{months % 12 + 1:02}", set()).add(
                task.file.file_path
            )
        return found


def order(number: int, day: int, amount: int = 1, kind: str = "a") -> Row:
    on = FIRST + timedelta(days=day)
    # The event is two days after the day that it counts for.
    at = datetime(on.year, on.month, on.day, 12, tzinfo=UTC) + timedelta(days=2)
    return {"id": number, "at": at, "day": on, "kind": kind, "amount": amount}


def rate(day: int, value: int) -> Row:
    return {"since": FIRST + timedelta(days=day), "rate": value}


def passes(
    aws: Aws,
    _spark: SparkSession,
    contract: Contract,
    candidate: Candidate,
    origin: Origin,
    *,
    clock: Callable[[], datetime],
) -> tuple[Verdict, str]:
    verdict = Verdict(
        dataset=contract.dataset,
        layer="gold",
        snapshot_id=candidate.snapshot_id,
        base_snapshot_id=candidate.base,
        run_id=origin.run_id,
        loads=(),
        inputs=origin.inputs,
        contract_version=contract.version,
        checked_at=clock().isoformat(),
        passed=True,
        reason="",
        checks=(),
        touched=origin.touched,
        scope=origin.scope,
    )
    return verdict, put_verdict(aws, verdict)


@pytest.fixture(scope="module")
def lake(aws: Aws, spark: SparkSession) -> Lake:
    made = Lake(aws, spark)
    made.put(ORDERS, {n: order(n, n) for n in range(DAYS)}, None)
    made.put(RATES, {n: rate(n, n) for n in range(0, DAYS, 3)}, None)
    made.put(KINDS, {"a": {"kind": "a", "name": "apples"}}, None)
    return made


@pytest.fixture(autouse=True)
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gate finds is tested elsewhere; here it lets everything through."""
    monkeypatch.setattr(marts, "audit", passes)


def test_a_mart_is_made_as_a_whole_first_and_then_by_its_changed_days(lake: Lake) -> None:
    assert lake.build().whole == "it has no rows yet"
    lake.compare()
    assert lake.build().reason == "nothing has changed"
    before = lake.files()

    # From 29 February back to January: both months change, found by asking the rows.
    moved = lake.rows["orders"] | {59: order(59, 3, amount=7)}
    lake.put(ORDERS, moved, "at")
    done = lake.build()

    assert done.days == (("2024-01-01", "2024-03-01"),)
    assert done.whole == ""
    lake.compare()
    after = lake.files()
    assert after["2024-03"] == before["2024-03"]
    assert after["2024-04"] == before["2024-04"]
    assert after["2024-01"].isdisjoint(before["2024-01"])
    state = read_state(lake.table(MONTHLY))
    assert state.publications[-1].touched == Touched("month", done.days)
    assert state.publications[-1].inputs == state.inputs == done.inputs
    assert [item.rebuilt for item in state.publications] == [True, False]


def test_a_day_at_the_edge_counts_for_both_partitions_and_an_empty_partition_goes(
    lake: Lake,
) -> None:
    lake.build()
    lake.put(RATES, lake.rows["rates"] | {60: rate(60, 1000)}, "since")
    assert lake.build().days == (("2024-02-01", "2024-04-01"),), "1 March, give or take a day"
    lake.compare()

    lake.put(ORDERS, {k: r for k, r in lake.rows["orders"].items() if r["day"].month != 2}, "at")
    lake.build()
    assert "2024-02" not in lake.files()
    lake.compare()


def test_days_in_which_nothing_counts_are_recorded_without_a_snapshot(lake: Lake) -> None:
    lake.build()
    head = read_state(lake.table(MONTHLY)).base
    lake.put(ORDERS, lake.rows["orders"], "at")
    done = lake.build()
    assert not done.published
    assert done.reason == "what changed counts in no day"
    assert read_state(lake.table(MONTHLY)).base == head
    assert lake.build().reason == "nothing has changed"


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_it_is_what_a_build_as_a_whole_gives(lake: Lake, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        for _ in range(chance.randint(1, 3)):
            _change(lake, chance)
        lake.build()
        lake.compare()


def _change(lake: Lake, chance: random.Random) -> None:
    """One publication: new rows, rows that move, rows that go, late ones; seldom unknown days."""
    known = chance.random() > 0.1
    if chance.random() < 0.3:
        rates = dict(lake.rows["rates"])
        for day in chance.sample(range(DAYS + 20), 3):
            rates.pop(day, None)
            if chance.random() < 0.7:
                rates[day] = rate(day, chance.randint(1, 99))
        lake.put(RATES, rates, "since" if known else None)
        return
    orders = dict(lake.rows["orders"])
    for number in chance.sample(range(100), chance.randint(1, 4)):
        orders.pop(number, None)
        if chance.random() < 0.8:
            day, kind = chance.randrange(-40, DAYS), chance.choice("ab")
            orders[number] = order(number, day, chance.randint(1, 9), kind)
    lake.put(ORDERS, orders, "at" if known else None)


def test_whatever_is_not_known_to_be_in_some_days_makes_all_of_it_anew(lake: Lake) -> None:
    lake.build()
    lake.put(KINDS, {"a": {"kind": "a", "name": "pears"}}, None)
    assert "silver.kinds: it changed" in lake.build().whole
    lake.compare()

    lake.put(ORDERS, lake.rows["orders"] | {200: order(200, 5)}, None)
    assert "silver.orders: its publication" in lake.build().whole
    lake.compare()

    lake.commit(ORDERS, lake.rows["orders"] | {201: order(201, 5)})
    assert "not published by a gate" in lake.build().whole
    lake.compare()
    assert lake.build().reason == "nothing has changed"

    # What is published on top of that does not tell of it.
    lake.put(ORDERS, lake.rows["orders"] | {202: order(202, 95)}, "at")
    assert "no longer on record" in lake.build().whole
    lake.compare()

    assert lake.build(full=True).whole == "asked for"


def test_an_older_snapshot_that_has_expired_makes_all_of_it_anew(lake: Lake) -> None:
    lake.put(ORDERS, lake.rows["orders"] | {210: order(210, 5)}, "at")
    lake.build()
    pinned_at = plan(lake.aws, MONTHLY, MONTHLY_SQL, ALL).inputs["silver.orders"]
    lake.put(ORDERS, lake.rows["orders"] | {211: order(211, 6)}, "at")
    lake.table(ORDERS).maintenance.expire_snapshots().by_id(pinned_at).commit()
    assert f"its snapshot {pinned_at} has expired" in lake.build().whole
    lake.compare()


def test_a_compacted_input_is_an_unchanged_one_and_what_follows_is_still_told(lake: Lake) -> None:
    lake.build()
    lake.spark.sql(
        "CALL lake.system.rewrite_data_files(table => 'silver.orders', "
        "options => map('rewrite-all', 'true'))"
    ).collect()
    assert lake.build().reason == "nothing has changed"
    lake.put(ORDERS, lake.rows["orders"] | {220: order(220, 5)}, "at")
    assert lake.build().days == (("2024-01-01", "2024-02-01"),)
    lake.compare()


def test_a_mart_over_a_mart_follows_its_partitions(lake: Lake) -> None:
    lake.build()
    assert lake.build(YEARLY, YEARLY_SQL).whole
    lake.put(ORDERS, lake.rows["orders"] | {230: order(230, -20), 231: order(231, 400)}, "at")
    lake.build()
    done = lake.build(YEARLY, YEARLY_SQL)
    assert done.days == (("2023-01-01", "2024-01-01"), ("2025-01-01", "2026-01-01"))
    lake.compare(YEARLY, YEARLY_SQL)


def test_only_the_files_of_the_region_are_read(lake: Lake) -> None:
    lake.build()
    inputs = plan(lake.aws, MONTHLY, MONTHLY_SQL, ALL).inputs
    where = {"silver.orders": "`day` >= DATE '2024-01-01' AND `day` < DATE '2024-01-11'"}

    def pushed(predicates: Mapping[str, str]) -> str:
        """What Iceberg is asked for, as the plan of Spark says it."""
        sql = pinned("m", "SELECT day FROM silver.orders", inputs, predicates)
        plan = lake.spark.sql(sql)._jdf.queryExecution().executedPlan().toString()
        found = re.search(r"filters=(.*?), runtimeFilters=", plan)
        assert found is not None, plan
        return found[1]

    assert pushed({}) == ""
    assert "day >= " in pushed(where)
    assert "day < " in pushed(where)


def test_other_partitions_in_the_contract_make_it_anew_with_them(lake: Lake) -> None:
    lake.build()
    by_year = msgspec.structs.replace(MONTHLY, partition_by=(Partition("month", "year"),))
    assert lake.build(by_year).whole == "its SELECT or its contract changed"
    assert [str(field.transform) for field in lake.table(MONTHLY).spec().fields] == ["year"]
    lake.put(ORDERS, lake.rows["orders"] | {240: order(240, 5)}, "at")
    assert lake.build(by_year).days == (("2024-01-01", "2025-01-01"),)
    lake.compare()
    lake.build()


def test_a_select_that_does_not_fit_is_refused_before_anything_is_written(lake: Lake) -> None:
    before = lake.table(MONTHLY).metadata_location
    wrong = MONTHLY_SQL.replace("count(*) AS orders", "o.kind AS orders, 1 AS more").replace(
        "coalesce(k.name, o.kind)\n", "coalesce(k.name, o.kind), o.kind\n"
    )
    with pytest.raises(ContractError, match=r"'orders string' instead of 'orders bigint'; .*more"):
        lake.build(sql=wrong)
    with pytest.raises(ContractError, match=r"UNRESOLVED_COLUMN.*colour"):
        lake.build(sql=MONTHLY_SQL.replace("o.amount", "o.colour"))
    assert lake.table(MONTHLY).metadata_location == before
