"""Lineage and trace over tables, verdicts and a ledger that are there, without Spark."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from rich.console import Console
from support.bronze_rows import START, deliver
from support.refining import contract_of
from support.verdicts import gold, rows_check, silver

from lakehouse.aws import Aws
from lakehouse.cli import showlineage, showtrace
from lakehouse.contracts.model import Contract, Contracts, Field, MartInput
from lakehouse.errors import EstateError, InputError
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.ingestion.ledger import (
    Claim,
    LoadRange,
    ObjectRef,
    Part,
    Plan,
    Position,
    RejectFilter,
    Replay,
    ShardEnd,
    ShardStart,
)
from lakehouse.lineage.emitter import Emitter
from lakehouse.lineage.rows import typed_conditions, typed_key
from lakehouse.lineage.trace import find_key, trace
from lakehouse.lineage.tree import lineage
from lakehouse.promotion.progress import (
    INPUTS,
    PROMOTED,
    PUBLICATIONS,
    SET_ASIDE,
    Publication,
    SetAside,
    as_property,
    read_state,
)
from lakehouse.promotion.verdict import Verdict, put_verdict, verdict_key
from lakehouse.tables import ensure_table

DAY = datetime(2026, 3, 1, tzinfo=UTC)
SHARD = "shardId-000000000000"
THINGS = msgspec.structs.replace(
    contract_of(keep="first", within_days=2),
    source="stream",
    fields=(
        *contract_of().fields[:2],
        Field(name="state", type="string", classification="restricted"),
        Field(name="op", type="string"),
    ),
)
MART = Contract(
    dataset="daily",
    version="2.0.0",
    description="",
    owner="tests",
    source="mart",
    format=THINGS.format,
    fields=(Field(name="day", type="date", primary_key=True),),
    deduplicate=msgspec.structs.replace(THINGS.deduplicate, key=("day",), within_days=None),
    inputs=(MartInput(table="silver.things", field="at", slack_days=1),),
)
CONTRACTS = Contracts([THINGS, MART], "test")


def row(key: str, day: float, sequence: int, load: int, **more: Any) -> dict[str, Any]:
    values = {"id": key, "at": DAY + timedelta(days=day), "state": "secret", "op": None}
    place = {"_source": SHARD, "_sequence": f"{sequence}", "_index": 0, "_load": load}
    return {**values, **place, **more}


def claim(aws: Aws, plan: Plan, **facts: Any) -> None:
    ledger = open_ledger(aws, "things")
    ledger.record_plan(plan)
    plain: dict[str, Any] = {"good": 1, "rejected": {}, "payload_bytes": 10, "files": ()}
    ledger.record_claim(Claim(load=plan.load, part=0, **plain | facts))


def stream_load(aws: Aws, load: int, **facts: Any) -> None:
    start = Position("after", f"{load * 10}") if load else Position("trim_horizon")
    part = Part(shards=(ShardStart(SHARD, start),))
    made_at = START + timedelta(minutes=load)
    end = ShardEnd(SHARD, Position("after", f"{load * 10 + 10}"), False, 0)
    claim(aws, Plan(load, made_at, (part,)), shards=(end,), through=made_at, **facts)


def write(table: Table, rows: list[dict[str, Any]]) -> int:
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    columns = {f.name: pa.array([one.get(f.name) for one in rows], f.type) for f in schema}
    table.append(pa.table(columns, schema=schema))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id


def published(
    aws: Aws, table: Table, contract: Contract, snapshot: int, hour: int, **facts: Any
) -> Publication:
    """Record a publication of the snapshot as publish() does, with its verdict."""
    state = read_state(table)
    known = {name: facts[name] for name in ("loads", "inputs") if name in facts}
    make = silver if contract.source == "stream" else gold
    verdict: Verdict = make(
        hour,
        rows_check(5),
        dataset=contract.dataset,
        snapshot_id=snapshot,
        contract_version=contract.version,
        **{"loads": (), "inputs": {}, **known},
    )
    put_verdict(aws, verdict)
    made = Publication(
        number=len(state.publications) + 1,
        snapshot_id=snapshot,
        base=None,
        at=verdict.checked_at,
        verdict=verdict_key(contract.dataset, snapshot),
        run_id=verdict.run_id,
        code=verdict.code,
        contract_version=contract.version,
        **known,
    )
    properties = {PUBLICATIONS: as_property((*state.publications, made))}
    if "loads" in known:
        properties[PROMOTED] = str(max(known["loads"]))
    if "inputs" in known:
        properties[INPUTS] = as_property(known["inputs"])
    with table.transaction() as transaction:
        transaction.set_properties(properties)
    return made


class Lake(msgspec.Struct):
    aws: Aws
    silver: Table
    gold: Table
    snapshots: list[int]
    mart: int


@pytest.fixture(scope="module")
def lake(aws: Aws) -> Lake:
    """Loads 0, 1 and 3 are in silver by two publications, 2 is set aside, 4 waits; one mart."""
    table = ensure_table(aws, THINGS, "silver")
    reject = {"code": "range", "detail": "Expected more"}
    deliver(aws, THINGS, 0, [row("a", 0, 1, 0), row("b", 0, 2, 0)])
    bad = row("", 0, 3, 1, id=None, at=None, _reject=reject, _payload=b'{"id":"a","at":0}')
    deliver(aws, THINGS, 1, [row("a", 1, 4, 1), row("a", 7, 5, 1), bad])
    deliver(aws, THINGS, 2, [row("a", 1, 6, 2)])
    deliver(aws, THINGS, 3, [row("a", 0, 8, 3, _attempt=1, _sequence="3", at=DAY)], attempt=1)
    deliver(aws, THINGS, 4, [row("a", 0, 9, 4)])
    for load in (0, 1, 2):
        stream_load(aws, load, rejected={"range": 1} if load == 1 else {})
    replayed = Replay(RejectFilter(codes=("range",)), 2, THINGS)
    claim(aws, Plan(3, START, (Part(rejects=LoadRange(1, 1)),), replay=replayed))
    ref = ObjectRef("things/x.csv", "v1", 1234, START)
    claim(aws, Plan(4, START, (Part(objects=(ref,)),)))
    seen = {"_seen_from": DAY, "_seen_to": DAY}
    first = write(table, [row("a", 0, 1, 0, **seen), row("b", 0, 2, 0, **seen)])
    published(aws, table, THINGS, first, 1, loads=(0,))
    second = write(table, [row("a", 7, 5, 1, **seen)])
    published(aws, table, THINGS, second, 3, loads=(1, 3))
    with table.transaction() as transaction:
        aside = SetAside(2, "wrong unit", "dataset=things/1.json", "now")
        transaction.set_properties({SET_ASIDE: as_property([aside])})
    mart = ensure_table(aws, MART, "gold")
    snapshot = write(mart, [{"day": DAY.date()}])
    published(aws, mart, MART, snapshot, 4, inputs={"silver.things": second})
    return Lake(aws, table, mart, [first, second], snapshot)


def printed(show: Any, *args: Any, **options: Any) -> str:
    text = io.StringIO()
    show(Console(soft_wrap=True, emoji=False, highlight=False, file=text), *args, **options)
    return text.getvalue()


def test_a_marts_tree_goes_down_to_shards_and_replays(lake: Lake) -> None:
    found = lineage(lake.aws, "gold.daily", snapshot_id=None, depth=None, most=20)
    assert found.snapshot_id == lake.mart
    (below,) = found.inputs
    assert (below.table, below.snapshot_id) == ("silver.things", lake.snapshots[1])
    assert below.published is not None
    assert below.published.number == 2
    assert below.brought is not None
    assert (below.brought.loads, below.brought.exact) == (3, True)
    assert below.brought.left_out == (LoadRange(2, 2),)
    streams, replay = below.brought.groups
    assert (streams.first, streams.last, streams.good, streams.rejected) == (0, 1, 2, {"range": 1})
    (shard,) = streams.shards
    assert (shard.start.kind, shard.end.sequence) == ("trim_horizon", "20")
    assert replay.kind == "replay"
    text = printed(showlineage.print_tree, found, every=False)
    for line in (
        "3 loads of bronze.things; not in it: 2",
        "loads 0-1: from the stream, 2 good, 1 rejected (range 1), all read that arrived until",
        f"{SHARD} from its start to 20",
        "load 3 replays rejects (range) of loads 1 by contract 1.0.0",
        "publication 2, 2026-01-02 06:04:05 UTC",
        "verdict passed (all checks passed)",
    ):
        assert line in text


def test_an_older_snapshot_has_only_its_own_loads(lake: Lake) -> None:
    found = lineage(lake.aws, "silver.things", snapshot_id=lake.snapshots[0], depth=None, most=None)
    assert found.brought is not None
    assert [(g.first, g.last) for g in found.brought.groups] == [(0, 0)]


def test_older_loads_are_collapsed(lake: Lake) -> None:
    found = lineage(lake.aws, "silver.things", snapshot_id=None, depth=None, most=1)
    assert found.brought is not None
    assert [(g.first, g.last, g.resolved) for g in found.brought.groups] == [
        (0, 1, False),
        (3, 3, True),
    ]
    text = printed(showlineage.print_tree, found, every=False)
    assert "0-1: 2 older loads, not looked up: --all" in text


def test_depth_ends_the_tree(lake: Lake) -> None:
    found = lineage(lake.aws, "gold.daily", snapshot_id=None, depth=0, most=20)
    assert (found.inputs, found.note) == ((), "not followed further: --depth")


def test_a_snapshot_that_nothing_published_is_told(lake: Lake) -> None:
    other = lineage(lake.aws, "silver.things", snapshot_id=4711, depth=None, most=1)
    assert "nothing published snapshot 4711" in other.note
    put_verdict(lake.aws, silver(9, rows_check(0), dataset="things", snapshot_id=4712))
    failed = lineage(lake.aws, "silver.things", snapshot_id=4712, depth=None, most=1)
    assert "its gate failed it: has rows (row_count) is 0" in failed.note
    put_verdict(lake.aws, silver(9, rows_check(1), dataset="things", snapshot_id=4713))
    lost = lineage(lake.aws, "silver.things", snapshot_id=4713, depth=None, most=1)
    assert "main had moved meanwhile" in lost.note


def test_tables_without_publications_are_told(lake: Lake) -> None:
    with pytest.raises(EstateError, match="nothing is published yet"):
        lineage(lake.aws, "gold.nowhere", snapshot_id=None, depth=None, most=1)
    for wrong in ("bronze.things", "things", "silver."):
        with pytest.raises(InputError):
            lineage(lake.aws, wrong, snapshot_id=None, depth=None, most=1)


def test_a_record_is_followed_to_the_mart(lake: Lake) -> None:
    found = trace(lake.aws, CONTRACTS, THINGS, {"id": "a"})
    said = {(d.at.sequence, d.at.attempt): (d.outcome, d.publication) for d in found.deliveries}
    assert said == {
        ("1", 0): ("kept", 1),
        ("3", 0): ("replaced", 2),
        ("3", 1): ("superseded", 2),
        ("4", 0): ("superseded", 2),
        ("5", 0): ("kept", 2),
        ("6", 0): ("set aside", None),
        ("9", 0): ("waiting", None),
    }
    assert [(r.sequence, r.publication) for r in found.rows] == [("1", 1), ("5", 2)]
    assert {r.values["state"] for r in found.rows} == {"•••"}
    assert found.notes == ()
    assert [item.number for item in found.publications] == [1, 2]
    (mart,) = found.marts
    assert (mart.table, mart.uses, mart.since) == ("gold.daily", True, 1)
    assert mart.rows_of == "rows of 2026-02-28 to 2026-03-02, 2026-03-07 to 2026-03-09"
    text = printed(showtrace.print_trace, found)
    assert "secret" not in text
    assert "•••" in text
    assert "in its place: load 0, shardId-000000000000, 1, 0" in text
    assert "set aside: load 2: wrong unit" in text


def test_a_reject_that_may_be_it_is_found_until_it_is_replayed(lake: Lake) -> None:
    # The replay made a good row of it, so no reject is left that counts.
    assert trace(lake.aws, CONTRACTS, THINGS, {"id": "a"}).rejects == ()
    other = msgspec.structs.replace(THINGS, dataset="others")
    reject = {"code": "range", "detail": "Expected more"}
    bad = row("", 0, 3, 0, id=None, at=None, _reject=reject, _payload=b'{"id":"zz-9"}')
    deliver(lake.aws, other, 0, [bad, row("q", 0, 4, 0)])
    contracts = Contracts([other], "test")
    found = trace(lake.aws, contracts, other, {"id": "zz-9"})
    assert [(r.code, r.at.sequence) for r in found.rejects] == [("range", "3")]
    assert (found.rejects_searched, found.rejects_all, found.deliveries) == (1, True, ())
    assert trace(lake.aws, contracts, other, {"id": "nope"}).rejects == ()


def test_only_some_loads_are_looked_at_on_request(lake: Lake) -> None:
    found = trace(lake.aws, CONTRACTS, THINGS, {"id": "a"}, LoadRange(1, 1))
    assert {d.at.load for d in found.deliveries} == {1}
    assert "only loads 1 to 1 were looked at" in found.notes[0]


def test_a_row_that_bronze_does_not_explain_is_told(lake: Lake) -> None:
    latest = msgspec.structs.replace(THINGS, deduplicate=contract_of().deduplicate)
    found = trace(lake.aws, CONTRACTS, latest, {"id": "a"})
    assert any("silver has a row of" in note for note in found.notes)


def test_a_key_is_found_by_another_column(lake: Lake) -> None:
    where = typed_conditions(THINGS, ["at=2026-03-08T00:00:00Z"])
    assert find_key(lake.aws, THINGS, where, None) == {"id": "a"}
    with pytest.raises(InputError, match="2 keys of things have that: id a; id b"):
        find_key(lake.aws, THINGS, typed_conditions(THINGS, ["state=secret"]), None)
    with pytest.raises(InputError, match="no good delivery"):
        find_key(lake.aws, THINGS, typed_conditions(THINGS, ["op=x"]), None)


def test_what_cannot_be_a_key_is_refused() -> None:
    with pytest.raises(InputError, match="got 2 values, expected those of id"):
        typed_key(THINGS, ["a", "b"])
    with pytest.raises(InputError, match="expected column=value with one of"):
        typed_conditions(THINGS, ["nope=1"])
    with pytest.raises(InputError, match="at: '2026' is no timestamp"):
        typed_conditions(THINGS, ["at=2026"])


def test_a_promotions_events_have_what_it_published(lake: Lake, tmp_path: Path) -> None:
    contract = msgspec.structs.replace(THINGS, dataset="emitted")
    table = ensure_table(lake.aws, contract, "silver")
    path = tmp_path / "events.ndjson"

    def promote(_: Contract) -> Mapping[str, object]:
        snapshot = write(table, [row("a", 0, 1, 0)])
        published(lake.aws, table, contract, snapshot, 5, loads=(0,))
        return {}

    emitter = Emitter.from_url(str(path), lake.aws, run_id="jr_1", code="abc")
    emitter.observed("promote", promote)(contract)
    emitter.observed("land", lambda _: {})(contract)
    emitter.close()
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(e["job"]["name"], e["eventType"]) for e in events] == [
        ("promote.emitted", "START"),
        ("gate.emitted", "START"),
        ("gate.emitted", "COMPLETE"),
        ("promote.emitted", "COMPLETE"),
        ("land.emitted", "START"),
        ("land.emitted", "COMPLETE"),
    ]
    (read,), (wrote,) = events[3]["inputs"], events[3]["outputs"]
    assert (read["name"], wrote["name"]) == ("table/bronze/emitted", "table/silver/emitted")
    facets = events[3]["run"]["facets"]
    assert facets["lakehouse_loads"]["loads"] == [0]
    assert facets["lakehouse_publications"]["publications"][0]["number"] == 1


def test_many_superseded_deliveries_are_cut_short(lake: Lake) -> None:
    found = trace(lake.aws, CONTRACTS, THINGS, {"id": "a"})
    (one, *_) = (item for item in found.deliveries if item.outcome == "superseded")
    many = [
        msgspec.structs.replace(one, at=msgspec.structs.replace(one.at, index=number))
        for number in range(30)
    ]
    text = printed(showtrace.print_trace, msgspec.structs.replace(found, deliveries=tuple(many)))
    assert text.count("superseded: ") == 20
    assert "10 earlier ones, superseded or replaced: --json" in text
