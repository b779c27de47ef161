"""Ends a hold by a person's decision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import InputError
from lakehouse.promotion.progress import (
    HELD,
    PROMOTED,
    SET_ASIDE,
    SetAside,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import record
from lakehouse.tables import load_table

_log = structlog.get_logger()


def set_aside_held(
    aws: Aws, contract: Contract, by: str, clock: Callable[[], datetime]
) -> SetAside:
    """Leave out the load that is held, on the word of the person ``by``; later loads go on.

    Raises InputError where no load is held, PublishConflictError when the table moved meanwhile.
    """
    table = load_table(aws, "silver", contract.dataset)
    state = read_state(table) if table else None
    held = state.held if state else None
    if state is None or held is None or held.load is None:
        raise InputError(f"{contract.dataset}: no load is held, so there is none to set aside")
    entry = SetAside(held.load, f"{held.reason} (by {by})", held.verdict, clock().isoformat())
    progress = {
        PROMOTED: str(held.load),
        SET_ASIDE: as_property([*state.set_aside, entry]),
        HELD: None,
    }
    record(aws, "silver", contract.dataset, state, progress, drop=[held.branch])
    _log.warning("held load set aside", dataset=contract.dataset, load=held.load, by=by)
    return entry
