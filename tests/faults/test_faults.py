"""A few faults of every kind against the running streaming job; ``nox -s faults`` injects many."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from faults.bench import Bench
from faults.injections import CATALOGUE, draw

from localaws.local import LocalEstate

NAMES = (
    "driver killed: in the commit",
    "workers killed: file half written",
    "UpdateTable: done, no answer",
    "claim: 409 conflict",
    "GetRecords: connection reset",
    "checkpoint: last commit emptied",
)
FAULTS = {fault.name: fault for fault in CATALOGUE}


@pytest.fixture(scope="module")
def bench(local_estate: LocalEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(local_estate, tmp_path_factory.mktemp("jobs")) as running:
        running.warm_up()
        yield running


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_or_repeated_and_order_is_kept(bench: Bench, name: str) -> None:
    outcome = bench.suffer(1, FAULTS[name], Random(1))
    assert outcome.injected, outcome.note
    assert outcome.seconds is not None, f"not recovered; see {bench.job.log}"
    assert not outcome.gave_up, outcome.note
    assert outcome.finding.clean, outcome.finding


def test_all_of_it_is_there_in_the_end_and_the_job_ends_when_it_is_asked_to(bench: Bench) -> None:
    assert '"event": "ending"' in bench.job.end()
    assert not bench.job.alive()
    table = bench.table()
    assert table is not None
    assert bench.reconciler.look_at_all(table, bench.traffic.acknowledged).clean


def test_a_draw_is_the_seeds_and_has_every_fault_before_it_has_one_twice() -> None:
    drawn = [fault.name for fault in draw(200, seed=7)]
    assert drawn == [fault.name for fault in draw(200, seed=7)]
    assert drawn != [fault.name for fault in draw(200, seed=8)]
    assert len(drawn) == 200
    assert set(drawn) == set(FAULTS)
    assert len(FAULTS) == len(CATALOGUE), "two faults have one name"
