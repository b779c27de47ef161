"""Reads what bronze and silver have of one key, by filters that PyIceberg prunes with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from pyiceberg import expressions
from pyiceberg.expressions import BooleanExpression
from pyiceberg.table import Table

from lakehouse.contracts.model import Contract, Field
from lakehouse.errors import InputError
from lakehouse.ingestion.ledger import LoadRange
from lakehouse.lineage.deciding import Delivery, Position
from lakehouse.tables import own_columns

# Their declared types do not fit how they are called.
_is: Final[Any] = expressions
_MOST_KEYS: Final = 100_000
"""Rows that a search by another column than the key may find."""

Key = Mapping[str, Any]
"""Values of the columns of a key, or of those that a row is searched by."""


def typed_key(contract: Contract, values: Sequence[str]) -> Key:
    """The key's values in the contract's order; InputError for another number of them."""
    names = contract.deduplicate.key
    if len(values) != len(names):
        raise InputError(
            f"{contract.dataset}: got {len(values)} values, expected those of {', '.join(names)}; "
            "or search by --where column=value"
        )
    return {
        name: _parsed(contract.field(name), text) for name, text in zip(names, values, strict=True)
    }


def typed_conditions(contract: Contract, conditions: Iterable[str]) -> Key:
    """What ``column=value`` texts say; InputError where one says nothing."""
    found: dict[str, Any] = {}
    names = {field.name for field in contract.fields}
    for text in conditions:
        name, sign, value = text.partition("=")
        if not sign or name not in names:
            raise InputError(
                f"--where {text!r}: expected column=value with one of {', '.join(sorted(names))}"
            )
        found[name] = _parsed(contract.field(name), value)
    return found


def keys_of(
    table: Table, contract: Contract, where: Key, loads: LoadRange | None
) -> list[dict[str, Any]]:
    """The keys of the good deliveries in bronze that have those values; InputError for too many."""
    condition = _is.And(matches(where, loads), _is.IsNull("_reject.code"))
    scan = table.scan(
        row_filter=condition, selected_fields=contract.deduplicate.key, limit=_MOST_KEYS
    )
    rows = scan.to_arrow().to_pylist()
    if len(rows) == _MOST_KEYS:
        raise InputError(
            f"{_MOST_KEYS:,} deliveries of {contract.dataset} or more have that; name the key, or "
            "search by more columns or in fewer --loads"
        )
    unique: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        unique.setdefault(tuple(row[name] for name in contract.deduplicate.key), row)
    return list(unique.values())


def deliveries_of(
    table: Table, contract: Contract, key: Key, loads: LoadRange | None
) -> list[Delivery]:
    """Every delivery in bronze with the key, and every other attempt at one of their positions.

    Bronze has no partition by key, so every file is looked into whose bounds do not rule the key
    out; ``loads`` bounds the files.
    """
    found = _read(table, contract, matches(key, loads))
    places = {delivery.position for delivery in found}
    if places:
        # Where an attempt is another's, one of the two is a replay's.
        attempts = _at(places) if any(d.attempt for d in found) else _replays(places)
        seen = {(d.position, d.attempt) for d in found}
        found += [
            delivery
            for delivery in _read(table, contract, attempts)
            if delivery.position in places and (delivery.position, delivery.attempt) not in seen
        ]
    return found


def silver_rows(table: Table, contract: Contract, key: Key) -> list[dict[str, Any]]:
    """The rows that a reader of silver sees of the key."""
    present = set(table.schema().column_names)
    own = [name for name, _, _ in own_columns(contract, "silver")]
    names = [n for n in (*(f.name for f in contract.fields), *own) if n in present]
    scan = table.scan(row_filter=matches(key, None), selected_fields=tuple(names))
    rows: list[dict[str, Any]] = scan.to_arrow().to_pylist()
    return rows


def matches(values: Key, loads: LoadRange | None) -> BooleanExpression:
    """The condition of rows with those values that some loads brought."""
    condition: BooleanExpression = expressions.AlwaysTrue()
    for name, value in values.items():
        condition = _is.And(condition, _is.EqualTo(name, _literal(value)))
    if loads is not None:
        condition = _is.And(
            condition,
            _is.And(
                _is.GreaterThanOrEqual("_load", loads.first),
                _is.LessThanOrEqual("_load", loads.last),
            ),
        )
    return condition


def position_of(row: Mapping[str, Any]) -> Position:
    """The position that a row of bronze or silver has."""
    return Position(row["_source"], row["_sequence"], row["_index"])


def _at(places: Iterable[Position]) -> BooleanExpression:
    found = list(places)
    sequences = tuple({place.sequence for place in found})
    numbers = tuple({place.number for place in found})
    condition: BooleanExpression = _is.And(
        _is.In("_sequence", sequences), _is.In("_index", numbers)
    )
    return condition


def _replays(places: Iterable[Position]) -> BooleanExpression:
    condition: BooleanExpression = _is.And(_is.GreaterThan("_attempt", 0), _at(places))
    return condition


def _read(table: Table, contract: Contract, condition: BooleanExpression) -> list[Delivery]:
    present = set(table.schema().column_names)
    fields = [field.name for field in contract.fields if field.name in present]
    own = ("_load", "_attempt", "_source", "_sequence", "_index", "_arrived_at", "_reject")
    scan = table.scan(row_filter=condition, selected_fields=(*fields, *own))
    return [
        Delivery(
            load=row["_load"],
            attempt=row["_attempt"],
            position=position_of(row),
            arrived_at=row["_arrived_at"],
            values={name: row[name] for name in fields},
            code=row["_reject"]["code"] if row["_reject"] else None,
        )
        for row in scan.to_arrow().to_pylist()
    ]


def _literal(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _parsed(field: Field, text: str) -> Any:
    try:
        return _PARSERS[field.type](text)
    except (ValueError, KeyError) as error:
        shown = "the value" if field.masked else repr(text)
        raise InputError(f"{field.name}: {shown} is no {field.type}") from error


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _timestamp(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a timestamp without a zone")
    return moment


_PARSERS: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": _boolean,
    "date": date.fromisoformat,
    "timestamp": _timestamp,
}
