"""One story with each kind of fault, from files to mart; ``nox -s faults -- batch`` has many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from faults.batch.death import DiedError, Life, counted, kill, living
from faults.batch.stage import KINDS, Fault, Stage, draw, short_claims
from faults.batch.story import BAD, Row, deliveries, expected, totals, write

from lakehouse.aws import Aws

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FAULTS = [
    Fault("none", "land", 0, 1),
    Fault("killed before", "land", 1, 9),
    Fault("killed after", "promote", 1, 17),
    Fault("killed before", "marts", 1, 15),
    Fault("killed after", "replay", 0, 5),
    Fault("twin", "promote", 2, 1),
    Fault("twin unclaimed", "promote", 1, 1),
    Fault("outside commit", "promote", 2, 14),
    Fault("compaction", "promote", 2, 14),
    Fault("expiry", "marts", 1, 14),
]


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    with counted(), short_claims():
        yield


# Spark's collect() leaves its socket to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.kind} in {f.step}".replace(" ", "-"))
def test_main_is_what_one_clean_run_gives_and_no_reader_saw_more(
    aws: Aws, spark: SparkSession, fault: Fault
) -> None:
    story = write(FAULTS.index(fault))
    outcome = Stage(aws, spark, story, fault).play()
    assert outcome.struck or fault.kind == "none", "the step ended before the fault"
    assert outcome.rows > 20
    assert outcome.looks > 5
    assert outcome.clean, outcome


def test_a_process_that_is_dead_has_no_effect_any_more(aws: Aws) -> None:
    life = Life(2, kill("after"))
    s3, bucket = aws.client("s3"), aws.bucket("results")

    def work() -> None:
        s3.put_object(Bucket=bucket, Key="first", Body=b"")
        try:
            s3.put_object(Bucket=bucket, Key="second", Body=b"")
        finally:
            s3.delete_object(Bucket=bucket, Key="first")

    with living(life), pytest.raises(DiedError):
        work()
    found = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == ["first", "second"]
    assert life.happened == "after PutObject"


def test_a_story_has_what_makes_it_hard() -> None:
    for seed in range(30):
        story = write(seed)
        lines = [line for files in story.rounds for part in files.values() for line in part]
        assert deliveries(story) == len(lines)
        assert any(f'"amount": {BAD + 50}' in line for line in lines)
        assert any('"loan"' in line for line in lines)
        assert len(set(lines)) < len(lines)
        assert expected(story, widened=False) != expected(story)


def test_the_expectation_counts_the_latest_of_a_key() -> None:
    rows = {Row(1, "2026-03-01", "a", 3, "sale"), Row(2, "2026-03-01", "b", 4, "gift")}
    assert totals(rows) == {("2026-03-01", 2, 7)}


def test_the_draw_is_the_seeds_and_has_every_kind() -> None:
    drawn = [draw(seed) for seed in range(200)]
    assert drawn == [draw(seed) for seed in range(200)]
    assert {fault.kind for fault in drawn} == set(KINDS)
    assert {fault.step for fault in drawn} == {"land", "promote", "marts", "replay"}
