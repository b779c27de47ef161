"""The compare-and-swap commit and the verdicts it asks for, against the emulator's Glue and S3."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from support.bronze_rows import START, renamed

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import GateError, PublishConflictError
from lakehouse.promotion.progress import (
    KEPT_PUBLICATIONS,
    PUBLICATIONS,
    Approval,
    Publication,
    State,
    Touched,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import (
    BRANCH_LIFE,
    Candidate,
    branch_name,
    drop_dead_branches,
    publish,
    record,
)
from lakehouse.promotion.verdict import (
    Verdict,
    put_approval,
    put_verdict,
    read_verdict,
    read_verdicts,
    verdict_key,
)
from lakehouse.tables import ensure_table, load_table


def add(table: Table, code: str, branch: str | None = None) -> None:
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    row = pa.table(
        {
            f.name: pa.array([code], f.type) if f.name == "carrier" else pa.nulls(1, f.type)
            for f in schema
        },
        schema=schema,
    )
    table.append(row, branch=branch) if branch else table.append(row)


def reload(aws: Aws, contract: Contract) -> Table:
    found = load_table(aws, "silver", contract.dataset)
    assert found is not None
    return found


@pytest.fixture
def contract(contracts: Contracts, request: pytest.FixtureRequest) -> Contract:
    return renamed(contracts["airlines"], request.node.name.removeprefix("test_")[:60])


@pytest.fixture
def candidate(aws: Aws, contract: Contract) -> Candidate:
    """A row on a branch of a table that has one row on main."""
    table = ensure_table(aws, contract, "silver")
    add(table, "AA")
    base = reload(aws, contract).metadata.refs["main"].snapshot_id
    branch = branch_name("run", 1, START)
    table.manage_snapshots().create_branch(base, branch).commit()
    add(table, "BB", branch)
    head = reload(aws, contract).metadata.refs[branch].snapshot_id
    return Candidate(
        layer="silver",
        dataset=contract.dataset,
        branch=branch,
        snapshot_id=head,
        base=base,
        rows=2,
        rows_added=1,
        changed=True,
    )


def state(aws: Aws, contract: Contract) -> State:
    return read_state(reload(aws, contract))


def verdict(candidate: Candidate, **changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "dataset": candidate.dataset,
        "layer": candidate.layer,
        "snapshot_id": candidate.snapshot_id,
        "base_snapshot_id": candidate.base,
        "run_id": "run",
        "loads": (0,),
        "inputs": {},
        "contract_version": "1.0.0",
        "checked_at": START.isoformat(),
        "passed": True,
        "reason": "all checks passed",
        "checks": (),
    }
    return Verdict(**fields | changes)


def visible(aws: Aws, contract: Contract) -> list[str]:
    return sorted(reload(aws, contract).scan().to_arrow()["carrier"].to_pylist())


def test_publishing_moves_main_drops_the_branch_and_sets_progress(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    assert visible(aws, contract) == ["AA"]
    put_verdict(aws, verdict(candidate))

    publish(aws, candidate, state(aws, contract), {"lakehouse.promoted": "3"})

    assert visible(aws, contract) == ["AA", "BB"]
    assert set(reload(aws, contract).metadata.refs) == {"main"}
    assert state(aws, contract).promoted == 3


def test_a_candidate_without_verdict_is_refused(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    with pytest.raises(GateError, match="no verdict"):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA"]


def test_a_failed_candidate_is_refused(aws: Aws, contract: Contract, candidate: Candidate) -> None:
    put_verdict(aws, verdict(candidate, passed=False, reason="3 rows are missing"))
    with pytest.raises(GateError, match="3 rows are missing"):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA"]


def test_a_publication_says_all_that_is_needed_to_walk_back(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    touched = Touched("scheduled_departure", (("2013-01-01", "2013-01-03"),))
    put_verdict(aws, verdict(candidate, loads=(4, 5), touched=touched, code="r1"))

    done = publish(aws, candidate, state(aws, contract), {}, rebuilt=True)

    assert state(aws, contract).publications == (done,)
    assert (done.number, done.snapshot_id, done.base) == (1, candidate.snapshot_id, candidate.base)
    assert (done.loads, done.touched, done.code, done.rebuilt) == ((4, 5), touched, "r1", True)
    assert done.verdict == verdict_key(candidate.dataset, candidate.snapshot_id)
    assert done.approval is None


def test_a_failed_candidate_that_a_person_approved_is_published_in_their_name(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    put_verdict(aws, verdict(candidate, passed=False, reason="3 rows are missing"))
    word = Approval(candidate.dataset, candidate.snapshot_id, "Ada", "known gap", "2026-01-01")
    put_approval(aws, word)
    later = msgspec.structs.replace(word, by="Bob")
    assert put_approval(aws, later) == word, "the first word holds"

    assert publish(aws, candidate, state(aws, contract), {}).approval == word

    assert visible(aws, contract) == ["AA", "BB"]
    assert state(aws, contract).publications[-1].approval == word


def test_the_approval_of_another_snapshot_publishes_nothing(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    put_verdict(aws, verdict(candidate, passed=False, reason="bad"))
    put_approval(aws, Approval(candidate.dataset, 1, "Ada", "why not", "2026-01-01"))
    stray = Approval(candidate.dataset, 1, "Ada", "why not", "2026-01-01")
    aws.client("s3").put_object(
        Bucket=aws.bucket("verdicts"),
        Key=f"approvals/{candidate.dataset}/{candidate.snapshot_id}.json",
        Body=msgspec.json.encode(stray),
    )
    with pytest.raises(GateError, match="nobody has approved it"):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA"]


def test_only_the_newest_publications_are_kept(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    put_verdict(aws, verdict(candidate))
    old = [
        Publication(
            number=n, snapshot_id=n, base=None, at="t", verdict="v", run_id="r", code="",
            contract_version="1",
        )
        for n in range(1, KEPT_PUBLICATIONS + 1)
    ]  # fmt: skip
    record(aws, "silver", contract.dataset, state(aws, contract), {PUBLICATIONS: as_property(old)})
    publish(aws, candidate, state(aws, contract), {})
    numbers = [p.number for p in state(aws, contract).publications]
    assert numbers == list(range(2, KEPT_PUBLICATIONS + 2))


def test_the_verdict_of_another_snapshot_is_refused(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    body = msgspec.json.encode(verdict(candidate, snapshot_id=1))
    key = verdict_key(candidate.dataset, candidate.snapshot_id)
    aws.client("s3").put_object(Bucket=aws.bucket("verdicts"), Key=key, Body=body)
    with pytest.raises(GateError, match="its verdict is on"):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA"]


def test_a_main_that_moved_is_refused(aws: Aws, contract: Contract, candidate: Candidate) -> None:
    put_verdict(aws, verdict(candidate))
    seen = state(aws, contract)
    add(reload(aws, contract), "CC")
    with pytest.raises(PublishConflictError, match="moved main"):
        publish(aws, candidate, seen, {})
    # Even one who holds the newest state cannot put an old candidate over it.
    with pytest.raises(PublishConflictError):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA", "CC"]


def test_a_branch_that_moved_after_its_audit_is_refused(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    put_verdict(aws, verdict(candidate))
    add(reload(aws, contract), "XX", candidate.branch)
    with pytest.raises(PublishConflictError, match="the table moved"):
        publish(aws, candidate, state(aws, contract), {})
    assert visible(aws, contract) == ["AA"]


def test_a_candidate_that_does_not_hold_the_base_is_refused(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    put_verdict(aws, verdict(candidate))
    add(reload(aws, contract), "CC")
    base = reload(aws, contract).metadata.refs["main"].snapshot_id
    stray = msgspec.structs.replace(candidate, base=base)
    with pytest.raises(PublishConflictError, match="does not descend"):
        publish(aws, stray, state(aws, contract), {})
    assert visible(aws, contract) == ["AA", "CC"]


def test_progress_alone_is_recorded_only_over_the_main_it_was_read_with(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    seen = state(aws, contract)
    record(
        aws, "silver", contract.dataset, seen, {"lakehouse.promoted": "5"}, drop=[candidate.branch]
    )
    assert state(aws, contract).promoted == 5
    assert state(aws, contract).base == seen.base
    assert set(reload(aws, contract).metadata.refs) == {"main"}
    with pytest.raises(PublishConflictError):
        record(aws, "silver", contract.dataset, seen, {"lakehouse.promoted": "6"})
    assert state(aws, contract).promoted == 5


def test_branches_of_dead_runs_are_dropped_by_age(
    aws: Aws, contract: Contract, candidate: Candidate
) -> None:
    assert drop_dead_branches(aws, "silver", contract.dataset, START) == ()
    dropped = drop_dead_branches(aws, "silver", contract.dataset, START + 2 * BRANCH_LIFE)
    assert dropped == (candidate.branch,)
    assert set(reload(aws, contract).metadata.refs) == {"main"}


def test_a_verdict_is_written_once(aws: Aws, candidate: Candidate) -> None:
    first = verdict(candidate)
    key = put_verdict(aws, first)
    assert put_verdict(aws, first) == key, "the same once more is no second verdict"
    with pytest.raises(GateError, match="another verdict already"):
        put_verdict(aws, verdict(candidate, passed=False))
    assert read_verdict(aws, candidate.dataset, candidate.snapshot_id) == first


def test_verdicts_are_read_oldest_first(aws: Aws, candidate: Candidate) -> None:
    for number, day in ((1, "2026-01-03"), (2, "2026-01-01"), (3, "2026-01-02")):
        put_verdict(aws, verdict(candidate, snapshot_id=number, checked_at=day))
    found = read_verdicts(aws, candidate.dataset)
    assert [item.snapshot_id for item in found] == [2, 3, 1]
