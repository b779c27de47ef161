"""Where in silver the rows of some keys can be: predicates of literals, by which Iceberg prunes.

A condition on the key, or on another row's event time, makes it read the whole table. So the days
that an increment touches are collected first and put in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Final

from lakehouse.contracts.model import Contract
from lakehouse.promotion.order import text
from lakehouse.promotion.progress import Touched
from lakehouse.tables import is_chained

Value = date | str | None
_MOST_LITERALS: Final = 100
"""Above this a predicate costs more to plan than its pruning saves: the outer range stands in."""
_Ranges = list[tuple[date, date | None]]
"""Half-open; None: to the end of time, as there is no day after 9999-12-31."""


def bounding_field(contract: Contract) -> str | None:
    """The field whose values in an increment bound where rows of its keys are in silver.

    The event time where the contract bounds the comparison in days, else a partition field or the
    event time that is part of the key; None: they can be anywhere.
    """
    if is_chained(contract):
        return contract.event_time
    key = contract.deduplicate.key
    wanted = [*(partition.field for partition in contract.partition_by), contract.event_time]
    return next((name for name in wanted if name in key), None)


def day_field(contract: Contract) -> str | None:
    """The field whose days tell where rows changed: the event time, else a partition's."""
    partitions = [p.field for p in contract.partition_by if _has_days(contract, p.field)]
    return contract.event_time or next(iter(partitions), None)


def file_field(contract: Contract) -> str | None:
    """The field by whose values the files of known rows are found: a partition's, if any."""
    fields = [*(partition.field for partition in contract.partition_by), contract.event_time]
    return next(iter(field for field in fields if field is not None), None)


def value_of(contract: Contract, field: str) -> str:
    """The expression for a field's value as the functions here take it."""
    return f"to_date(`{field}`)" if _has_days(contract, field) else f"CAST(`{field}` AS STRING)"


def region(contract: Contract, values: Collection[Value]) -> str:
    """What every row of silver fulfils whose key came with those values of the bounding field.

    Empty where nothing bounds them.
    """
    field = bounding_field(contract)
    if field is None or not values:
        return ""
    if not is_chained(contract):
        return within(contract, field, values)
    ranges = _ranges(_days(values), contract.deduplicate.within_days or 0)
    parts = [_overlaps("`_seen_from`", "`_seen_to`", low, high) for low, high in ranges]
    # Rows from before the contract had the bound stand for themselves alone.
    alone = [_holds(f"`{field}`", "timestamp", low, high) for low, high in ranges]
    if None in values:
        alone.append(f"`{field}` IS NULL")
    return f"({' OR '.join([*parts, f'(`_seen_from` IS NULL AND {_either(alone)})'])})"


def within(contract: Contract, field: str, values: Collection[Value], alias: str = "") -> str:
    """That a field has one of the values, or a value on one of the days; empty: not worth it."""
    kind = contract.field(field).type
    column = f"{alias}.`{field}`" if alias else f"`{field}`"
    parts = [f"{column} IS NULL"] if None in values else []
    if _has_days(contract, field):
        parts += [_holds(column, kind, low, high) for low, high in _ranges(_days(values), 0)]
    else:
        texts = sorted(value for value in values if isinstance(value, str))
        if kind != "string" or len(texts) > _MOST_LITERALS:
            return ""
        parts += [f"{column} IN ({', '.join(map(text, texts))})"] if texts else []
    return _either(parts)


def touched(field: str | None, days: Collection[Value]) -> Touched | None:
    """The ranges of the days of a field; None where a row without one changed."""
    if field is None or None in days:
        return None
    ranges = _merged(_days(days), 0)
    if any(high is None for _, high in ranges):
        return None
    return Touched(field, tuple((low.isoformat(), str(high)) for low, high in ranges))


def _has_days(contract: Contract, field: str) -> bool:
    return contract.field(field).type in {"date", "timestamp"}


def _days(values: Collection[Value]) -> list[date]:
    return sorted(value for value in values if isinstance(value, date))


def _ranges(days: Sequence[date], slack: int) -> _Ranges:
    """Ranges that hold every day and ``slack`` days about it, not too many of them."""
    ranges = _merged(days, slack)
    return ranges if len(ranges) <= _MOST_LITERALS else [(ranges[0][0], ranges[-1][1])]


def _merged(days: Sequence[date], slack: int) -> _Ranges:
    ranges: _Ranges = []
    for day in days:
        low = day - min(timedelta(days=slack), day - date.min)
        far = date.max - day <= timedelta(days=slack)
        high = None if far else day + timedelta(days=slack + 1)
        last = ranges[-1] if ranges else None
        if last is not None and (last[1] is None or low <= last[1]):
            ranges[-1] = (last[0], high)
        else:
            ranges.append((low, high))
    return ranges


def _holds(column: str, kind: str, low: date, high: date | None) -> str:
    upper = "" if high is None else f" AND {column} < {_literal(kind, high)}"
    return f"({column} >= {_literal(kind, low)}{upper})"


def _overlaps(start: str, end: str, low: date, high: date | None) -> str:
    upper = "" if high is None else f" AND {start} < {_literal('timestamp', high)}"
    return f"({end} >= {_literal('timestamp', low)}{upper})"


def _literal(kind: str, day: date) -> str:
    return f"TIMESTAMP '{day} 00:00:00+00:00'" if kind == "timestamp" else f"DATE '{day}'"


def _either(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})" if parts else ""
