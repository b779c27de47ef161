"""What bronze says now: of each position the newest attempt, and good rows as silver's elements.

``loads`` and ``settled`` are predicates on bronze: of the loads to read, and of all loads that
silver holds or is to hold by this candidate.
"""

# ruff: noqa: S608 - names and literals are the contract's own

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from lakehouse.contracts.model import Contract, Deletes
from lakehouse.promotion.order import POSITION, element_names, equal, listed, text
from lakehouse.tables import SPARK_TYPES, is_chained

_SPANS: Final = 20
"""Most ranges of loads in a predicate; beyond it their list says which are meant."""


def in_loads(loads: Iterable[int]) -> str:
    """The predicate of some loads, as ranges where they are few, so that files are pruned."""
    spans: list[tuple[int, int]] = []
    for load in sorted(set(loads)):
        if spans and load == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], load)
        else:
            spans.append((load, load))
    if not spans:
        return "false"
    if len(spans) <= _SPANS:
        return f"({' OR '.join(f'_load BETWEEN {low} AND {high}' for low, high in spans)})"
    every = ", ".join(str(load) for load in sorted(set(loads)))
    return f"(_load BETWEEN {spans[0][0]} AND {spans[-1][1]} AND _load IN ({every}))"


def past_and(loads: Collection[int], promoted: int, without: Collection[int]) -> str:
    """The predicate of the loads up to ``promoted`` but for those ``without``, and of ``loads``."""
    past = f"_load <= {promoted}"
    if without:
        past += f" AND NOT {in_loads(without)}"
    return f"(({past}) OR {in_loads(loads)})"


def replayed_positions(bronze: str, settled: str) -> str:
    """SELECT of the positions that were replayed, each with its newest attempt.

    Files of other loads have no attempt above 0, so only those of replays are read.
    """
    return (
        f"SELECT {listed(POSITION)}, max(_attempt) AS _newest FROM {bronze}\n"
        f"WHERE _attempt > 0 AND {settled} GROUP BY {listed(POSITION)}"
    )


def newest_attempts(bronze: str, loads: str, settled: str | None) -> str:
    """SELECT of the deliveries of ``loads`` that count; ``settled`` None: nothing was replayed."""
    if settled is None:
        return f"SELECT * FROM {bronze} WHERE {loads}"
    return (
        f"SELECT d.* FROM (SELECT * FROM {bronze} WHERE {loads}) d LEFT JOIN (\n"
        f"{replayed_positions(bronze, settled)}) n\n"
        f"ON {equal(POSITION, 'd', 'n')}\n"
        "WHERE n._newest IS NULL OR n._newest <= d._attempt"
    )


def elements(contract: Contract, known: Collection[str], deliveries: str) -> str:
    """SELECT of silver's elements from the good ones of the deliveries.

    ``known`` are the columns that bronze has; a field that it lacks is null.
    """
    computed = {
        "_tombstone": _is_delete(contract.deduplicate.deletes),
        "_seen_from": f"`{contract.event_time}`",
        "_seen_to": f"`{contract.event_time}`" if is_chained(contract) else _version(contract),
        "_valid_from": _version(contract),
    }
    values = {f.name: _value(contract, f.name, known) for f in contract.fields} | computed
    columns = ", ".join(
        f"{values[name]} AS `{name}`" if name in values else f"`{name}`"
        for name in element_names(contract)
    )
    return f"SELECT {columns} FROM (\n{deliveries})\nWHERE _reject IS NULL"


def superseded_keys(contract: Contract, bronze: str, loads: str, settled: str) -> str:
    """SELECT of the keys that lose a good delivery of an earlier load to a replay in ``loads``."""
    return (
        f"SELECT DISTINCT {listed(contract.deduplicate.key, 'd')} FROM (\n"
        f"SELECT * FROM {bronze} WHERE {settled} AND NOT {loads} AND _reject IS NULL) d JOIN (\n"
        f"{replayed_positions(bronze, loads)}) n\n"
        f"ON {equal(POSITION, 'd', 'n')}\n"
        "WHERE d._attempt < n._newest"
    )


def of_keys(contract: Contract, deliveries: str, keys: str) -> str:
    """SELECT of those of the deliveries that have a key in the view ``keys``."""
    return (
        f"SELECT d.* FROM (\n{deliveries}) d LEFT SEMI JOIN `{keys}` k\n"
        f"ON {equal(contract.deduplicate.key, 'd', 'k')}"
    )


def _value(contract: Contract, name: str, known: Collection[str]) -> str:
    rule = contract.deduplicate
    if name not in known:
        return f"CAST(NULL AS {SPARK_TYPES[contract.field(name).type]})"
    if rule.deletes is None or name in {*rule.key, contract.event_time}:
        return f"`{name}`"
    return f"CASE WHEN NOT {_is_delete(rule.deletes)} THEN `{name}` END"


def _is_delete(rule: Deletes | None) -> str:
    if rule is None:
        return "false"
    values = ", ".join(map(text, rule.values))
    return f"coalesce(CAST(`{rule.field}` AS STRING) IN ({values}), false)"


def _version(contract: Contract) -> str:
    return (
        f"coalesce(`{contract.event_time}`, _arrived_at)" if contract.event_time else "_arrived_at"
    )
