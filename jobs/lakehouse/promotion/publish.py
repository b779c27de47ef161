"""Publishes an audited candidate: one metadata commit that either takes effect whole or not at all.

The commit asserts that main is still the base the candidate was made from and that the branch is
still the snapshot that the gate saw; it moves main, drops the branch and sets the progress.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table
from pyiceberg.table.refs import SnapshotRef
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    AssertTableUUID,
    RemovePropertiesUpdate,
    RemoveSnapshotRefUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.errors import GateError, PublishConflictError
from lakehouse.naming import Layer
from lakehouse.promotion.progress import (
    BRANCH_PREFIX,
    KEPT_PUBLICATIONS,
    PUBLICATIONS,
    Approval,
    Publication,
    State,
    as_property,
    read_state,
)
from lakehouse.promotion.verdict import Verdict, read_approval, read_verdict, verdict_key
from lakehouse.store import NO_ANSWER

BRANCH_LIFE: Final = timedelta(days=2)
"""Age after which an audit branch has outlived every run: Glue ends a batch job after 8 hours."""

_STAMP: Final = "%Y%m%dT%H%M%S"
_STAMPED: Final = re.compile(rf"{BRANCH_PREFIX}.*_(\d{{8}}T\d{{6}})(?:_\d+)?")
_log = structlog.get_logger()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An unpublished snapshot on an audit branch, made from ``base``.

    ``changed`` is False when the rows are the base's own.
    """

    layer: Layer
    dataset: str
    branch: str
    snapshot_id: int
    base: int | None
    rows: int
    rows_added: int
    changed: bool


def conflict_retries() -> Retrying:
    """Starting over when the table moved: four times in all, up to 10 s apart."""
    return Retrying(
        retry=retry_if_exception_type(PublishConflictError),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )


def branch_name(run_id: str, attempt: int, now: datetime) -> str:
    """Name of the branch of one attempt: no two share one, and its age can be told."""
    run = re.sub(r"\W", "_", run_id)
    return f"{BRANCH_PREFIX}{run}_{now.astimezone(UTC):{_STAMP}}_{attempt}"


def publish(
    aws: Aws,
    candidate: Candidate,
    state: State,
    progress: Mapping[str, str | None],
    *,
    rebuilt: bool = False,
) -> Publication:
    """Make the candidate main, set the progress and record the publication in the same commit.

    A property that becomes None is removed; ``rebuilt`` says that the table was made anew as a
    whole. Raises GateError unless this very snapshot has a verdict that passed or a person's
    approval, PublishConflictError when main or the branch is not what it was.
    """
    verdict = _verdict(aws, candidate)
    publication = Publication(
        number=state.publications[-1].number + 1 if state.publications else 1,
        snapshot_id=candidate.snapshot_id,
        base=candidate.base,
        at=verdict.checked_at,
        verdict=verdict_key(candidate.dataset, candidate.snapshot_id),
        run_id=verdict.run_id,
        code=verdict.code,
        contract_version=verdict.contract_version,
        loads=verdict.loads,
        inputs=verdict.inputs,
        touched=verdict.touched,
        approval=None if verdict.passed else _approval(aws, candidate, verdict),
        rebuilt=rebuilt,
    )
    kept = (*state.publications, publication)[-KEPT_PUBLICATIONS:]
    table = _unmoved(aws, candidate.layer, candidate.dataset, state)
    _require_descent(table, candidate)
    main = table.metadata.refs.get("main")
    moved = _move_main(candidate.snapshot_id, main)
    updates = (
        moved,
        _drop(candidate.branch),
        *_properties(table.properties, {**progress, PUBLICATIONS: as_property(kept)}),
    )
    requirements = (
        AssertTableUUID(uuid=UUID(state.uuid)),
        _still("main", candidate.base),
        _still(candidate.branch, candidate.snapshot_id),
    )
    _commit(table, updates, requirements)
    return publication


def record(
    aws: Aws,
    layer: Layer,
    dataset: str,
    state: State,
    progress: Mapping[str, str | None],
    *,
    drop: Iterable[str] = (),
) -> None:
    """Set progress without a new snapshot, on the same condition that main has not moved.

    Raises PublishConflictError when main or the progress is not what it was.
    """
    table = _unmoved(aws, layer, dataset, state)
    updates = (
        *(_drop(name) for name in drop),
        *_properties(table.properties, progress),
    )
    requirements = (
        AssertTableUUID(uuid=UUID(state.uuid)),
        _still("main", state.base),
    )
    _commit(table, updates, requirements)


def drop_dead_branches(aws: Aws, layer: Layer, dataset: str, now: datetime) -> tuple[str, ...]:
    """Drop the audit branches of runs that must have ended, all but the held one; their names."""
    table = _load(aws, layer, dataset)
    dead = tuple(dead_branches(table, now))
    if dead:
        updates = tuple(_drop(name) for name in dead)
        _commit(table, updates, (AssertTableUUID(uuid=table.metadata.table_uuid),))
        _log.info("dead audit branches dropped", table=f"{layer}.{dataset}", branches=dead)
    return dead


def dead_branches(table: Table, now: datetime) -> Iterator[str]:
    """The audit branches older than BRANCH_LIFE that no held candidate needs."""
    held = read_state(table).held
    for name in table.metadata.refs:
        stamp = _STAMPED.fullmatch(name)
        if stamp is None or (held is not None and held.branch == name):
            continue
        made = datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC)
        if now - made > BRANCH_LIFE:
            yield name


def _load(aws: Aws, layer: Layer, dataset: str) -> Table:
    return aws.catalog().load_table(naming.table(layer, dataset))


def _unmoved(aws: Aws, layer: Layer, dataset: str, state: State) -> Table:
    """The table, when its progress is the one that was read; the commit asserts the rest."""
    table = _load(aws, layer, dataset)
    if read_state(table) != state:
        raise PublishConflictError(
            f"{layer}.{dataset}: another run moved main or its progress in between; start over "
            "from the table as it is now"
        )
    return table


def _verdict(aws: Aws, candidate: Candidate) -> Verdict:
    where = f"{candidate.layer}.{candidate.dataset}, snapshot {candidate.snapshot_id}"
    verdict = read_verdict(aws, candidate.dataset, candidate.snapshot_id)
    if verdict is None:
        raise GateError(f"{where}: no verdict on it; only a passed candidate is published")
    if (verdict.layer, verdict.dataset, verdict.snapshot_id) != (
        candidate.layer,
        candidate.dataset,
        candidate.snapshot_id,
    ):
        raise GateError(
            f"{where}: its verdict is on {verdict.layer}.{verdict.dataset}, snapshot "
            f"{verdict.snapshot_id}; only a verdict on the candidate itself counts"
        )
    return verdict


def _approval(aws: Aws, candidate: Candidate, verdict: Verdict) -> Approval:
    found = read_approval(aws, candidate.dataset, candidate.snapshot_id)
    if found is None or (found.dataset, found.snapshot_id) != (
        candidate.dataset,
        candidate.snapshot_id,
    ):
        raise GateError(
            f"{candidate.layer}.{candidate.dataset}, snapshot {candidate.snapshot_id}: the gate "
            f"failed it: {verdict.reason}; nobody has approved it"
        )
    return found


def _require_descent(table: Table, candidate: Candidate) -> None:
    """The candidate holds all of base: PublishConflictError where it does not descend from it."""
    at: int | None = candidate.snapshot_id
    while at is not None and at != candidate.base:
        snapshot = table.metadata.snapshot_by_id(at)
        at = snapshot.parent_snapshot_id if snapshot else None
    if at != candidate.base:
        raise PublishConflictError(
            f"{candidate.layer}.{candidate.dataset}: snapshot {candidate.snapshot_id} does not "
            f"descend from {candidate.base}, which it is to replace; refine again"
        )


def _move_main(snapshot_id: int, main: SnapshotRef | None) -> SetSnapshotRefUpdate:
    """Main at the snapshot, with the retention it had."""
    kept = ("max_ref_age_ms", "max_snapshot_age_ms", "min_snapshots_to_keep")
    return SetSnapshotRefUpdate.model_validate(
        {"ref-name": "main", "type": "branch", "snapshot-id": snapshot_id}
        | {name.replace("_", "-"): getattr(main, name, None) for name in kept}
    )


def _drop(branch: str) -> RemoveSnapshotRefUpdate:
    return RemoveSnapshotRefUpdate.model_validate({"ref-name": branch})


def _still(ref: str, snapshot_id: int | None) -> AssertRefSnapshotId:
    """That a branch is at a snapshot, or is not there."""
    return AssertRefSnapshotId.model_validate({"ref": ref, "snapshot-id": snapshot_id})


def _properties(
    present: Mapping[str, str], progress: Mapping[str, str | None]
) -> Iterator[TableUpdate]:
    kept = {key: value for key, value in progress.items() if value is not None}
    gone = [key for key, value in progress.items() if value is None and key in present]
    if kept:
        yield SetPropertiesUpdate(updates=kept)
    if gone:
        yield RemovePropertiesUpdate(removals=gone)


def _commit(
    table: Table, updates: tuple[TableUpdate, ...], requirements: tuple[TableRequirement, ...]
) -> None:
    name = ".".join(table.name())
    try:
        # One call: a requirement of a type that a transaction already holds is dropped silently.
        table._do_commit(updates=updates, requirements=requirements)
    except CommitFailedException as error:
        raise PublishConflictError(
            f"{name}: the table moved since it was read ({error}); nothing was published, refine "
            "again from the new main"
        ) from error
    except (CommitStateUnknownException, *NO_ANSWER) as error:
        raise PublishConflictError(
            f"{name}: the commit got no answer ({error}); the table is read again to see whether "
            "it took effect"
        ) from error
