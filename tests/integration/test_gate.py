"""What the gate finds, where it looks, and what a candidate that fails it comes to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.bronze_rows import (
    Clock,
    branches,
    deliver,
    flight,
    reading,
    renamed,
    state,
)

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts, Drift, Gate, Reference, Sla
from lakehouse.errors import GateError
from lakehouse.promotion.holds import Decision
from lakehouse.promotion.progress import Touched
from lakehouse.promotion.promote import promote
from lakehouse.promotion.verdict import LoadCounts, read_verdicts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


ADA = Decision("ada", "looked into", "2026-01-01T00:00:00+00:00")


def test_the_gate_says_which_rows_and_masks_what_is_classified(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    fields = tuple(
        msgspec.structs.replace(f, classification="confidential") if f.name == "dewp" else f
        for f in contracts["weather"].fields
    )
    contract = renamed(contracts["weather"], "weather_samples", fields=fields)
    deliver(aws, contract, 0, [reading(1, temp=4.4), reading(2)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    (verdict,) = read_verdicts(aws, contract.dataset)
    (check,) = (check for check in verdict.checks if check.outcome == "fail")
    (sample,) = check.samples
    assert (sample.values["temp"], sample.values["dewp"]) == ("4.4", "•••")
    assert (sample.load, sample.sequence, sample.index) == (0, "0", 0)
    assert "30.0" not in str(msgspec.to_builtins(verdict)), "in no other place either"


def test_after_the_first_time_the_gate_looks_at_what_changed_and_still_sees_all_of_it(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_scoped")
    deliver(aws, contract, 0, [reading(24 * day) for day in range(20)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    deliver(aws, contract, 1, [reading(24 * 5 + 1), reading(24 * 6 + 1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-2")
    found = {verdict.loads: verdict for verdict in read_verdicts(aws, contract.dataset)}
    first, second = found[0,], found[1,]
    assert first.scope == ""
    assert "2013-01-06" in second.scope
    assert second.touched == Touched("time_hour", (("2013-01-06", "2013-01-08"),))
    assert second.rows == 22
    assert second.counts == (LoadCounts(1, 2, {}),)

    deliver(aws, contract, 2, [reading(24 * 7 + 1, temp=4.4)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-3").set_aside == (2,)
    # Other checks have not been passed by the rows that are there: all of them are looked at.
    wetter = ({"failed_rows": {"name": "too cold", "expression": "temp < 41"}},)
    changed = renamed(contract, contract.dataset, version="2.0.0", checks=wetter)
    deliver(aws, contract, 3, [reading(24 * 8 + 1, temp=50.0)])
    assert promote(aws, spark, changed, clock=Clock(), run_id="run-4").set_aside == (3,)


def test_a_reference_waits_for_its_table_and_then_holds(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    airlines = renamed(contracts["airlines"], "known_airlines")
    fields = tuple(
        msgspec.structs.replace(f, reference=Reference("known_airlines", "carrier"))
        if f.name == "carrier"
        else f
        for f in contracts["flights"].fields
    )
    contract = renamed(contracts["flights"], "flights_referring", fields=fields)
    deliver(aws, contract, 0, [flight(1), flight(2)])
    waits = promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    assert waits.reason == "waits for silver.known_airlines"

    deliver(aws, airlines, 0, [{"carrier": "UA", "name": "United"}])
    promote(aws, spark, airlines, clock=Clock(), run_id="run-2")
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-3").promoted == (0,)
    deliver(aws, contract, 1, [flight(3, carrier="ZZ"), flight(4)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-4").set_aside == (1,)
    failed = next(v for v in read_verdicts(aws, contract.dataset) if not v.passed)
    (check,) = (check for check in failed.checks if check.outcome == "fail")
    assert check.value == 1
    assert [sample.values["carrier"] for sample in check.samples] == ["ZZ"]


def test_a_candidate_that_drifts_from_what_is_published_fails(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    limits = Gate(on_fail="set-aside", drift=Drift(rows=1.0, means={"temp": 0.25}))
    contract = renamed(contracts["weather"], "weather_drifting", gate=limits)
    deliver(aws, contract, 0, [reading(hour) for hour in range(10)])
    deliver(aws, contract, 1, [reading(hour, temp=60.0) for hour in range(10, 20)])
    deliver(aws, contract, 2, [reading(hour, temp=90.0) for hour in range(20, 24)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-0").promoted == (0, 1, 2), (
        "there is nothing to drift from"
    )
    deliver(aws, contract, 3, [reading(hour, temp=130.0) for hour in range(30, 50)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-1").set_aside == (3,)
    assert "mean of temp against published" in state(aws, contract).set_aside[0].reason
    deliver(aws, contract, 4, [reading(hour, temp=58.0) for hour in range(60, 100)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").set_aside == (4,)
    assert "rows against published" in state(aws, contract).set_aside[1].reason


def test_freshness_is_told_by_the_clock_that_is_given(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    sla = Sla(freshness_hours=24, freshness_field="time_hour")
    stale = Gate(on_fail="set-aside", levels={"freshness": "fail"})
    contract = renamed(contracts["weather"], "weather_fresh", sla=sla)
    deliver(aws, contract, 0, [reading(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    (verdict,) = read_verdicts(aws, contract.dataset)
    assert verdict.passed
    (check,) = (check for check in verdict.checks if check.type == "freshness")
    assert check.outcome == "warn"
    assert check.value is not None
    assert 113_000 < check.value < 114_000, "hours from 2013 to the clock's 2026"

    strict = renamed(contract, "weather_stale", gate=stale)
    deliver(aws, strict, 0, [reading(1)])
    assert promote(aws, spark, strict, clock=Clock(), run_id="run-1").set_aside == (0,)
    at = datetime(2013, 1, 1, 12, tzinfo=UTC)
    deliver(aws, strict, 1, [reading(2)])
    done = promote(aws, spark, strict, clock=lambda: at, run_id="run-2")
    assert done.promoted == (1,)


def test_a_load_with_too_many_rejects_is_found_even_where_nothing_of_it_is_good(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    limits = Gate(on_fail="set-aside", reject_share=0.5)
    contract = renamed(contracts["weather"], "weather_rejected", gate=limits)
    bad = {"_reject": {"code": "range", "detail": "$.temp"}}
    deliver(aws, contract, 0, [reading(1), reading(2, **bad)])
    deliver(aws, contract, 1, [reading(3, **bad), reading(4, **bad)])
    deliver(aws, contract, 2, [reading(5)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert (done.promoted, done.set_aside) == ((0, 2), (1,))
    assert "rejects of every load" in state(aws, contract).set_aside[0].reason
    counts = next(v for v in read_verdicts(aws, contract.dataset) if v.loads == (1,)).counts
    assert counts == (LoadCounts(1, 0, {"range": 2}),)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("misspelt", {"row_cuont": {}}),
        ("unknown_column", {"failed_rows": {"expression": "no_such_column > 1"}}),
    ],
)
def test_a_check_that_cannot_be_carried_out_promotes_nothing(
    aws: Aws, spark: SparkSession, contracts: Contracts, name: str, check: dict[str, Any]
) -> None:
    contract = renamed(contracts["weather"], f"weather_{name}", checks=(check,))
    deliver(aws, contract, 0, [reading(1)])
    logging.getLogger("soda").setLevel(logging.CRITICAL)

    with pytest.raises(GateError, match="could not be evaluated"):
        promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert state(aws, contract).base is None
    assert state(aws, contract).promoted == -1
    assert state(aws, contract).set_aside == ()
    assert branches(aws, contract) == set()


def test_a_check_over_nothing_fails_the_gate(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    average = {"aggregate": {"function": "avg", "threshold": {"must_be_less_than": 100}}}
    fields = tuple(
        msgspec.structs.replace(f, checks=(average,)) if f.name == "humid" else f
        for f in contracts["weather"].fields
    )
    contract = renamed(contracts["weather"], "weather_nothing", fields=fields)
    deliver(aws, contract, 0, [reading(1, humid=None)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.set_aside == (0,)
    assert "could not be evaluated" in state(aws, contract).set_aside[0].reason


def test_rows_of_a_key_further_apart_than_the_bound_are_not_merged_away(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_apart")
    far = datetime(2013, 3, 1, tzinfo=UTC)
    deliver(aws, contract, 0, [flight(1), flight(1, scheduled_departure=far)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.set_aside == (0,)
    assert "event_id is unique" in state(aws, contract).set_aside[0].reason
