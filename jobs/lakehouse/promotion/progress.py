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
TAKEN_IN: Final = "lakehouse.taken-in"
PUBLICATIONS: Final = "lakehouse.publications"
INPUTS: Final = "lakehouse.inputs"
SELECT: Final = "lakehouse.select"
GATED: Final = "lakehouse.gated"

BRANCH_PREFIX: Final = "audit_"


class SetAside(msgspec.Struct, frozen=True):
    """A load that failed the gate and was left out, with the key of the verdict that says why."""

    load: int
    reason: str
    verdict: str
    at: str


class TakenIn(msgspec.Struct, frozen=True):
    """A load that was set aside and is to be tried again, on the word of a person."""

    load: int
    by: str
    reason: str
    at: str


class Touched(msgspec.Struct, frozen=True):
    """Where rows changed: half-open ranges of days of a field, as ISO dates in UTC."""

    field: str
    ranges: tuple[tuple[str, str], ...]


class Approval(msgspec.Struct, frozen=True):
    """A person's word that a candidate which failed its gate is to be published."""

    dataset: str
    snapshot_id: int
    by: str
    reason: str
    at: str


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One snapshot that a gate let through, with all that is needed to walk back from it.

    ``loads`` made a silver snapshot, ``inputs`` (table to snapshot id) a gold one. ``touched`` is
    None where the changed days are not known, so that any day may have changed. ``verdict`` is the
    key of the verdict in the bucket of verdicts.
    """

    number: int
    """Counts the publications of the table from 1."""
    snapshot_id: int
    base: int | None
    at: str
    verdict: str
    run_id: str
    code: str
    """Release of the code, empty where nobody said it."""
    contract_version: str
    loads: tuple[int, ...] = ()
    inputs: dict[str, int] = {}
    touched: Touched | None = None
    approval: Approval | None = None
    rebuilt: bool = False
    """Whether the table was made anew as a whole."""


KEPT_PUBLICATIONS: Final = 100
"""Newest publications that a table's properties keep; verdicts keep all of them."""


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
    base: int | None = None
    """Main's snapshot that the candidate was made from; once main is another, it is tried again."""
    load: int | None = None
    """The load, where one is held; None for a mart."""
    progress: dict[str, str] = {}
    """The properties that publishing it would set."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of a table: its identity, main's head and the progress that goes with it."""

    uuid: str
    base: int | None
    promoted: int
    set_aside: tuple[SetAside, ...]
    held: Held | None
    taken_in: tuple[TakenIn, ...]
    publications: tuple[Publication, ...]
    """The newest, oldest first."""
    inputs: dict[str, int]
    select: str
    gated: str
    """Fingerprint of the checks that all of main has passed."""


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
        taken_in=msgspec.json.decode(properties.get(TAKEN_IN, "[]"), type=tuple[TakenIn, ...]),
        publications=msgspec.json.decode(
            properties.get(PUBLICATIONS, "[]"), type=tuple[Publication, ...]
        ),
        inputs=msgspec.json.decode(properties.get(INPUTS, "{}"), type=dict[str, int]),
        select=properties.get(SELECT, ""),
        gated=properties.get(GATED, ""),
    )


def refuse_held(dataset: str, held: Held) -> NoReturn:
    """Raises GateError: what is held, why, and what ends it."""
    raise GateError(
        f"{dataset}: {held.made_from} is held since {held.at} under contract "
        f"{held.contract_version}: {held.reason} (verdict {held.verdict}, branch {held.branch}); "
        "approve it, set it aside, mend its inputs or release a corrected contract"
    )


def as_property(value: object) -> str:
    """A structure as the text of a table property."""
    return msgspec.json.encode(value).decode()
