"""What people decide about loads and candidates, on tables of the emulator's catalog."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from support.bronze_rows import START, renamed

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import InputError, PublishConflictError
from lakehouse.promotion.holds import Decision, approve, set_aside, take_in
from lakehouse.promotion.progress import (
    HELD,
    PROMOTED,
    Held,
    SetAside,
    State,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import branch_name, record
from lakehouse.promotion.verdict import Verdict, put_verdict
from lakehouse.tables import ensure_table, load_table

ADA = Decision("ada", "checked by phone", START.isoformat())


def add(aws: Aws, contract: Contract, code: str, branch: str = "main") -> None:
    table = ensure_table(aws, contract, "silver")
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    values = {f.name: [code] if f.name == "carrier" else [None] for f in schema}
    table.append(pa.table(values, schema=schema), branch=branch)


def state(aws: Aws, contract: Contract) -> State:
    table = load_table(aws, "silver", contract.dataset)
    assert table is not None
    return read_state(table)


def codes(aws: Aws, contract: Contract) -> list[Any]:
    found = ensure_table(aws, contract, "silver").scan().to_arrow()["carrier"].to_pylist()
    return sorted(found)


@pytest.fixture
def contract(contracts: Contracts, request: pytest.FixtureRequest) -> Contract:
    return renamed(contracts["airlines"], request.node.name.removeprefix("test_")[:60])


@pytest.fixture
def held(aws: Aws, contract: Contract) -> Held:
    """Load 3 is held; silver has come to load 2."""
    add(aws, contract, "AA")
    base = state(aws, contract).base
    branch = branch_name("run", 1, START)
    table = ensure_table(aws, contract, "silver")
    assert base is not None
    table.manage_snapshots().create_branch(base, branch).commit()
    add(aws, contract, "BB", branch)
    head = ensure_table(aws, contract, "silver").metadata.refs[branch].snapshot_id
    put_verdict(
        aws,
        Verdict(
            dataset=contract.dataset,
            layer="silver",
            snapshot_id=head,
            base_snapshot_id=base,
            run_id="run",
            loads=(3,),
            inputs={},
            contract_version=contract.version,
            checked_at=START.isoformat(),
            passed=False,
            reason="one row is odd",
            checks=(),
        ),
    )
    found = Held(
        made_from="load 3",
        contract_version=contract.version,
        reason="one row is odd",
        verdict=f"dataset={contract.dataset}/{head}.json",
        branch=branch,
        snapshot_id=head,
        at=START.isoformat(),
        base=base,
        load=3,
        progress={PROMOTED: "3"},
    )
    progress = {HELD: as_property(found), PROMOTED: "2"}
    record(aws, "silver", contract.dataset, state(aws, contract), progress)
    return found


def test_an_approved_candidate_is_published_and_says_by_whom(
    aws: Aws, contract: Contract, held: Held
) -> None:
    done = approve(aws, contract, held.snapshot_id, ADA)
    after = state(aws, contract)
    assert codes(aws, contract) == ["AA", "BB"]
    assert (after.base, after.promoted, after.held) == (held.snapshot_id, 3, None)
    assert done.approval is not None
    assert (done.approval.by, done.approval.reason) == ("ada", "checked by phone")
    assert after.publications[-1] == done
    with pytest.raises(InputError, match="nothing is held"):
        approve(aws, contract, held.snapshot_id, ADA)


@pytest.mark.parametrize("word", [Decision("", "why", "t"), Decision("ada", " ", "t")])
def test_an_approval_has_a_name_and_a_reason(
    aws: Aws, contract: Contract, held: Held, word: Decision
) -> None:
    with pytest.raises(InputError, match="needs a person and a reason"):
        approve(aws, contract, held.snapshot_id, word)
    assert codes(aws, contract) == ["AA"]


def test_only_the_held_snapshot_can_be_approved(aws: Aws, contract: Contract, held: Held) -> None:
    with pytest.raises(InputError, match=f"snapshot {held.snapshot_id} is held, got 5"):
        approve(aws, contract, 5, ADA)


def test_a_candidate_of_a_main_that_moved_is_not_published(
    aws: Aws, contract: Contract, held: Held
) -> None:
    add(aws, contract, "CC")
    with pytest.raises(PublishConflictError):
        approve(aws, contract, held.snapshot_id, ADA)
    assert codes(aws, contract) == ["AA", "CC"]


def test_a_held_load_that_is_set_aside_lets_the_others_go_on(
    aws: Aws, contract: Contract, held: Held
) -> None:
    entry = set_aside(aws, contract, 3, ADA)
    after = state(aws, contract)
    assert (after.promoted, after.held, after.set_aside) == (3, None, (entry,))
    assert entry.reason == "one row is odd; checked by phone (by ada)"
    assert entry.verdict == held.verdict
    table = ensure_table(aws, contract, "silver")
    assert set(table.metadata.refs) == {"main"}


def test_a_load_that_waits_can_be_set_aside_before_it_is_tried(
    aws: Aws, contract: Contract, held: Held
) -> None:
    set_aside(aws, contract, 7, ADA)
    after = state(aws, contract)
    assert after.promoted == 2
    assert after.held == held
    with pytest.raises(InputError, match="set aside already"):
        set_aside(aws, contract, 7, ADA)


@pytest.mark.usefixtures("held")
def test_what_silver_has_cannot_be_set_aside(aws: Aws, contract: Contract) -> None:
    with pytest.raises(InputError, match="load 2 is in silver already"):
        set_aside(aws, contract, 2, ADA)


@pytest.mark.usefixtures("held")
def test_a_load_is_taken_in_again_and_can_be_set_aside_once_more(
    aws: Aws, contract: Contract
) -> None:
    first = set_aside(aws, contract, 3, ADA)
    with pytest.raises(InputError, match="load 4 is not set aside; those that are: 3"):
        take_in(aws, contract, 4, ADA)
    entry = take_in(aws, contract, 3, msgspec.structs.replace(ADA, reason="replayed"))
    assert isinstance(first, SetAside)
    assert state(aws, contract).set_aside == ()
    assert state(aws, contract).taken_in == (entry,)
    set_aside(aws, contract, 3, ADA)
    assert state(aws, contract).taken_in == ()
    assert [item.load for item in state(aws, contract).set_aside] == [3]


def test_nothing_can_be_decided_about_a_dataset_that_was_never_promoted(
    aws: Aws, contracts: Contracts
) -> None:
    unknown = renamed(contracts["airlines"], "never_promoted")
    with pytest.raises(InputError, match="nothing was promoted yet"):
        set_aside(aws, unknown, 1, ADA)
