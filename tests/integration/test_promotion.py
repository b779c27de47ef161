"""Loads of bronze to silver: refined on a branch, audited there, published at once."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.bronze_rows import Clock, deliver, renamed, silver_rows

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Drift, Gate, Reference, Sla
from lakehouse.errors import GateError, RunningElsewhereError
from lakehouse.promotion import gate
from lakehouse.promotion.holds import Decision, approve, set_aside, take_in
from lakehouse.promotion.progress import Touched, read_state
from lakehouse.promotion.promote import pending, promote
from lakehouse.promotion.verdict import LoadCounts, read_verdicts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's collect() leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


ADA = Decision("ada", "looked into", "2026-01-01T00:00:00+00:00")


def flight(number: int, **changes: Any) -> dict[str, Any]:
    departure = datetime(2013, 1, 1 + number % 20, 10, tzinfo=UTC)
    return {
        "event_id": f"{number:032x}",
        "flight_date": departure.date(),
        "scheduled_departure": departure,
        "carrier": "UA",
        "flight": 1,
        "origin": "EWR",
        "dest": "IAH",
        "dep_delay": 1.0,
        "arr_delay": 2.0,
        "distance": 1400,
    } | changes


def reading(hour: int, **changes: Any) -> dict[str, Any]:
    return {
        "origin": "EWR",
        "time_hour": datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour),
        "temp": 40.0,
        "dewp": 30.0,
        "visib": 10.0,
    } | changes


def state(aws: Aws, contract: Contract) -> Any:
    return read_state(aws.catalog().load_table(f"silver.{contract.dataset}"))


def branches(aws: Aws, contract: Contract) -> set[str]:
    return set(aws.catalog().load_table(f"silver.{contract.dataset}").metadata.refs) - {"main"}


def test_the_first_load_of_a_dataset_is_promoted(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_first")
    rejected = flight(9, _reject={"code": "range", "detail": "$.distance"})
    deliver(aws, contract, 0, [flight(1), flight(2), flight(1, dep_delay=5.0), rejected])
    assert pending(aws, contract)

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.promoted == (0,)
    assert done.rows_added == 2
    seen = {row["event_id"]: row for row in silver_rows(aws, contract.dataset)}
    assert sorted(seen) == [f"{1:032x}", f"{2:032x}"]
    assert seen[f"{1:032x}"]["dep_delay"] == 1.0, "the first of a key is kept"
    assert state(aws, contract).promoted == 0
    assert branches(aws, contract) == set()
    (verdict,) = read_verdicts(aws, contract.dataset)
    assert verdict.passed
    assert verdict.snapshot_id == state(aws, contract).base
    assert not pending(aws, contract)
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").reason == "no new loads"


def test_a_later_load_adds_only_what_is_new(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_later")
    deliver(aws, contract, 0, [flight(n) for n in range(5)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    base = state(aws, contract).base
    deliver(aws, contract, 1, [flight(4, dep_delay=60.0), flight(5)])
    deliver(aws, contract, 2, [flight(5, dep_delay=70.0), flight(6)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-2")

    assert done.promoted == (1, 2)
    assert done.rows_added == 2
    seen = {row["event_id"]: row for row in silver_rows(aws, contract.dataset)}
    assert len(seen) == 7
    assert {row["dep_delay"] for row in seen.values()} == {1.0}
    table = aws.catalog().load_table(f"silver.{contract.dataset}")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.parent_snapshot_id == base
    assert snapshot.summary is not None
    assert snapshot.summary["lakehouse.loads"] == "[1,2]"
    assert snapshot.summary["lakehouse.run"] == "run-2"
    assert spark.conf.get("spark.sql.iceberg.snapshot-property.lakehouse.run", None) is None


def test_the_same_rows_again_make_no_snapshot(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_again")
    deliver(aws, contract, 0, [flight(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    base = state(aws, contract).base
    deliver(aws, contract, 1, [flight(1)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-2")

    assert done.promoted == (1,)
    assert state(aws, contract).base == base
    assert state(aws, contract).promoted == 1
    assert branches(aws, contract) == set()


def test_the_latest_of_a_key_replaces_the_older_one(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_latest")
    deliver(aws, contract, 0, [reading(1, temp=40.0), reading(2)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    deliver(aws, contract, 1, [reading(1, temp=50.0), reading(1, temp=51.0), reading(3)])

    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").rows_added == 1

    temperatures = {
        row["time_hour"].hour: row["temp"] for row in silver_rows(aws, "weather_latest")
    }
    assert temperatures == {1: 51.0, 2: 40.0, 3: 40.0}


def test_a_replay_counts_instead_of_the_attempt_before(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_replayed")
    at = {"_sequence": "7", "_index": 0}
    bad = {"code": "type", "detail": "$.temp"}
    deliver(aws, contract, 0, [reading(1, _reject=bad, **at), reading(2)])
    deliver(aws, contract, 1, [reading(1, temp=33.0, **at)], attempt=1)

    assert promote(aws, spark, contract, clock=Clock(), run_id="run-1").rows_added == 2

    deliver(aws, contract, 2, [reading(5, _sequence="9")])
    deliver(aws, contract, 3, [reading(5, _sequence="9", _reject=bad)], attempt=1)
    promote(aws, spark, contract, clock=Clock(), run_id="run-2")
    hours = {row["time_hour"].hour for row in silver_rows(aws, contract.dataset)}
    assert hours == {1, 2}, "a newer attempt that was rejected takes the older one with it"


def test_a_bad_load_is_set_aside_and_a_later_one_goes_on(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_celsius")
    celsius = [reading(hour, temp=4.4) for hour in range(10, 20)]
    deliver(aws, contract, 0, [reading(1)])
    deliver(aws, contract, 1, [reading(2)])
    deliver(aws, contract, 2, celsius)
    deliver(aws, contract, 3, [reading(4)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.promoted == (0, 1, 3)
    assert done.set_aside == (2,)
    assert {row["time_hour"].hour for row in silver_rows(aws, contract.dataset)} == {1, 2, 4}
    (entry,) = state(aws, contract).set_aside
    assert entry.load == 2
    assert "dew point above temperature" in entry.reason
    assert "is 10" in entry.reason
    assert state(aws, contract).promoted == 3
    assert branches(aws, contract) == set()
    verdict = next(v for v in read_verdicts(aws, contract.dataset) if v.loads == (2,))
    assert not verdict.passed
    assert entry.verdict == f"dataset={contract.dataset}/{verdict.snapshot_id}.json"

    deliver(aws, contract, 4, [reading(hour) for hour in range(10, 20)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").rows_added == 10
    assert [item.load for item in state(aws, contract).set_aside] == [2]


def test_a_held_load_stops_the_loads_behind_it_until_the_contract_changes(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_held", gate=Gate(on_fail="hold"))
    deliver(aws, contract, 0, [reading(1)])
    deliver(aws, contract, 1, [reading(2, temp=4.4)])
    deliver(aws, contract, 2, [reading(3)])

    with pytest.raises(GateError, match="load 1 is held"):
        promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert {row["time_hour"].hour for row in silver_rows(aws, contract.dataset)} == {1}
    held = state(aws, contract).held
    assert held is not None
    assert branches(aws, contract) == {held.branch}, "its branch is kept for whoever looks into it"
    with pytest.raises(GateError, match="load 1 is held"):
        pending(aws, contract)

    corrected = renamed(contract, "weather_held", version="1.1.0", checks=())
    assert promote(aws, spark, corrected, clock=Clock(), run_id="run-2").promoted == (1, 2)
    assert state(aws, contract).held is None


def test_a_person_sets_a_held_load_aside_and_the_loads_behind_it_go_on(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_decided", gate=Gate(on_fail="hold"))
    deliver(aws, contract, 0, [reading(1, temp=4.4)])
    deliver(aws, contract, 1, [reading(2)])
    with pytest.raises(GateError, match="load 0 is held"):
        promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    entry = set_aside(aws, contract, 0, ADA)

    assert entry.load == 0
    assert "by ada" in entry.reason
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").promoted == (1,)
    assert branches(aws, contract) == set()


def test_a_load_that_is_taken_in_again_is_tried_with_the_new_ones(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_taken_in")
    deliver(aws, contract, 0, [reading(1, temp=4.4), reading(2, temp=41.0)])
    deliver(aws, contract, 1, [reading(2, temp=42.0), reading(3)])
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-1").set_aside == (0,)
    assert not pending(aws, contract)
    take_in(aws, contract, 0, ADA)
    assert pending(aws, contract)

    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").set_aside == (0,), (
        "nothing was mended"
    )
    assert state(aws, contract).taken_in == ()
    take_in(aws, contract, 0, ADA)
    deliver(aws, contract, 2, [reading(4)])
    mended = renamed(contract, contract.dataset, version="1.1.0", checks=())
    done = promote(aws, spark, mended, clock=Clock(), run_id="run-3")

    assert done.promoted == (0, 2)
    found = {row["time_hour"].hour: row["temp"] for row in silver_rows(aws, contract.dataset)}
    assert found == {1: 4.4, 2: 42.0, 3: 40.0, 4: 40.0}, "the newer load's row of a key stays"
    assert state(aws, contract).set_aside == ()
    assert state(aws, contract).promoted == 2


def test_a_held_candidate_is_published_once_a_person_approves_it(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_approved", gate=Gate(on_fail="hold"))
    deliver(aws, contract, 0, [reading(1)])
    deliver(aws, contract, 1, [reading(2, temp=4.4)])
    deliver(aws, contract, 2, [reading(3)])
    with pytest.raises(GateError, match="approve it"):
        promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    held = state(aws, contract).held
    assert held is not None

    approve(aws, contract, held.snapshot_id, ADA)

    assert {row["time_hour"].hour for row in silver_rows(aws, contract.dataset)} == {1, 2}
    assert state(aws, contract).promoted == 1
    assert promote(aws, spark, contract, clock=Clock(), run_id="run-2").promoted == (2,), (
        "what was approved does not fail the loads behind it"
    )


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


def test_a_load_of_rejects_only_moves_the_progress(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["weather"], "weather_rejects")
    deliver(aws, contract, 0, [reading(1, _reject={"code": "range", "detail": "$.temp"})])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.promoted == ()
    assert state(aws, contract).promoted == 0
    assert state(aws, contract).base is None


def test_a_main_that_moved_during_the_audit_is_refined_again(
    aws: Aws, spark: SparkSession, contracts: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = renamed(contracts["flights"], "flights_moved")
    deliver(aws, contract, 0, [flight(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    deliver(aws, contract, 1, [flight(2)])
    from lakehouse.promotion import promote as module

    # The twin holds no claim, so that the swap alone keeps the two apart.
    monkeypatch.setattr(module, "run_claim", lambda *_, **__: contextlib.nullcontext())
    audited = gate.audit
    twin_ran = []

    def audit_while_a_twin_publishes(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(module, "audit", audited)
        found = audited(*args, **kwargs)
        twin_ran.append(promote(aws, spark, contract, clock=Clock(), run_id="twin"))
        return found

    monkeypatch.setattr(module, "audit", audit_while_a_twin_publishes)
    done = promote(aws, spark, contract, clock=Clock(), run_id="run-2")

    assert twin_ran[0].promoted == (1,)
    assert done.promoted == ()
    assert len(silver_rows(aws, contract.dataset)) == 2


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


def test_readers_see_no_row_before_its_audit_and_two_promoters_publish_once(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_twins")
    deliver(aws, contract, 0, [flight(1)])
    promote(aws, spark, contract, clock=Clock(), run_id="run-1")
    deliver(aws, contract, 1, [flight(n) for n in range(50)])
    counts = {1}

    def run(name: str) -> tuple[int, ...]:
        try:
            return promote(aws, spark, contract, clock=Clock(), run_id=name).promoted
        except RunningElsewhereError:
            return ()

    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(run, f"twin-{n}") for n in range(2)]
        while not all(run.done() for run in runs):
            counts.add(len(silver_rows(aws, contract.dataset)))

    assert sorted(run.result() for run in runs) == [(), (1,)]
    assert counts <= {1, 50}
    assert len({row["event_id"] for row in silver_rows(aws, contract.dataset)}) == 50
    assert len(silver_rows(aws, contract.dataset)) == 50


def test_rows_of_a_key_further_apart_than_the_bound_are_not_merged_away(
    aws: Aws, spark: SparkSession, contracts: Contracts
) -> None:
    contract = renamed(contracts["flights"], "flights_apart")
    far = datetime(2013, 3, 1, tzinfo=UTC)
    deliver(aws, contract, 0, [flight(1), flight(1, scheduled_departure=far)])

    done = promote(aws, spark, contract, clock=Clock(), run_id="run-1")

    assert done.set_aside == (0,)
    assert "event_id is unique" in state(aws, contract).set_aside[0].reason
