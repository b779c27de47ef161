"""Which of two deliveries of a key comes first: the same answer however the loads are cut.

Arrival is load, then position. Nothing here depends on when a load was promoted, so that one which
was set aside and is taken in later has the place that it would have had.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lakehouse.contracts.model import Contract
from lakehouse.tables import own_columns

POSITION: Final = ("_source", "_sequence", "_index")
DELIVERY: Final = ("_load", *POSITION)
"""What tells a delivery from every other one, also from another attempt at its position."""
# Sequence numbers are decimal texts of some 56 digits: the longer one is the greater one.
ARRIVAL: Final = ("_load", "_source", "length(_sequence)", "_sequence", "_index")


def listed(names: Iterable[str], alias: str = "") -> str:
    """Columns as a list in SQL, of the table of that alias."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f"{prefix}`{name}`" for name in names)


def equal(names: Iterable[str], left: str, right: str) -> str:
    """That two tables agree in columns that are never null."""
    return " AND ".join(f"{left}.`{name}` = {right}.`{name}`" for name in names)


def text(value: str) -> str:
    """A text as a literal of Spark's SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def column_names(contract: Contract) -> list[str]:
    """The columns of silver in order."""
    own = [name for name, _, _ in own_columns(contract, "silver")]
    return [field.name for field in contract.fields] + own


def element_names(contract: Contract) -> list[str]:
    """The columns by which rows of silver and new deliveries are held against each other.

    Those of silver but for what follows from the neighbours of a version.
    """
    return [name for name in column_names(contract) if name not in {"_valid_to", "_current"}]


def newest_arrival() -> str:
    """ORDER BY with the newest arrival first."""
    return ", ".join(f"{term} DESC" for term in ARRIVAL)


def kept_first(contract: Contract) -> str:
    """ORDER BY with the delivery that the contract keeps first.

    ``first``: the earliest arrival. ``latest``: the newest event time, then the newest arrival.
    """
    if contract.deduplicate.keep == "first":
        return ", ".join(ARRIVAL)
    event = f"`{contract.event_time}` DESC NULLS LAST, " if contract.event_time else ""
    return event + newest_arrival()
