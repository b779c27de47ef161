"""Some of the rows that break a check, for whoever has to decide on a candidate.

Soda counts bad rows and shows none. Values of classified fields are masked, so that a verdict can
be shown to whoever may see its counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.promotion.soda import Rendered
from lakehouse.promotion.verdict import Sample

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MASK: Final = "•••"
_ROWS: Final = 20
"""Most rows that are kept of one check."""
_POSITION: Final = ("_load", "_source", "_sequence", "_index")


def offending(
    spark: SparkSession, contract: Contract, table: str, where: str, check: Rendered
) -> tuple[Sample, ...]:
    """Rows of ``table``, those of the predicate ``where``, that break a check, in a stable order.

    Nothing for a check that concerns no single rows.
    """
    every = spark.table(table)
    rows = _bad(every.where(where) if where else every, check)
    if rows is None:
        return ()
    shown = [field for field in contract.fields if field.name in rows.columns]
    order = [name for name in (*_POSITION, *contract.deduplicate.key) if name in rows.columns]
    texts = [f"CAST(`{name}` AS string) AS `{name}`" for name in rows.columns]
    found = rows.orderBy(*order).limit(_ROWS).selectExpr(*texts).collect()
    return tuple(
        _sample(
            row.asDict(),
            {f.name: MASK if f.masked and row[f.name] is not None else row[f.name] for f in shown},
        )
        for row in found
    )


def _sample(row: dict[str, str | None], values: dict[str, str | None]) -> Sample:
    load, index = row.get("_load"), row.get("_index")
    return Sample(
        values=values,
        load=None if load is None else int(load),
        source=row.get("_source"),
        sequence=row.get("_sequence"),
        index=None if index is None else int(index),
    )


def _bad(rows: DataFrame, check: Rendered) -> DataFrame | None:
    settings = check.settings
    if own := settings.get("filter"):
        rows = rows.where(str(own))
    if check.kind == "failed_rows":
        if "expression" in settings:
            return rows.where(str(settings["expression"]))
        return rows.sparkSession.sql(str(settings["query"])) if "query" in settings else None
    if check.kind == "duplicate":
        return _duplicates(rows, settings.get("columns") or [check.column])
    if check.kind == "missing":
        return rows.where(_missing(check))
    if check.kind == "invalid":
        return (
            _strangers(rows, check) if "valid_reference_data" in settings else _invalid(rows, check)
        )
    return None


def _duplicates(rows: DataFrame, columns: list[Any]) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    times = f.count(f.lit(1)).over(Window.partitionBy(*columns))
    return rows.withColumn("_times", times).where("_times > 1").drop("_times")


def _missing(check: Rendered) -> str:
    also = check.settings.get("missing_values") or []
    listed = f" OR `{check.column}` IN ({', '.join(map(_literal, also))})" if also else ""
    return f"`{check.column}` IS NULL{listed}"


def _strangers(rows: DataFrame, check: Rendered) -> DataFrame:
    """Rows whose value is not among those that it refers to."""
    target = check.settings["valid_reference_data"]
    known = rows.sparkSession.table(str(target["dataset"]).replace("/", "."))
    there = known.selectExpr(f"`{target['column']}` AS `{check.column}`")
    return rows.where(f"`{check.column}` IS NOT NULL").join(there, str(check.column), "left_anti")


_RULES: Final[dict[str, Callable[[str, Any], str]]] = {
    "valid_values": lambda c, v: f"{c} NOT IN ({', '.join(map(_literal, v))})",
    "invalid_values": lambda c, v: f"{c} IN ({', '.join(map(_literal, v))})",
    "valid_min": lambda c, v: f"{c} < {v}",
    "valid_max": lambda c, v: f"{c} > {v}",
    "valid_length": lambda c, v: f"length({c}) <> {v}",
    "valid_min_length": lambda c, v: f"length({c}) < {v}",
    "valid_max_length": lambda c, v: f"length({c}) > {v}",
    "valid_format": lambda c, v: f"NOT ({c} RLIKE {_literal(v['regex'])})",
    "invalid_format": lambda c, v: f"{c} RLIKE {_literal(v['regex'])}",
}


def _invalid(rows: DataFrame, check: Rendered) -> DataFrame | None:
    column = f"`{check.column}`"
    broken = [rule(column, check.settings[n]) for n, rule in _RULES.items() if n in check.settings]
    return rows.where(" OR ".join(f"({part})" for part in broken)) if broken else None


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def branch_table(contract: Contract, branch: str) -> str:
    """Spark's name of a branch of the contract's checked table."""
    table = naming.table(contract.checked_layer, contract.dataset)
    return f"{naming.CATALOG}.{table}.`branch_{branch}`"
