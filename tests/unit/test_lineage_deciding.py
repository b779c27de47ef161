"""The rule that ``lakehouse trace`` tells, held against what silver has to hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from support.refining import GONE, Delivery, contract_of, expected, histories

from lakehouse.contracts.model import Contract
from lakehouse.lineage import deciding
from lakehouse.lineage.deciding import Position, decide
from lakehouse.promotion.progress import Held, SetAside, State, TakenIn

A = {"id": "a"}
CONTRACTS = {
    "latest": contract_of(),
    "latest by arrival": contract_of(event=False),
    "first": contract_of(keep="first"),
    "first within": contract_of(keep="first", within_days=2),
    "latest within": contract_of(within_days=2),
    "deletes": contract_of(deletes=GONE),
    "history": contract_of(history=True),
    "history by arrival": contract_of(history=True, event=False),
    "history with deletes": contract_of(history=True, deletes=GONE),
}


def traced(delivery: Delivery) -> deciding.Delivery:
    row = delivery.row()
    return deciding.Delivery(
        load=row["_load"],
        attempt=row["_attempt"],
        position=Position(row["_source"], row["_sequence"], row["_index"]),
        arrived_at=row["_arrived_at"],
        values={name: row[name] for name in ("id", "at", "state", "op")},
        code=row["_reject"]["code"] if row["_reject"] else None,
    )


def state_of(promoted: int, **facts: Any) -> State:
    plain: dict[str, Any] = {
        "uuid": "",
        "base": None,
        "promoted": promoted,
        "set_aside": (),
        "held": None,
        "taken_in": (),
        "publications": (),
        "inputs": {},
        "select": "",
        "gated": "",
    }
    return State(**plain | facts)


def good(load: int, index: int, at: float | None, state: str = "u", **facts: Any) -> Delivery:
    plain: dict[str, Any] = {"attempt": 0, "good": True, "id": "a", "op": None}
    return Delivery(load=load, index=index, at=at, state=state, **plain | facts)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
@given(case=histories())
@settings(max_examples=200, deadline=None)
def test_the_kept_deliveries_are_those_that_silver_holds(
    contract: Contract, case: tuple[list[Delivery], list[list[int]]]
) -> None:
    deliveries, _ = case
    for key in ("a", "b"):
        places = {d.index for d in deliveries if d.id == key}
        mine = [d for d in deliveries if d.index in places]
        decisions = decide(contract, {"id": key}, map(traced, mine), state_of(promoted=99))
        kept = [d.delivery.position.sequence for d in decisions if d.outcome == "kept"]
        rows = [row for row in expected(contract, deliveries) if row["id"] == key]
        assert sorted(kept) == sorted(row["_sequence"] for row in rows)
        told = {(d.delivery.position, d.delivery.attempt) for d in decisions}
        assert len(told) == len(decisions)
        assert told >= {(traced(d).position, d.attempt) for d in mine if d.good and d.id == key}
        assert all(item.by is not None for item in decisions if item.outcome == "superseded")


def test_a_load_that_silver_does_not_have_decides_nothing() -> None:
    held = Held(
        made_from="load 4",
        contract_version="1",
        reason="too few rows",
        verdict="",
        branch="",
        snapshot_id=1,
        at="",
        load=4,
    )
    state = state_of(
        5,
        set_aside=(SetAside(2, "wrong unit", "v", "now"),),
        taken_in=(TakenIn(3, "ann", "mended", "now"),),
        held=held,
    )
    made = [good(load, load, load) for load in range(1, 7)]
    said = {
        d.delivery.load: (d.outcome, d.why)
        for d in decide(CONTRACTS["latest"], A, map(traced, made), state)
    }
    assert said == {
        1: ("superseded", "one of load 5 has a later at: 2026-03-06 00:00:00"),
        2: ("set aside", "load 2: wrong unit"),
        3: ("taken in", "the next promotion tries it again: mended (by ann)"),
        4: ("held", "load 4 waits for a person: too few rows"),
        5: ("kept", "the latest by at of 2 good deliveries of its key"),
        6: ("waiting", "for the next promotion"),
    }


def test_before_the_first_promotion_every_delivery_waits() -> None:
    (only,) = decide(CONTRACTS["latest"], A, [traced(good(0, 1, 1))], None)
    assert only.outcome == "waiting"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "first",
            ["the first to arrive of 2 good deliveries of its key", "load 0 brought the key first"],
        ),
        (
            "latest by arrival",
            [
                "one of load 1 arrived later",
                "the latest by arrival of 2 good deliveries of its key",
            ],
        ),
        (
            "first within",
            [
                "the only good delivery of its key, more than 2 days apart from others",
                "the only good delivery of its key, more than 2 days apart from others",
            ],
        ),
        (
            "history",
            [
                "a version from 2026-03-02 00:00:00 on",
                "says the same as the version from 2026-03-02 00:00:00",
            ],
        ),
    ],
)
def test_the_reason_is_told(name: str, words: list[str]) -> None:
    made = [traced(good(0, 1, 1)), traced(good(1, 2, 9))]
    assert [d.why for d in decide(CONTRACTS[name], A, made, state_of(1))] == words


def test_a_replay_replaces_the_reject() -> None:
    made = [traced(good(0, 1, 1, good=False)), traced(good(3, 1, 1, attempt=1))]
    said = [(d.outcome, d.why) for d in decide(CONTRACTS["latest"], A, made, state_of(3))]
    assert said == [
        ("replaced", "load 3 replayed it as attempt 1"),
        ("kept", "the only good delivery of its key"),
    ]
