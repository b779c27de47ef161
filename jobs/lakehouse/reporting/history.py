"""The verdicts on a dataset in order of time, and what became of each candidate.

Snapshot ids have no order in time, so which verdicts are the newest is told by when their objects
were written; of those alone the content is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError, InputError
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import (
    Check,
    Verdict,
    approval_key,
    read_approval,
    read_verdict,
    verdict_key,
)

Status = Literal["passed", "approved", "held", "set aside", "failed"]
NEWEST: Final = 100
"""Verdicts that are read for a report."""
_THREADS: Final = 16
_NOT_EVALUATED: Final = re.compile(r"error: |\d+ of \d+ checks gave a result|Soda ended with")


class Written(msgspec.Struct, frozen=True, order=True):
    """An object of a snapshot in the bucket of verdicts, by when it was written."""

    at: datetime
    snapshot_id: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and what became of its candidate."""

    verdict: Verdict
    status: Status
    approval: Approval | None = None
    let_in_by: int | None = None
    """The later snapshot that brought its loads in, where this one did not."""

    @property
    def at(self) -> datetime:
        """When it was checked."""
        return datetime.fromisoformat(self.verdict.checked_at).astimezone(UTC)

    @property
    def evaluated(self) -> bool:
        """Whether the checks could be carried out."""
        return evaluated(self.verdict)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate of a dataset said: the runs that were read, oldest first."""

    dataset: str
    runs: tuple[Run, ...]
    total: int
    """Verdicts that there are."""

    def until(self, snapshot_id: int) -> History:
        """The history as it was when that snapshot was checked; InputError where it has no run."""
        ids = [run.verdict.snapshot_id for run in self.runs]
        if snapshot_id not in ids:
            raise InputError(f"{self.dataset}: snapshot {snapshot_id} has no verdict")
        runs = self.runs[: ids.index(snapshot_id) + 1]
        return msgspec.structs.replace(self, runs=runs)


class Point(msgspec.Struct, frozen=True):
    """A check in one run."""

    run: Run
    check: Check


Identity = tuple[str, str | None, str]
"""What makes a check the same one in every verdict: type, column, name."""


def identity(check: Check) -> Identity:
    """The check's identity."""
    return check.type, check.column, check.name


def trends(runs: Sequence[Run]) -> dict[Identity, list[Point]]:
    """Each check through the runs that had it, in order of time."""
    found: dict[Identity, list[Point]] = {}
    for run in runs:
        for check in run.verdict.checks:
            found.setdefault(identity(check), []).append(Point(run, check))
    return found


def read_history(
    aws: Aws, dataset: str, contract: Contract | None, snapshot_id: int | None = None
) -> History:
    """The newest runs of a dataset, or those around a snapshot.

    Raises InputError where that snapshot has no verdict, GateError for a verdict that cannot be
    read.
    """
    found = written(aws, verdict_key(dataset, 0).rpartition("/")[0])
    chosen = found[-NEWEST:]
    if snapshot_id is not None:
        ids = [item.snapshot_id for item in found]
        if snapshot_id not in ids:
            raise InputError(
                f"{dataset}: snapshot {snapshot_id} has no verdict; 'lakehouse report {dataset}' "
                "lists those that have"
            )
        place = ids.index(snapshot_id)
        chosen = found[max(0, place + 1 - NEWEST) : place + 1 + NEWEST]
    approved = {
        item.snapshot_id for item in written(aws, approval_key(dataset, 0).rpartition("/")[0])
    }
    with ThreadPoolExecutor(_THREADS) as pool:
        verdicts = list(pool.map(lambda item: _verdict(aws, dataset, item.snapshot_id), chosen))
        ids = [item.snapshot_id for item in chosen if item.snapshot_id in approved]
        approvals = pool.map(lambda approved_id: read_approval(aws, dataset, approved_id), ids)
        by_snapshot = {a.snapshot_id: a for a in approvals if a is not None}
    return History(dataset=dataset, runs=judged(verdicts, by_snapshot, contract), total=len(found))


def written(aws: Aws, folder: str) -> list[Written]:
    """The objects of a folder that are named after a snapshot, oldest first."""
    pages = (
        aws.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=aws.bucket("verdicts"), Prefix=f"{folder}/")
    )
    items: list[Any] = [item for page in pages for item in page.get("Contents", [])]
    names = [(item["LastModified"], item["Key"].rpartition("/")[2]) for item in items]
    return sorted(
        Written(at, int(name.partition(".")[0]))
        for at, name in names
        if name.partition(".")[0].isdigit()
    )


def judged(
    verdicts: Sequence[Verdict], approvals: dict[int, Approval], contract: Contract | None
) -> tuple[Run, ...]:
    """Runs in order of time. What a failed gate led to is told by the contract as it is now."""
    ordered = sorted(verdicts, key=lambda verdict: (verdict.checked_at, verdict.snapshot_id))
    runs = []
    for number, verdict in enumerate(ordered):
        approval, later = approvals.get(verdict.snapshot_id), ordered[number + 1 :]
        let_in_by = None if verdict.passed or approval else _let_in(verdict, later, approvals)
        status = _status(verdict, approval, later, contract)
        runs.append(Run(verdict=verdict, status=status, approval=approval, let_in_by=let_in_by))
    return tuple(runs)


def evaluated(verdict: Verdict) -> bool:
    """Whether the checks could be carried out, so that the verdict says something of the data."""
    return verdict.passed or _NOT_EVALUATED.match(verdict.reason) is None


def _status(
    verdict: Verdict,
    approval: Approval | None,
    later: Sequence[Verdict],
    contract: Contract | None,
) -> Status:
    if verdict.passed:
        return "passed"
    if approval is not None:
        return "approved"
    if not evaluated(verdict) or contract is None:
        return "failed"
    if verdict.layer == "gold":
        # A mart is checked again only when what was held is no more.
        return "failed" if later else "held"
    if len(verdict.loads) != 1:
        return "failed"
    return _fate(verdict.loads[0], later, contract)


def _fate(load: int, later: Sequence[Verdict], contract: Contract) -> Status:
    """What became of a load that is bad by itself."""
    if contract.gate.on_fail == "set-aside":
        return "set aside"
    if any(load in other.loads for other in later):
        return "failed"
    # While a load is held nothing behind it is tried.
    return "set aside" if any(min(v.loads, default=-1) > load for v in later) else "held"


def _let_in(
    verdict: Verdict, later: Sequence[Verdict], approvals: dict[int, Approval]
) -> int | None:
    good = (v for v in later if v.passed or v.snapshot_id in approvals)
    if verdict.layer == "gold":
        return next((v.snapshot_id for v in good), None)
    loads = set(verdict.loads)
    return next((v.snapshot_id for v in good if loads and loads <= set(v.loads)), None)


def _verdict(aws: Aws, dataset: str, snapshot_id: int) -> Verdict:
    try:
        verdict = read_verdict(aws, dataset, snapshot_id)
    except msgspec.DecodeError as error:
        raise GateError(
            f"{verdict_key(dataset, snapshot_id)}: {error}; expected a verdict, read it with the "
            "release that wrote it or restore the object's earlier version"
        ) from error
    if verdict is None:
        raise GateError(f"{verdict_key(dataset, snapshot_id)} was removed while it was read")
    return verdict
