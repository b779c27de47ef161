"""How a candidate of silver is written: what differs from what it holds, and only that.

What silver holds of the touched keys is read first, by literals; held against what it has to hold,
it gives the changes. So the MERGE names rows by their delivery, is pruned to the files that hold
them, and is a mere append where every row is new.
"""

# ruff: noqa: S608 - names and literals are the contract's own

from __future__ import annotations

from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.promotion.order import DELIVERY, column_names, element_names, equal, listed
from lakehouse.tables import SPARK_TYPES, is_chained


def current(contract: Contract, silver: str, region: str, keys: str) -> str:
    """SELECT of silver's rows of the keys in the view ``keys``; ``region`` as region() gives it.

    Only what decides about a row is read; the rest of it is null.
    """
    where = f"\n  WHERE {region}" if region else ""
    values = ", ".join(_known(contract, name) for name in column_names(contract))
    return (
        f"SELECT {values} FROM (\n"
        f"  SELECT * FROM {silver}{where}) t LEFT SEMI JOIN `{keys}` k\n"
        f"ON {equal(contract.deduplicate.key, 't', 'k')}"
    )


def _known(contract: Contract, name: str) -> str:
    rule = contract.deduplicate
    # Rows may be older than the contract's bound or deletes.
    if name == "_tombstone":
        return f"coalesce(t.`{name}`, false) AS `{name}`"
    if name in {"_seen_from", "_seen_to"} and is_chained(contract):
        return f"coalesce(t.`{name}`, t.`{contract.event_time}`) AS `{name}`"
    needed = {*rule.key, contract.event_time, *(p.field for p in contract.partition_by)}
    if rule.history or name.startswith("_") or name in needed:
        return f"t.`{name}`"
    return f"CAST(NULL AS {SPARK_TYPES[contract.field(name).type]}) AS `{name}`"


def all_elements(
    contract: Contract, increment: str, current: str | None, again: tuple[str, str] | None
) -> str:
    """SELECT of what the rows of the touched keys are made from.

    Views: new deliveries, silver's rows (None: it has none), and ``again``: keys that are made anew
    and all that bronze has of them.
    """
    names = listed(element_names(contract), "e")
    rest = ""
    if again is not None:
        rest = f" LEFT ANTI JOIN `{again[0]}` k ON {equal(contract.deduplicate.key, 'e', 'k')}"
    views = [increment, *([current] if current is not None else [])]
    parts = [f"SELECT {names} FROM `{view}` e{rest}" for view in views]
    if again is not None:
        parts.append(f"SELECT {names} FROM `{again[1]}` e")
    return "\nUNION ALL\n".join(parts)


def changes(contract: Contract, kept: str, current: str | None) -> str:
    """SELECT of the rows in which silver differs from the view ``kept``.

    ``_new``: the row is not there yet; ``_gone``: it is there and is to go; neither: it changes.
    """
    names = column_names(contract)
    if current is None:
        return f"SELECT {listed(names)}, true AS _new, false AS _gone FROM `{kept}`"
    differs = "".join(f" OR NOT r.`{name}` <=> c.`{name}`" for name in _derived(contract))
    return (
        f"SELECT {listed(names, 'r')}, c._load IS NULL AS _new, false AS _gone\n"
        f"FROM `{kept}` r LEFT JOIN `{current}` c ON {equal(DELIVERY, 'r', 'c')}\n"
        f"WHERE c._load IS NULL{differs}\n"
        "UNION ALL\n"
        f"SELECT {listed(names, 'c')}, false AS _new, true AS _gone\n"
        f"FROM `{current}` c LEFT ANTI JOIN `{kept}` r ON {equal(DELIVERY, 'c', 'r')}"
    )


def insert_statement(contract: Contract, branch: str, changes: str) -> str:
    """The INSERT of changes that are all new into a branch of silver."""
    names = listed(column_names(contract))
    return f"INSERT INTO {_target(contract, branch)} ({names})\nSELECT {names} FROM `{changes}`"


def merge_statement(contract: Contract, branch: str, changes: str, files: str) -> str:
    """The MERGE of changes into a branch of silver.

    ``files`` is a predicate of literals on ``t`` that the rows fulfil which are there.
    """
    names = column_names(contract)
    condition = equal(DELIVERY, "t", "s") + (f" AND {files}" if files else "")
    assigned = ", ".join(f"`{name}` = s.`{name}`" for name in _derived(contract))
    update = f"WHEN MATCHED THEN UPDATE SET {assigned}\n" if assigned else ""
    return (
        f"MERGE INTO {_target(contract, branch)} t\n"
        f"USING `{changes}` s\n"
        f"ON {condition}\n"
        "WHEN MATCHED AND s._gone THEN DELETE\n"
        f"{update}"
        f"WHEN NOT MATCHED THEN INSERT ({listed(names)})\n"
        f"VALUES ({listed(names, 's')})"
    )


def _derived(contract: Contract) -> list[str]:
    """The columns in which a row changes while it stands for the same delivery."""
    deliveries_own = {*(field.name for field in contract.fields), *DELIVERY, "_tombstone"}
    return [name for name in column_names(contract) if name not in deliveries_own]


def _target(contract: Contract, branch: str) -> str:
    return f"{naming.CATALOG}.{naming.table('silver', contract.dataset)}.`branch_{branch}`"
