"""How figures and commands are written on a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lakehouse import naming
from lakehouse.promotion.verdict import Sample, Verdict

_EXACT: Final = 2**53
_CONFUSING: Final = frozenset('"$`\\!')
"""Characters that a shell takes for its own between double quotes."""


def delivery(verdict: Verdict, sample: Sample) -> str | None:
    """The command that shows the delivery a sample row came from; None where it has no position."""
    if sample.source is None or sample.sequence is None or sample.load is None:
        return None
    position = {
        "_load": str(sample.load),
        "_source": _literal(sample.source),
        "_sequence": _literal(sample.sequence),
        **({} if sample.index is None else {"_index": str(sample.index)}),
    }
    where = " AND ".join(f"{name} = {value}" for name, value in position.items())
    table = naming.table("bronze", verdict.dataset)
    return _command(f"SELECT * FROM {table} WHERE {where}")  # noqa: S608  # shown, never run here


def as_of(table: str, snapshot_id: int) -> str:
    """The command that counts a table's rows as they were at a snapshot."""
    return _command(f"SELECT count(*) FROM {table} FOR VERSION AS OF {snapshot_id}")  # noqa: S608  # shown, never run here


def number(value: float | None) -> str:
    """A number as people read it, to six digits."""
    if value is None:
        return "nothing"
    if float(value).is_integer() and abs(value) < _EXACT:
        return f"{int(value):,}".replace("-", "\N{MINUS SIGN}")
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.3g}%"


def utc(at: datetime) -> str:
    """A time in UTC to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in order with neighbours joined, such as ``0 to 11, 14``."""
    found: list[list[int]] = []
    for value in sorted(numbers):
        if found and value == found[-1][-1] + 1:
            found[-1][1:] = [value]
        else:
            found.append([value])
    return ", ".join(" to ".join(f"{end:,}" for end in part) for part in found)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _command(sql: str) -> str:
    argument = shlex.quote(sql) if _CONFUSING & set(sql) else f'"{sql}"'
    return f"lakehouse sql {argument}"
