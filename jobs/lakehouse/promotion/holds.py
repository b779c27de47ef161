"""What a person decides about loads that the gate did not let through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError, InputError
from lakehouse.promotion.progress import (
    HELD,
    PROMOTED,
    SET_ASIDE,
    TAKEN_IN,
    Approval,
    Publication,
    SetAside,
    State,
    TakenIn,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import Candidate, publish, record
from lakehouse.promotion.verdict import put_approval, read_verdict
from lakehouse.tables import load_table

_log: Final = structlog.get_logger()


class Decision(msgspec.Struct, frozen=True):
    """Who decided, why, and when (ISO 8601 in UTC)."""

    by: str
    reason: str
    at: str


def set_aside(aws: Aws, contract: Contract, load: int, word: Decision) -> SetAside:
    """Leave a load out of silver on a person's word; later loads go on.

    Raises InputError for a load that silver has or that is set aside already, PublishConflictError
    when the table moved meanwhile.
    """
    state = _state(aws, contract)
    if any(item.load == load for item in state.set_aside):
        raise InputError(f"{contract.dataset}: load {load} is set aside already")
    held = state.held if state.held is not None and state.held.load == load else None
    taken_in = [item for item in state.taken_in if item.load != load]
    if load <= state.promoted and held is None and len(taken_in) == len(state.taken_in):
        raise InputError(
            f"{contract.dataset}: load {load} is in silver already, which has come to load "
            f"{state.promoted}; rebuild the table without it instead"
        )
    because = f"{held.reason}; " if held else ""
    entry = SetAside(
        load,
        f"{because}{word.reason or 'no reason given'} (by {word.by})",
        held.verdict if held else "",
        word.at,
    )
    progress: dict[str, str | None] = {SET_ASIDE: as_property([*state.set_aside, entry])}
    if state.taken_in:
        progress[TAKEN_IN] = as_property(taken_in)
    if held is not None:
        progress[HELD] = None
        progress[PROMOTED] = held.progress.get(PROMOTED, str(max(state.promoted, load)))
    _record(aws, contract, state, progress, [held.branch] if held else [])
    _log.warning("load set aside", dataset=contract.dataset, load=load, by=word.by)
    return entry


def take_in(aws: Aws, contract: Contract, load: int, word: Decision) -> TakenIn:
    """Let the next promotion try a load again that was set aside.

    Raises InputError for a load that is not set aside.
    """
    state = _state(aws, contract)
    rest = [item for item in state.set_aside if item.load != load]
    if len(rest) == len(state.set_aside):
        aside = ", ".join(str(item.load) for item in state.set_aside) or "none"
        raise InputError(
            f"{contract.dataset}: load {load} is not set aside; those that are: {aside}"
        )
    entry = TakenIn(load, word.by, word.reason, word.at)
    progress: dict[str, str | None] = {SET_ASIDE: as_property(rest)}
    progress[TAKEN_IN] = as_property([*state.taken_in, entry])
    _record(aws, contract, state, progress, [])
    _log.info("load taken in", dataset=contract.dataset, load=load, by=word.by)
    return entry


def approve(aws: Aws, contract: Contract, snapshot_id: int, word: Decision) -> Publication:
    """Publish the held candidate on a person's word.

    Raises InputError where that snapshot is not the one that is held or no reason is given,
    PublishConflictError when main has moved since it was made: the next run makes a new candidate.
    """
    if not word.by.strip() or not word.reason.strip():
        raise InputError(
            f"{contract.dataset}: an approval needs a person and a reason, got {word.by!r} and "
            f"{word.reason!r}"
        )
    layer = contract.checked_layer
    state = _state(aws, contract)
    held = state.held
    if held is None or held.snapshot_id != snapshot_id:
        what = f"snapshot {held.snapshot_id} is" if held else "nothing is"
        raise InputError(f"{layer}.{contract.dataset}: {what} held, got {snapshot_id}")
    verdict = read_verdict(aws, contract.dataset, snapshot_id)
    if verdict is None:
        raise GateError(
            f"{layer}.{contract.dataset}: the held snapshot {snapshot_id} has no verdict"
        )
    put_approval(aws, Approval(contract.dataset, snapshot_id, word.by, word.reason, word.at))
    candidate = Candidate(
        layer=layer,
        dataset=contract.dataset,
        branch=held.branch,
        snapshot_id=held.snapshot_id,
        base=held.base,
        rows=verdict.rows,
        rows_added=verdict.rows_added,
        changed=True,
    )
    publication = publish(aws, candidate, state, {**held.progress, HELD: None})
    _log.warning(
        "held candidate approved", dataset=contract.dataset, snapshot=snapshot_id, by=word.by
    )
    return publication


def _state(aws: Aws, contract: Contract) -> State:
    table = load_table(aws, contract.checked_layer, contract.dataset)
    if table is None:
        raise InputError(
            f"{contract.dataset}: nothing was promoted yet, so nothing is held or set aside"
        )
    return read_state(table)


def _record(
    aws: Aws,
    contract: Contract,
    state: State,
    progress: dict[str, str | None],
    drop: Sequence[str],
) -> None:
    record(aws, "silver", contract.dataset, state, progress, drop=drop)
