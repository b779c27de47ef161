"""Verdicts: what the gate found out about one candidate, written once and never changed."""

from __future__ import annotations

import contextlib
from typing import Final, Literal

import msgspec

from lakehouse.aws import Aws
from lakehouse.errors import GateError, TransientError
from lakehouse.naming import Layer
from lakehouse.promotion.progress import Approval, Touched
from lakehouse.store import S3Store

Outcome = Literal["pass", "warn", "fail", "not_evaluated"]
GOOD: Final[frozenset[Outcome]] = frozenset({"pass", "warn"})
"""Outcomes of a check that let a candidate through."""


class Sample(msgspec.Struct, frozen=True):
    """One row that breaks a check, every value as text; what is classified is masked.

    ``load``, ``source``, ``sequence`` and ``index`` lead to the delivery in bronze; None in gold.
    """

    values: dict[str, str | None]
    load: int | None = None
    source: str | None = None
    sequence: str | None = None
    index: int | None = None


class LoadCounts(msgspec.Struct, frozen=True):
    """What a load brought to bronze: good deliveries, and rejects by reason code."""

    load: int
    good: int
    rejected: dict[str, int]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check and what it came to."""

    name: str
    type: str
    column: str | None
    outcome: Outcome
    value: float | None
    threshold: str
    samples: tuple[Sample, ...] = ()
    """Some of the rows that break it, where it concerns single rows."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's decision on one snapshot of one table.

    ``loads`` made a silver candidate, ``inputs`` (table to snapshot id) a gold one; ``checked_at``
    is ISO 8601 in UTC.
    """

    dataset: str
    layer: Layer
    snapshot_id: int
    base_snapshot_id: int | None
    run_id: str
    loads: tuple[int, ...]
    inputs: dict[str, int]
    contract_version: str
    checked_at: str
    passed: bool
    reason: str
    checks: tuple[Check, ...]
    code: str = ""
    """Release of the code, empty where nobody said it."""
    rows: int = 0
    """Of the candidate."""
    rows_added: int = 0
    counts: tuple[LoadCounts, ...] = ()
    """Of each load that made the candidate."""
    touched: Touched | None = None
    """Where rows changed; None: anywhere."""
    scope: str = ""
    """The predicate of the rows that row-wise checks looked at; empty: all rows."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate was made from, and by whom: the facts that its verdict records.

    ``scope`` is the predicate of the region in which its rows can differ from published ones;
    empty: anywhere.
    """

    run_id: str
    code: str = ""
    loads: tuple[int, ...] = ()
    inputs: dict[str, int] = {}
    counts: tuple[LoadCounts, ...] = ()
    touched: Touched | None = None
    scope: str = ""


def verdict_key(dataset: str, snapshot_id: int) -> str:
    """Key of a snapshot's verdict in the bucket of verdicts."""
    return f"dataset={dataset}/{snapshot_id}.json"


def put_verdict(aws: Aws, verdict: Verdict) -> str:
    """Write a verdict and return its key; GateError when the snapshot has another one already."""
    key = verdict_key(verdict.dataset, verdict.snapshot_id)
    body = msgspec.json.encode(verdict)
    try:
        made = _store(aws).put_if_absent(key, body)
    except TransientError:
        made = False
    if not made and (present := _store(aws).get(key)) != body:
        raise GateError(
            f"{verdict.dataset}: snapshot {verdict.snapshot_id} "
            + (
                "has another verdict already; a verdict is final, run the promotion again"
                if present
                else "could not be given its verdict; run the promotion again"
            )
        )
    return key


def read_verdict(aws: Aws, dataset: str, snapshot_id: int) -> Verdict | None:
    """The verdict on a snapshot, None when it has none."""
    body = _store(aws).get(verdict_key(dataset, snapshot_id))
    return None if body is None else msgspec.json.decode(body, type=Verdict)


def approval_key(dataset: str, snapshot_id: int) -> str:
    """Key of the approval of a snapshot in the bucket of verdicts."""
    return f"approvals/{dataset}/{snapshot_id}.json"


def put_approval(aws: Aws, approval: Approval) -> Approval:
    """Record an approval; the one that holds, which is the first."""
    key = approval_key(approval.dataset, approval.snapshot_id)
    with contextlib.suppress(TransientError):
        _store(aws).put_if_absent(key, msgspec.json.encode(approval))
    found = read_approval(aws, approval.dataset, approval.snapshot_id)
    if found is None:
        raise GateError(f"{approval.dataset}: the approval could not be recorded; approve again")
    return found


def read_approval(aws: Aws, dataset: str, snapshot_id: int) -> Approval | None:
    """The approval of a snapshot, None when nobody has given one."""
    body = _store(aws).get(approval_key(dataset, snapshot_id))
    return None if body is None else msgspec.json.decode(body, type=Approval)


def read_verdicts(aws: Aws, dataset: str) -> list[Verdict]:
    """All verdicts on a dataset, oldest first."""
    store = _store(aws)
    bodies = [store.get(key) for key in store.list(f"dataset={dataset}/")]
    found = [msgspec.json.decode(body, type=Verdict) for body in bodies if body is not None]
    return sorted(found, key=lambda verdict: (verdict.checked_at, verdict.snapshot_id))


def _store(aws: Aws) -> S3Store:
    return S3Store(aws.client("s3"), aws.bucket("verdicts"), "")
