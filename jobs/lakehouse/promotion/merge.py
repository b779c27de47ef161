"""The MERGE of an increment into silver: its condition, its pruning and what it updates.

Iceberg prunes files by literals alone: a condition on the key, or on another row's event time,
makes it scan the whole table. So the days that the increment touches are collected first and put
in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.tables import SILVER_COLUMNS

_MOST_LITERALS: Final = 100
"""Above this a predicate costs more to plan than its pruning saves: the outer range stands in."""


def silver_columns(contract: Contract) -> list[str]:
    """The names of silver's columns in order."""
    return [field.name for field in contract.fields] + [name for name, _, _ in SILVER_COLUMNS]


def pruning_field(contract: Contract) -> str | None:
    """The field whose values in an increment bound where its keys can be in the table.

    The event time where the contract bounds the comparison in days, else a partition field or the
    event time that is part of the key; None: the whole table has to be compared.
    """
    rule = contract.deduplicate
    if rule.within_days is not None and contract.event_time is not None:
        return contract.event_time
    wanted = [*(partition.field for partition in contract.partition_by), contract.event_time]
    return next((name for name in wanted if name in rule.key), None)


def pruning(contract: Contract, values: Sequence[date | str]) -> str:
    """A predicate of literals on ``t`` that every row with a key of the increment fulfils."""
    field = pruning_field(contract)
    if field is None or not values:
        return ""
    kind = contract.field(field).type
    if kind not in {"date", "timestamp"}:
        if len(values) > _MOST_LITERALS or kind != "string":
            return ""
        return f"t.`{field}` IN ({', '.join(_text(str(value)) for value in values)})"
    days = [value for value in values if isinstance(value, date)]
    ranges = _ranges(days, contract.deduplicate.within_days or 0)
    if len(ranges) > _MOST_LITERALS:
        ranges = [(ranges[0][0], ranges[-1][1])]
    literal = "TIMESTAMP '{} 00:00:00+00:00'" if kind == "timestamp" else "DATE '{}'"
    parts = [
        f"(t.`{field}` >= {literal.format(low)} AND t.`{field}` < {literal.format(high)})"
        for low, high in ranges
    ]
    return f"({' OR '.join(parts)})"


def _ranges(days: Sequence[date], slack: int) -> list[tuple[date, date]]:
    """Half-open ranges that hold every day and ``slack`` days about it."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        low, high = day - timedelta(days=slack), day + timedelta(days=slack + 1)
        if ranges and low <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return ranges


def merge_statement(contract: Contract, branch: str, view: str, predicate: str) -> str:
    """The MERGE of the view that holds the increment into a branch of silver."""
    rule = contract.deduplicate
    conditions = [f"t.`{name}` = s.`{name}`" for name in rule.key]
    event = contract.event_time
    if rule.within_days is not None and event is not None:
        bound = f"INTERVAL '{rule.within_days}' DAY"
        conditions.append(f"t.`{event}` BETWEEN s.`{event}` - {bound} AND s.`{event}` + {bound}")
    if predicate:
        conditions.append(predicate)
    columns = silver_columns(contract)
    target = f"{naming.CATALOG}.{naming.table('silver', contract.dataset)}"
    update = ""
    if rule.keep == "latest":
        newer = "s.`_load` >= t.`_load`"
        if event is not None:
            newer = (
                f"t.`{event}` IS NULL OR s.`{event}` > t.`{event}` "
                f"OR (s.`{event}` = t.`{event}` AND {newer})"
            )
        assigned = ", ".join(f"`{name}` = s.`{name}`" for name in columns)
        update = f"WHEN MATCHED AND ({newer}) THEN UPDATE SET {assigned}\n"
    return (
        f"MERGE INTO {target}.`branch_{branch}` t\n"
        f"USING `{view}` s\n"
        f"ON {' AND '.join(conditions)}\n"
        f"{update}"
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(f'`{name}`' for name in columns)})\n"
        f"VALUES ({', '.join(f's.`{name}`' for name in columns)})"
    )


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
