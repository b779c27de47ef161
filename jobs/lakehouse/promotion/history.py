"""What silver keeps beside the newest state of a key: tombstones and earlier versions.

A version is a run of deliveries that say the same of a key. Its row comes from the first of them,
``_valid_from`` is that one's time, and ``_seen_to`` the time of the last.
"""

# ruff: noqa: S608 - names and literals are the contract's own

from __future__ import annotations

from lakehouse.contracts.model import Contract
from lakehouse.promotion.order import column_names, listed, newest_arrival


def live_predicate(contract: Contract) -> str:
    """The predicate of the rows that are no tombstones; empty where a contract has none.

    Rows from before the contract had deletes say nothing, and are there.
    """
    return "coalesce(_tombstone, false) = false" if contract.deduplicate.deletes is not None else ""


def unique_key(contract: Contract) -> tuple[str, ...]:
    """The columns by which silver's rows are unique."""
    key = contract.deduplicate.key
    return (*key, "_valid_from") if contract.deduplicate.history else key


def state_columns(contract: Contract) -> tuple[str, ...]:
    """What two versions of a key differ in: all of its fields but those that say when."""
    told = {*contract.deduplicate.key, contract.event_time}
    fields = tuple(field.name for field in contract.fields if field.name not in told)
    return (*fields, "_tombstone") if contract.deduplicate.deletes is not None else fields


def versions(contract: Contract, elements: str) -> str:
    """SELECT of all versions of the keys in the view ``elements``.

    An element is a run of deliveries between ``_valid_from`` and ``_seen_to``. Of several at one
    time the newest arrival counts.
    """
    key = listed(contract.deduplicate.key)
    in_time = f"PARTITION BY {key} ORDER BY _valid_from"
    computed = {"_valid_to", "_current", "_seen_to"}
    columns = [name for name in column_names(contract) if name not in computed]
    same = (f"`{name}` <=> lag(`{name}`) OVER in_time" for name in state_columns(contract))
    alike = " AND ".join(("lag(_load) OVER in_time IS NOT NULL", *same))
    live = " AND NOT _tombstone" if contract.deduplicate.deletes is not None else ""
    return (
        f"SELECT {listed(columns)}, _valid_to, _valid_to IS NULL{live} AS _current, _seen_to\n"
        "FROM (\n"
        f"  SELECT {listed(columns)}, _last AS _seen_to,\n"
        f"    lead(_valid_from) OVER ({in_time}) AS _valid_to\n"
        "  FROM (\n"
        f"    SELECT *, max(_reach) OVER (PARTITION BY {key}, _run) AS _last FROM (\n"
        f"      SELECT *, sum(_begins)\n"
        f"        OVER ({in_time} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS _run\n"
        "      FROM (\n"
        f"        SELECT *, CASE WHEN {alike} THEN 0 ELSE 1 END AS _begins FROM (\n"
        f"          SELECT *, max(_seen_to) OVER (PARTITION BY {key}, _valid_from) AS _reach,\n"
        f"            row_number() OVER (PARTITION BY {key}, _valid_from\n"
        f"              ORDER BY {newest_arrival()}) AS _rank\n"
        f"          FROM `{elements}`)\n"
        "        WHERE _rank = 1\n"
        f"        WINDOW in_time AS ({in_time}))))\n"
        "  WHERE _begins = 1)"
    )


def undecided_keys(contract: Contract, increment: str, current: str) -> str:
    """SELECT of the keys whose versions silver alone does not tell.

    Something else came for a time within a run: when the run's own deliveries were before and
    after it, only bronze knows. So it is with rows from before the contract had a history.
    """
    key = contract.deduplicate.key
    same = " AND ".join(f"i.`{name}` <=> t.`{name}`" for name in state_columns(contract))
    joined = " AND ".join(f"i.`{name}` = t.`{name}`" for name in key)
    return (
        f"SELECT DISTINCT {listed(key, 'i')}\n"
        f"FROM `{increment}` i JOIN `{current}` t ON {joined}\n"
        "WHERE t._seen_to IS NULL OR (t._valid_from < t._seen_to\n"
        "  AND i._valid_from BETWEEN t._valid_from AND t._seen_to\n"
        f"  AND NOT ({same or 'true'}))"
    )
