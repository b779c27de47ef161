"""The way of one record: its deliveries, what became of each, and the marts that used its row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import EstateError, InputError
from lakehouse.ingestion.ledger import LoadRange
from lakehouse.lineage.deciding import Decision, Delivery, Outcome, Position, decide
from lakehouse.lineage.maybe import At, MaybeReject, maybe_rejects
from lakehouse.lineage.published import Lake, Published
from lakehouse.lineage.rows import Key, deliveries_of, keys_of, position_of, silver_rows
from lakehouse.lineage.usedby import Mart, marts_of
from lakehouse.promotion.progress import Publication, State
from lakehouse.promotion.promote import newest_load
from lakehouse.promotion.samples import MASK
from lakehouse.tables import load_table

_SHOWN_KEYS: Final = 5
_VERSION: Final = ("_valid_from", "_valid_to", "_current", "_tombstone")
"""What silver says of a version of a key, where its contract keeps versions or deletes."""


class TracedRow(msgspec.Struct, frozen=True):
    """A row of silver; ``values`` as text, classified ones masked.

    ``publication`` is the number of the one that brought it, None where it is older than the
    table's list.
    """

    values: dict[str, str | None]
    load: int
    source: str
    sequence: str
    index: int
    publication: int | None


class TracedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery and what became of it; ``by`` is the one that silver has in its place."""

    at: At
    arrived_at: datetime
    event_time: datetime | None
    good: bool
    outcome: Outcome
    why: str
    by: At | None
    publication: int | None
    """The newest that its load was part of; None: none, or one older than the table's list."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One record's way, as far as the tables tell it now."""

    dataset: str
    key: dict[str, str | None]
    loads: LoadRange | None
    """The loads that were looked at; None: all."""
    in_bronze: int
    """The newest load in bronze."""
    promoted: int
    """Silver has come to this load."""
    rows: tuple[TracedRow, ...]
    deliveries: tuple[TracedDelivery, ...]
    rejects: tuple[MaybeReject, ...]
    rejects_searched: int
    rejects_all: bool
    """Whether every reject was searched."""
    publications: tuple[Published, ...]
    """Those that loads of the deliveries were part of, oldest first."""
    marts: tuple[Mart, ...]
    notes: tuple[str, ...]


def find_key(aws: Aws, contract: Contract, where: Key, loads: LoadRange | None) -> Key:
    """The key of the deliveries with those values; InputError unless there is just one."""
    bronze = load_table(aws, "bronze", contract.dataset)
    found = keys_of(bronze, contract, where, loads) if bronze is not None else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"no good delivery of {contract.dataset} has that; a reject has no columns: "
            f"lakehouse rejects show {contract.dataset}"
        )
    some = "; ".join(_spelled(contract, key) for key in found[:_SHOWN_KEYS])
    more = f" and {len(found) - _SHOWN_KEYS} more" if len(found) > _SHOWN_KEYS else ""
    raise InputError(f"{len(found)} keys of {contract.dataset} have that: {some}{more}; name one")


def trace(
    aws: Aws, contracts: Contracts, contract: Contract, key: Key, loads: LoadRange | None = None
) -> Trace:
    """The way of the record with the key; EstateError where bronze has no table yet."""
    bronze = load_table(aws, "bronze", contract.dataset)
    if bronze is None:
        raise EstateError(f"no table bronze.{contract.dataset} yet; ingest or land something first")
    lake = Lake(aws)
    silver = lake.table("silver", contract.dataset)
    state = silver[1] if silver else None
    decisions = decide(contract, key, deliveries_of(bronze, contract, key, loads), state)
    rows = silver_rows(silver[0], contract, key) if silver and state and state.base else []
    texts = [_text(value) for value in key.values() if value is not None]
    rejects, searched, complete = maybe_rejects(bronze, contract, texts, loads)
    used = {load: _publication_of(state, load) for load in _loads(decisions, rows)}
    numbers = {item.number for item in used.values() if item is not None}
    published = [
        found
        for item in (state.publications if state else ())
        if item.number in numbers
        and isinstance(
            found := lake.publication("silver", contract.dataset, item.snapshot_id), Published
        )
    ]
    return Trace(
        dataset=contract.dataset,
        key=_shown(contract, key),
        loads=loads,
        in_bronze=newest_load(bronze),
        promoted=state.promoted if state else -1,
        rows=tuple(_row(contract, row, used) for row in sorted(rows, key=_arrival)),
        deliveries=tuple(_delivery(contract, item, used) for item in decisions),
        rejects=rejects,
        rejects_searched=searched,
        rejects_all=complete,
        publications=tuple(published),
        marts=tuple(marts_of(lake, contracts, contract, rows, used)),
        notes=tuple(_notes(contract, decisions, rows, loads)),
    )


def _loads(decisions: Iterable[Decision], rows: Iterable[Mapping[str, Any]]) -> set[int]:
    return {item.delivery.load for item in decisions} | {row["_load"] for row in rows}


def _publication_of(state: State | None, load: int) -> Publication | None:
    """The newest listed publication that a load was part of."""
    listed = state.publications if state else ()
    return next((item for item in reversed(listed) if load in item.loads), None)


def _arrival(row: Mapping[str, Any]) -> tuple[Any, ...]:
    source, sequence, number = position_of(row)
    return row["_load"], source, len(sequence), sequence, number


def _row(
    contract: Contract, row: Mapping[str, Any], used: Mapping[int, Publication | None]
) -> TracedRow:
    publication = used[row["_load"]]
    place = position_of(row)
    versions = {name: _text(row[name]) for name in _VERSION if row.get(name) is not None}
    return TracedRow(
        {**_shown(contract, row), **versions},
        row["_load"],
        *place,
        publication.number if publication else None,
    )


def _delivery(
    contract: Contract, item: Decision, used: Mapping[int, Publication | None]
) -> TracedDelivery:
    delivery = item.delivery
    event = delivery.values.get(contract.event_time) if contract.event_time else None
    publication = used[delivery.load]
    return TracedDelivery(
        at=_at(delivery),
        arrived_at=delivery.arrived_at,
        event_time=event,
        good=delivery.code is None,
        outcome=item.outcome,
        why=item.why,
        by=_at(item.by) if item.by else None,
        publication=publication.number if publication else None,
    )


def _at(delivery: Delivery) -> At:
    return At(delivery.load, *delivery.position, delivery.attempt)


def _notes(
    contract: Contract,
    decisions: Iterable[Decision],
    rows: Iterable[Mapping[str, Any]],
    loads: LoadRange | None,
) -> Iterator[str]:
    """What was not looked at, and where silver is not what the deliveries say."""
    if contract.format.compression is not None or contract.format.type == "avro":
        yield "rejects were searched for the key's plain text, which compressed ones do not have"
    kept = {item.delivery.position for item in decisions if item.outcome == "kept"}
    held = {position_of(row) for row in rows}
    if loads is not None:
        yield (
            f"only loads {loads.first} to {loads.last} were looked at; others may have "
            "deliveries of this key, which decide too"
        )
        return
    for place in sorted(kept - held):
        yield (
            f"silver lacks the row of {_spelled_place(place)}, which it should keep by contract "
            f"{contract.version}; another version decided, or rows were changed by hand"
        )
    for place in sorted(held - kept):
        yield (
            f"silver has a row of {_spelled_place(place)}, which bronze does not explain: the "
            f"delivery was erased there, or another version than {contract.version} decided"
        )


def _shown(contract: Contract, row: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        field.name: None if (value := row[field.name]) is None else _masked(field.masked, value)
        for field in contract.fields
        if field.name in row
    }


def _masked(masked: bool, value: Any) -> str:
    return MASK if masked else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _spelled(contract: Contract, key: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in _shown(contract, key).items())


def _spelled_place(place: Position) -> str:
    return f"{place.source}, {place.sequence}, {place.number}"
