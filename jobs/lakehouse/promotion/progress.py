"""How far a checked table has come: read from its properties together with main's head.

Progress lies in table properties, set by the commit that publishes, so that neither expiry nor
compaction can lose it, and is read with the base in one go, so that the two always belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec
from pyiceberg.table import Table

from lakehouse.errors import GateError

PROMOTED: Final = "lakehouse.promoted"
SET_ASIDE: Final = "lakehouse.set-aside"
HELD: Final = "lakehouse.held"
INPUTS: Final = "lakehouse.inputs"
SELECT: Final = "lakehouse.select"

BRANCH_PREFIX: Final = "audit_"


class SetAside(msgspec.Struct, frozen=True):
    """A load that failed the gate and was left out, with the key of the verdict that says why."""

    load: int
    reason: str
    verdict: str
    at: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that failed the gate and waits for a person.

    ``made_from`` names its load, or its inputs and SELECT: as long as that and the contract's
    version are the same, trying again would find the same.
    """

    made_from: str
    contract_version: str
    reason: str
    verdict: str
    branch: str
    snapshot_id: int
    at: str
    load: int | None = None
    """The load, where one is held; None for a mart."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of a table: its identity, main's head and the progress that goes with it."""

    uuid: str
    base: int | None
    promoted: int
    set_aside: tuple[SetAside, ...]
    held: Held | None
    inputs: dict[str, int]
    select: str


def read_state(table: Table) -> State:
    """The state in the metadata that ``table`` was loaded with."""
    properties: Mapping[str, str] = table.properties
    main = table.metadata.refs.get("main")
    held = properties.get(HELD)
    return State(
        uuid=str(table.metadata.table_uuid),
        base=main.snapshot_id if main else None,
        promoted=int(properties.get(PROMOTED, "-1")),
        set_aside=msgspec.json.decode(properties.get(SET_ASIDE, "[]"), type=tuple[SetAside, ...]),
        held=msgspec.json.decode(held, type=Held) if held else None,
        inputs=msgspec.json.decode(properties.get(INPUTS, "{}"), type=dict[str, int]),
        select=properties.get(SELECT, ""),
    )


def refuse_held(dataset: str, held: Held) -> NoReturn:
    """Raises GateError: what is held, why, and what ends it."""
    raise GateError(
        f"{dataset}: {held.made_from} is held since {held.at} under contract "
        f"{held.contract_version}: {held.reason} (verdict {held.verdict}, branch {held.branch}); "
        "set it aside, mend its inputs or release a corrected contract"
    )


def as_property(value: object) -> str:
    """A structure as the text of a table property."""
    return msgspec.json.encode(value).decode()
