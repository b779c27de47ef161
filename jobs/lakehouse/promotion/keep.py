"""Which rows silver keeps of all that is known of its keys.

Everything here is a SELECT over *elements*: rows of silver and new deliveries alike, so that an
increment gives what one computation over all deliveries would have given.
"""

# ruff: noqa: S608 - names and literals are the contract's own

from __future__ import annotations

from lakehouse.contracts.model import Contract
from lakehouse.promotion.history import versions
from lakehouse.promotion.order import DELIVERY, column_names, kept_first, listed
from lakehouse.tables import is_chained


def kept(contract: Contract, elements: str) -> str:
    """SELECT of the rows that silver has to hold for the keys in the view ``elements``."""
    if contract.deduplicate.history:
        return versions(contract, elements)
    if is_chained(contract):
        return _one_a_chain(contract, elements)
    key = listed(contract.deduplicate.key)
    return (
        f"SELECT {listed(column_names(contract))} FROM (\n"
        f"  SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {kept_first(contract)})"
        " AS _rank\n"
        f"  FROM `{elements}`)\n"
        "WHERE _rank = 1"
    )


def _one_a_chain(contract: Contract, elements: str) -> str:
    """One row for each chain of deliveries that follow one another within the bound.

    An element stands for deliveries between ``_seen_from`` and ``_seen_to``; chains depend on
    nothing else, so a late delivery can lengthen one or join two.
    """
    key = listed(contract.deduplicate.key)
    # Rows without event time are told apart by nothing: they are one chain.
    line = f"PARTITION BY {key}, _seen_from IS NULL"
    in_time = f"{line} ORDER BY _seen_from, {listed(DELIVERY)}"
    chain = f"{line}, _chain"
    columns = [n for n in column_names(contract) if n not in {"_seen_from", "_seen_to"}]
    bound = f"INTERVAL '{contract.deduplicate.within_days}' DAY"
    return (
        f"SELECT {listed(columns)}, _first AS _seen_from, _last AS _seen_to FROM (\n"
        f"  SELECT *, row_number() OVER ({chain} ORDER BY {kept_first(contract)}) AS _rank,\n"
        f"    min(_seen_from) OVER ({chain}) AS _first, max(_seen_to) OVER ({chain}) AS _last\n"
        "  FROM (\n"
        f"    SELECT *, sum(CASE WHEN _seen_from > _reach + {bound} THEN 1 ELSE 0 END)\n"
        f"      OVER ({in_time} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS _chain\n"
        "    FROM (\n"
        f"      SELECT *, max(_seen_to)\n"
        f"        OVER ({in_time} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _reach\n"
        f"      FROM `{elements}`)))\n"
        "WHERE _rank = 1"
    )
