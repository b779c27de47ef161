"""What a mart would be made from now, and whether as a whole or in part; reads metadata only.

A mart is made anew as a whole when its SELECT, its contract or an input that the contract does not
list has changed; in part, by the days that changed, when only listed inputs have.
"""

from __future__ import annotations

import hashlib

import msgspec
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import GateError
from lakehouse.marts.changes import (
    Changed,
    Unknown,
    known_days,
    live_rows,
    not_readable,
    pin,
    since,
)
from lakehouse.marts.sql import check_select
from lakehouse.promotion.progress import INPUTS, SELECT, State, as_property, read_state, refuse_held
from lakehouse.tables import load_table


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a mart would be made from now; ``waits_for`` names inputs that have no rows yet."""

    dataset: str
    inputs: dict[str, int]
    waits_for: tuple[str, ...]
    select: str
    """Fingerprint of the SELECT and of what the contract says that it is built by."""
    state: State | None
    """The mart as it is, None while there is no table."""
    live: dict[str, str] = {}
    """By input, the predicate of its rows that are no tombstones, where it has any."""
    whole: str = ""
    """Why it is to be made anew as a whole; empty when in part or not at all."""
    changed: tuple[Changed, ...] = ()
    """The listed inputs that changed."""

    @property
    def current(self) -> bool:
        """Whether the mart already has the rows that making it now would give."""
        return not (self.waits_for or self.whole or self.changed)

    @property
    def idle(self) -> str:
        """Why there is nothing to build; empty when there is."""
        if self.waits_for:
            return f"waits for {', '.join(self.waits_for)}"
        return "nothing has changed" if self.current else ""

    @property
    def made_from(self) -> str:
        """The inputs and the SELECT, for people."""
        inputs = ", ".join(f"{name} at {snapshot}" for name, snapshot in self.inputs.items())
        return f"{inputs} by SELECT {self.select}"

    @property
    def progress(self) -> dict[str, str]:
        """The properties that say what the mart is made from."""
        return {INPUTS: as_property(self.inputs), SELECT: self.select}

    @property
    def known(self) -> State:
        """The mart's state, once there is a table."""
        if self.state is None:
            raise GateError(f"gold.{self.dataset} has no table yet")
        return self.state


def plan(
    aws: Aws, contract: Contract, sql: str, contracts: Contracts, *, full: bool = False
) -> Plan:
    """What the mart would be made from now; ``full``: as a whole, whatever has changed.

    Raises ContractError when the SELECT and the contracts do not fit, GateError when just this was
    held before, unless ``full``.
    """
    names = check_select(contract.dataset, sql, contract, contracts)
    mart = load_table(aws, "gold", contract.dataset)
    state = read_state(mart) if mart else None
    inputs: dict[str, int] = {}
    live: dict[str, str] = {}
    waits: list[str] = []
    found: list[Changed | Unknown] = []
    for name in names:
        source = contracts[name.partition(".")[2]]
        table = load_table(aws, source.checked_layer, source.dataset)
        of_input = read_state(table) if table else None
        head = pin(table, of_input) if table and of_input else None
        if table is None or of_input is None or head is None:
            waits.append(name)
            continue
        inputs[name] = head
        if predicate := live_rows(source, table, head):
            live[name] = predicate
        old = state.inputs.get(name) if state else None
        if old is not None:
            change = since(name, table, of_input, old, head)
            if change is not None:
                found.append(_by_days(contract, change, source, table))
    select = _fingerprint(contract, sql)
    whole = _whole(contract, select, mart, state, names)
    whole = "asked for" if full else whole or "; ".join(map(str, _unknown(found)))
    made = Plan(
        dataset=contract.dataset,
        inputs=inputs,
        waits_for=tuple(waits),
        select=select,
        state=state,
        live=live,
        whole=whole,
        changed=() if whole else tuple(item for item in found if isinstance(item, Changed)),
    )
    if state is not None and state.held is not None and not full:
        held = state.held
        same = (held.made_from, held.contract_version, held.base)
        if same == (made.made_from, contract.version, state.base):
            refuse_held(contract.dataset, held)
    return made


def _whole(
    contract: Contract,
    select: str,
    mart: Table | None,
    state: State | None,
    names: tuple[str, ...],
) -> str:
    """Why the mart itself has to be made anew as a whole, empty where it has not."""
    if mart is None or state is None or state.base is None:
        return "it has no rows yet"
    if state.select != select or set(state.inputs) != set(names):
        return "its SELECT or its contract changed"
    return "" if partitioned(mart) == wanted_partitions(contract) else "its partitions changed"


def _by_days(
    contract: Contract, change: Changed | Unknown, source: Contract, table: Table
) -> Changed | Unknown:
    """The change, where the days in which it counts can be told."""
    item = next((item for item in contract.inputs if item.table == change.table), None)
    if item is None:
        return Unknown(change.table, "it changed, and the contract's inputs do not list it")
    if isinstance(change, Unknown) or known_days(item, change) is not None:
        return change
    return not_readable(item, change, source, table) or change


def _unknown(found: list[Changed | Unknown]) -> list[Unknown]:
    return [item for item in found if isinstance(item, Unknown)]


def partitioned(table: Table) -> list[tuple[str, str]]:
    """The columns that new files of a table are partitioned by, and how."""
    schema = table.schema()
    return [
        (schema.find_column_name(field.source_id) or "", str(field.transform))
        for field in table.spec().fields
    ]


def wanted_partitions(contract: Contract) -> list[tuple[str, str]]:
    """The columns that the contract partitions a mart by, and how."""
    return [(item.field, item.transform) for item in contract.partition_by]


def _fingerprint(contract: Contract, sql: str) -> str:
    made_by = (contract.version, contract.inputs, contract.partition_by, sql)
    return hashlib.sha256(msgspec.json.encode(made_by)).hexdigest()[:16]
