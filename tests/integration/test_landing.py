"""Whatever is dropped lands once, and adds up: rows in objects are good or rejected in bronze."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Deduplicate, Field, FileFormat
from lakehouse.errors import DataLossError, TransientError
from lakehouse.ingestion import ingest, landing, objects
from lakehouse.ingestion.landing import LandingPlanner
from lakehouse.ingestion.ledger import Plan
from lakehouse.naming import landing_prefix
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_numbers = itertools.count(1)
BASE = Contract(
    dataset="readings",
    version="1.0.0",
    description="",
    owner="tests",
    fields=(
        Field(name="id", type="integer", required=True, minimum=0),
        Field(name="word", type="string", required=True, max_length=12),
    ),
    source="files",
    format=FileFormat(type="csv"),
    deduplicate=Deduplicate(key=("id",)),
)
SCHEMA = {
    "type": "record",
    "name": "reading",
    "fields": [{"name": "id", "type": "long"}, {"name": "word", "type": "string"}],
}
Row = dict[str, Any]
SPLIT = 2_000


def made(**form: Any) -> Contract:
    dataset = f"readings{next(_numbers)}"
    return msgspec.structs.replace(BASE, dataset=dataset, format=FileFormat(**form))


def drop(aws: Aws, contract: Contract, name: str, body: bytes) -> None:
    key = landing_prefix(contract.dataset) + name
    aws.client("s3").put_object(Bucket=aws.bucket("landing"), Key=key, Body=body)


def land(aws: Aws, contract: Contract, split_bytes: int = SPLIT) -> list[Plan]:
    loads = ingest.open_loads(aws, contract)
    planner = LandingPlanner(aws, contract, loads.ledger, split_bytes)
    execute = ingest.on_driver(aws, contract)
    return list(iter(lambda: loads.run(planner, execute), None))


def bronze(aws: Aws, contract: Contract) -> list[Row]:
    table = load_table(aws, "bronze", contract.dataset)
    assert table is not None
    return table.scan().to_arrow().to_pylist()


def rows(seed: int, count: int) -> list[Row]:
    """Rows of which some break the contract; late, repeated and contradicting ones among them."""
    chance = random.Random(seed)
    words = ["plain", 'say "hi"', "semi;colon,comma", "Zürich", "x" * 20, ""]
    found = [{"id": chance.randrange(-3, 50), "word": chance.choice(words)} for _ in range(count)]
    return found + found[: count // 10]


def as_csv(found: list[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "word"], lineterminator=["\n", "\r\n"][len(found) % 2])
    writer.writeheader()
    writer.writerows(found)
    return out.getvalue().encode()


def as_ndjson(found: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in found)


def as_json(found: list[Row]) -> bytes:
    return json.dumps({"data": {"items": found}}).encode()


def as_parquet(found: list[Row]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(found), out, row_group_size=40)
    return out.getvalue()


def as_avro(found: list[Row]) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, found, codec="null", sync_interval=300)
    return out.getvalue()


def from_csv(body: bytes) -> list[Row]:
    return [
        {"id": int(row["id"]), "word": row["word"]}
        for row in csv.DictReader(io.StringIO(body.decode(), newline=""))
    ]


READERS: dict[str, Callable[[bytes], list[Row]]] = {
    "csv": from_csv,
    "lines": from_csv,
    "ndjson": lambda body: [json.loads(line) for line in body.split(b"\n") if line],
    "json": lambda body: json.loads(body)["data"]["items"],
    "parquet": lambda body: pq.read_table(io.BytesIO(body)).to_pylist(),
    "avro": lambda body: list(fastavro.reader(io.BytesIO(body))),  # type: ignore[arg-type]  # rows are dicts
}


def good(found: list[Row]) -> int:
    """How many of the rows keep the contract, counted without it."""
    return sum(row["id"] >= 0 and 0 < len(row["word"]) <= 12 for row in found)


FORMS: dict[str, tuple[Callable[[list[Row]], bytes], dict[str, Any]]] = {
    "csv": (as_csv, {"type": "csv"}),
    "lines": (as_csv, {"type": "csv", "multiline": False}),
    "ndjson": (as_ndjson, {"type": "ndjson"}),
    "json": (as_json, {"type": "json", "records": "data.items"}),
    "parquet": (as_parquet, {"type": "parquet"}),
    "avro": (as_avro, {"type": "avro"}),
}
EMPTY_WORD_IS_GOOD = {"ndjson", "json", "parquet", "avro"}


def whole_reject_files(kind: str, body: bytes) -> dict[str, bytes]:
    """Files of which every one is a single reject."""
    other = as_csv(rows(1, 3)) if kind in {"parquet", "avro"} else as_parquet(rows(1, 3))
    files = {"empty": b"", "other-type": other if kind != "ndjson" else b"\0"}
    if kind in {"csv", "lines"}:
        files |= {
            "blank": b" \r\n\n",
            "header": b"id,name\n1,a\n",
            "columns": b"id,word,id\n1,a,2\n",
            "utf-16": "id,word\n1,a\n".encode("utf-16"),
        }
    if kind == "json":
        files |= {"cut": body[:-5], "path": b'{"data": {"rows": []}}', "scalar": b"3"}
    if kind in {"parquet", "avro"}:
        files["cut"] = body[:-9] if kind == "parquet" else body[:20]
    if kind == "ndjson":
        files |= {"gzip": gzip.compress(b"x" * 10)[:8], "list": b"[1, 2]\n"}
    return files


@pytest.mark.parametrize("kind", FORMS)
def test_rows_in_objects_are_good_or_rejected_in_bronze(aws: Aws, kind: str) -> None:
    write, form = FORMS[kind]
    contract = made(**form)
    expected: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for seed in range(5):
        body = write(rows(seed, 30 if seed < 3 else 300))
        found = READERS[kind](body)
        name = f"{seed}.gz" if seed == 2 else f"{seed}.dat"
        drop(aws, contract, name, gzip.compress(body) if seed in {2, 4} else body)
        fine = good(found)
        if kind in EMPTY_WORD_IS_GOOD:
            fine = sum(row["id"] >= 0 and len(row["word"]) <= 12 for row in found)
        expected[name] = fine
        bad[name] = len(found) - fine
    for name, body in whole_reject_files(kind, write(rows(9, 30))).items():
        drop(aws, contract, name, body)
        bad[name] = 1
    plans = land(aws, contract)
    if kind in {"lines", "ndjson", "parquet", "avro"}:
        assert len(plans[0].parts) > 3

    landed = bronze(aws, contract)
    names = [(row["_source"].partition("/")[2], row["_reject"] is None) for row in landed]
    assert Counter(name for name, fine in names if fine) == +expected
    assert Counter(name for name, fine in names if not fine) == +bad
    positions = {(row["_source"], row["_sequence"], row["_index"]) for row in landed}
    assert len(positions) == len(landed)
    assert land(aws, contract) == []


@pytest.mark.parametrize("kind", ["csv", "lines", "ndjson"])
def test_hostile_rows_are_rejected_alone(aws: Aws, kind: str) -> None:
    _, form = FORMS[kind]
    contract = made(**form)
    wide = b"y" * (11 * 1024 * 1024)
    if kind == "ndjson":
        body = b'\xef\xbb\xbf{"id":1,"word":"a"}\r\n{"id":2\n\xff\xfe\n{"id":3,"word":"\\u0000"}\r'
        body += b'{"id":4,"word":"' + wide + b'"}\n\n{"id":5,"word":"b"}'
        counts = 3, 3
    else:
        body = (
            b"\xef\xbb\xbfid,word\r\n1,a\r\n2\r\n3,b,c\r\n4,\xff\r\n5,n\0l\r\n6," + wide + b"\r\n"
        )
        body += b'\r\n7,d\r\n8,"never closed\r\n'
        counts = 3, 5
    drop(aws, contract, "hostile", body)
    land(aws, contract, 64 * 1024 * 1024)
    landed = bronze(aws, contract)
    assert Counter(row["_reject"] is None for row in landed) == {True: counts[0], False: counts[1]}
    assert "size" in {row["_reject"]["code"] for row in landed if row["_reject"]}
    assert max(len(row["_payload"]) for row in landed) <= 1024 * 1024


def test_what_is_cut_off_keeps_what_was_before(aws: Aws) -> None:
    contract = made(type="csv")
    body = "id,word\n" + "".join(f"{n},w{n}\n" for n in range(5000))
    packed = gzip.compress(body.encode())
    drop(aws, contract, "cut.csv.gz", packed[: len(packed) // 2])
    land(aws, contract)
    landed = sorted(bronze(aws, contract), key=lambda row: row["_index"])
    *before, last = landed
    assert [row["id"] for row in before] == list(range(len(before)))
    assert len(before) > 1000
    assert last["_reject"]["code"] == "malformed"
    assert "ends early" in last["_reject"]["detail"]


def test_each_version_lands_once(aws: Aws) -> None:
    contract = made(type="ndjson")
    drop(aws, contract, "a", b'{"id":1,"word":"a"}\n')
    assert len(land(aws, contract)) == 1
    drop(aws, contract, "a_b", b'{"id":2,"word":"a"}\n')
    drop(aws, contract, "a/b c", b'{"id":3,"word":"a"}\n')
    drop(aws, contract, "a-ü", b'{"id":4,"word":"a"}\n')
    drop(aws, contract, "a", b'{"id":5,"word":"a"}\n')
    assert len(land(aws, contract)) == 1
    assert land(aws, contract) == []
    assert sorted(row["id"] for row in bronze(aws, contract)) == [1, 2, 3, 4, 5]


def test_a_set_waits_for_its_files(aws: Aws) -> None:
    contract = made(type="ndjson", manifest="*.manifest.json")
    planner = LandingPlanner(aws, contract, ingest.open_ledger(aws, contract.dataset))
    line = b'{"id":1,"word":"a"}\n'
    listed = {"files": [{"name": "a", "size": len(line), "rows": 1}, {"name": "b", "size": 3}]}
    drop(aws, contract, "x/a", line)
    assert land(aws, contract) == []
    assert planner.waiting()[0].why == "no manifest that is called *.manifest.json names it"
    drop(aws, contract, "x/1.manifest.json", json.dumps(listed).encode())
    assert land(aws, contract) == []
    assert planner.waiting()[0].why == "1 of 2 files are missing: b"
    drop(aws, contract, "x/b", line)
    assert land(aws, contract) == []
    (held,) = planner.waiting()
    assert held.why.startswith("b has 20 bytes, the manifest says 3; send the file again")
    assert held.since <= datetime.now(UTC)

    listed["files"][1]["size"] = len(line)
    drop(aws, contract, "x/1.manifest.json", json.dumps(listed).encode())
    (plan,) = land(aws, contract)
    assert len(bronze(aws, contract)) == 2
    assert sum(ref.manifest for part in plan.parts for ref in part.objects) == 1
    assert planner.waiting() == []
    drop(aws, contract, "x/2.manifest.json", b"a\nb\n")
    land(aws, contract)
    assert (planner.waiting(), len(bronze(aws, contract))) == ([], 2)


def test_a_manifest_that_is_none_is_told(aws: Aws) -> None:
    contract = made(type="ndjson", manifest="m")
    planner = LandingPlanner(aws, contract, ingest.open_ledger(aws, contract.dataset))
    for body, says in ((b"[1]", "not a manifest"), (b"../other/a", "expected files below")):
        drop(aws, contract, "m", body)
        assert land(aws, contract) == []
        assert says in planner.waiting()[0].why


def test_many_objects_make_several_loads(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "LOAD_OBJECTS", 2)
    contract = made(type="ndjson")
    for n in range(5):
        drop(aws, contract, f"{n}", f'{{"id":{n},"word":"a"}}\n'.encode())
    assert [len(plan.parts[0].objects) for plan in land(aws, contract)] == [2, 2, 1]
    assert sorted(row["id"] for row in bronze(aws, contract)) == [0, 1, 2, 3, 4]


class Breaking:
    """A body of which the half arrives."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._broken = False

    def read(self, count: int) -> bytes:
        if self._broken:
            raise ConnectionResetError("reset by peer")
        self._broken = True
        piece: bytes = self._body.read(max(1, count // 2))
        return piece

    def close(self) -> None:
        self._body.close()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_reading_that_breaks_goes_on_and_rejects_nothing(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write, form = FORMS[kind]
    contract = made(**form)
    found = [{"id": n, "word": "a"} for n in range(500)]
    drop(aws, contract, "a", write(found))
    body_of = objects.ObjectSource._body
    monkeypatch.setattr(
        objects.ObjectSource, "_body", lambda self, a, b: Breaking(body_of(self, a, b))
    )
    land(aws, contract)
    assert [r["_reject"] for r in bronze(aws, contract)] == [None] * len(found)


@pytest.mark.parametrize("kind", ["csv", "parquet", "avro"])
def test_no_answer_is_no_reject(aws: Aws, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    write, form = FORMS[kind]
    contract = made(**form)
    drop(aws, contract, "a", write(rows(1, 30)))

    def refuse(*_: Any) -> Any:
        raise ConnectionResetError("reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(objects.ObjectSource, "_body", refuse)
        with pytest.raises(TransientError, match="failed 5 times"):
            land(aws, contract)
    land(aws, contract)
    assert len(bronze(aws, contract)) == 33


def test_a_version_that_is_gone_is_named(aws: Aws) -> None:
    contract = made(type="ndjson")
    drop(aws, contract, "a", b'{"id":1,"word":"a"}\n')
    loads = ingest.open_loads(aws, contract)
    plan = loads.plan(LandingPlanner(aws, contract, loads.ledger))
    assert plan is not None
    drop(aws, contract, "a", b'{"id":2,"word":"a"}\n')
    with pytest.raises(DataLossError, match="put that version back"):
        land(aws, contract)


def test_replaced_versions_land_too(aws: Aws) -> None:
    contract = made(type="csv", multiline=False)
    s3, bucket = aws.client("s3"), aws.bucket("landing")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    body = b"id,word\n" + b"1,a\n" * 1500
    drop(aws, contract, "a", body)
    loads = ingest.open_loads(aws, contract)
    plan = loads.plan(LandingPlanner(aws, contract, loads.ledger, SPLIT))
    assert plan is not None
    assert len(plan.parts) == 4
    drop(aws, contract, "a", body.replace(b"1,a", b"2,b"))
    s3.delete_object(Bucket=bucket, Key=landing_prefix(contract.dataset) + "a")
    assert [p.load for p in land(aws, contract)] == [0, 1]
    assert Counter(row["id"] for row in bronze(aws, contract)) == {1: 1500, 2: 1500}


def test_tasks_of_spark_read_the_splits(aws: Aws, spark: SparkSession) -> None:
    contract = made(type="parquet")
    found = [{"id": n, "word": f"w{n}"} for n in range(2000)]
    drop(aws, contract, "a", as_parquet(found))
    loads = ingest.open_loads(aws, contract)
    planner = LandingPlanner(aws, contract, loads.ledger, 10_000)
    plan = loads.run(planner, ingest.on_spark(spark, aws, contract))
    assert plan is not None
    assert len(plan.parts) > 2
    landed = sorted(bronze(aws, contract), key=lambda row: row["_index"])
    assert [(row["_index"], row["id"]) for row in landed] == [(n, n) for n in range(2000)]
