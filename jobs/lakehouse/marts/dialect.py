"""What a mart's SELECT may not say: what Athena lacks, or what it means otherwise than Spark.

A mart is built by Spark; whoever runs its SELECT in Athena has to get the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from lakehouse.errors import ContractError

_ONLY_SPARK: Final = {
    "add_months": "date_add('month', n, d)",
    "collect_list": "array_agg(x) FILTER (WHERE x IS NOT NULL) outside of marts",
    "collect_set": "array_agg(DISTINCT x) outside of marts",
    "datediff": "date_diff('day', from, to)",
    "date_sub": "d - INTERVAL '1' DAY",
    "explode": "CROSS JOIN UNNEST(x) AS t(y)",
    "first": "min_by(x, y)",
    "get_json_object": "json_extract_scalar(x, '$.y')",
    "ifnull": "coalesce(x, y)",
    "instr": "strpos(x, y)",
    "isnull": "x IS NULL",
    "last": "max_by(x, y)",
    "len": "length(x)",
    "nvl": "coalesce(x, y)",
    "nvl2": "CASE WHEN x IS NULL THEN z ELSE y END",
    "percentile": "avg, min, max or count_if",
    "size": "cardinality(x)",
    "to_date": "CAST(x AS date)",
    "to_timestamp": "CAST(x AS timestamp)",
    "trunc": "date_trunc('month', x)",
    "unix_timestamp": "to_unixtime(x)",
}
"""Functions of Spark that Athena lacks, or has under the same name for something else."""

_OTHERWISE: Final[Mapping[str, tuple[str, str]]] = {
    "approx_distinct": ("estimates otherwise in Spark", "count(DISTINCT x)"),
    "approx_percentile": ("estimates otherwise in Spark", "avg, min, max or count_if"),
    "arbitrary": ("takes any row, another one each time", "min(x) or max(x)"),
    "any_value": ("takes any row, another one each time", "min(x) or max(x)"),
    "array_agg": ("keeps nulls in Athena, drops them in Spark", "an aggregate of one value"),
    "day_of_week": (
        "counts from Monday in Athena, from Sunday in Spark",
        "date_diff('day', date_trunc('week', d), d) + 1",
    ),
    "dow": (
        "counts from Monday in Athena, from Sunday in Spark",
        "date_diff('day', date_trunc('week', d), d) + 1",
    ),
    "greatest": ("is null with any null in Athena, skips nulls in Spark", "CASE WHEN"),
    "least": ("is null with any null in Athena, skips nulls in Spark", "CASE WHEN"),
    "now": ("gives another mart each time", "a column of the inputs"),
    "current_date": ("gives another mart each time", "a column of the inputs"),
    "current_timestamp": ("gives another mart each time", "a column of the inputs"),
    "localtimestamp": ("gives another mart each time", "a column of the inputs"),
    "rand": ("gives another mart each time", "a column of the inputs"),
    "random": ("gives another mart each time", "a column of the inputs"),
    "uuid": ("gives another mart each time", "a key of the inputs"),
}
_TOLD: Final = _ONLY_SPARK.keys() | _OTHERWISE.keys()
_WITHOUT_BRACKETS: Final = frozenset({"current_date", "current_timestamp", "localtimestamp"})
_WHOLE: Final = frozenset({"bigint", "int", "smallint", "tinyint"})
_SAFE_AS_TEXT: Final = frozenset({"string", "integer", "date", "boolean"})
_SAFE_AS_WHOLE: Final = frozenset({"string", "integer", "boolean"})


def check_dialect(mart: str, sql: str, tree: exp.Query, types: Mapping[str, str]) -> None:
    """ContractError naming everything that Athena would not do as Spark does, with line and column.

    ``types`` are the logical types of the inputs' fields that have the same one wherever they are.
    """
    found = sorted({*_names(sql), *_nodes(sql, tree, types)})
    if found:
        told = "; ".join(f"line {line}, column {column}: {what}" for line, column, what in found)
        raise ContractError(f"marts/{mart}.sql does not mean the same in Athena and Spark: {told}")


def _names(sql: str) -> Iterator[tuple[int, int, str]]:
    tokens = sqlglot.tokenize(sql, read="athena")
    for number, token in enumerate(tokens):
        name = token.text.lower()
        after = tokens[number + 1].token_type if number + 1 < len(tokens) else None
        before = tokens[number - 1].token_type if number else None
        called = after == TokenType.L_PAREN or name in _WITHOUT_BRACKETS
        extracted = name == "dow" and after == TokenType.FROM
        if not (called or extracted) or before == TokenType.DOT:
            continue
        where = (token.line, token.col - len(token.text) + 1)
        if name in _ONLY_SPARK:
            yield (*where, f"Athena has no such {name}(); write {_ONLY_SPARK[name]}")
        elif name in _OTHERWISE:
            why, instead = _OTHERWISE[name]
            yield (*where, f"{name} {why}; write {instead}")


def _nodes(sql: str, tree: exp.Query, types: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    for node in tree.walk():
        what = _trap(node, types)
        if what:
            yield (*_position(sql, node), what)


def _trap(node: exp.Expr, types: Mapping[str, str]) -> str | None:  # noqa: PLR0911 - a trap each
    if isinstance(node, exp.Div):
        if "number" not in {_type(node.this, types), _type(node.expression, types)}:
            return (
                "the division of integers is whole in Athena and not in Spark; write "
                "CAST(x AS double) / y"
            )
    elif isinstance(node, exp.Cast):
        to, given = node.to.sql(dialect="athena").lower(), _type(node.this, types)
        if to.startswith("varchar") and given not in _SAFE_AS_TEXT:
            return "a number or time as text is written otherwise in Spark; keep it as it is"
        if to in _WHOLE and given not in _SAFE_AS_WHOLE:
            return "CAST to an integer rounds in Athena and cuts off in Spark; write floor(x)"
    elif isinstance(node, exp.DateDiff) and not node.args.get("unit"):
        return "date_diff without a unit is not Athena's; write date_diff('day', from, to)"
    elif isinstance(node, exp.DateAdd) and _type(node.this, types) != "date":
        return "date_add drops the time of day in Spark; write x + INTERVAL '1' DAY"
    elif isinstance(node, exp.AtTimeZone):
        parent = node.parent
        cast = parent.parent if isinstance(parent, exp.Paren) else parent
        if not (isinstance(cast, exp.Cast) and cast.to.is_type("date")):
            return (
                "AT TIME ZONE is another instant in Spark; write CAST(x AT TIME ZONE 'zone' AS "
                "date)"
            )
    elif isinstance(node, exp.Anonymous) and node.name.lower() not in _TOLD:
        return f"{node.name.lower()}() is not known to be the same in both; write it otherwise"
    return None


def _type(node: exp.Expr, types: Mapping[str, str]) -> str:  # noqa: PLR0911 - a kind each
    """The logical type of an expression, empty where it is not plain to see."""
    if isinstance(node, exp.Paren | exp.Nullif | exp.Neg | exp.Sum | exp.Max | exp.Min):
        return _type(node.this, types)
    if isinstance(node, exp.Column):
        return types.get(node.name.lower(), "")
    if isinstance(node, exp.Avg):
        return "number"
    if isinstance(node, exp.Count | exp.CountIf | exp.Length | exp.DateDiff):
        return "integer"
    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "integer" if node.is_int else "number"
    if isinstance(node, exp.Cast):
        if node.to.is_type("double", "float", "decimal"):
            return "number"
        kinds = {"date": "date", "varchar": "string", "boolean": "boolean", "timestamp": ""}
        to = node.to.sql(dialect="athena").lower()
        return "integer" if to in _WHOLE else kinds.get(to, "")
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
        sides = {_type(node.this, types), _type(node.expression, types)}
        return "number" if "number" in sides else sides.pop() if len(sides) == 1 else ""
    return ""


def _position(sql: str, node: exp.Expr) -> tuple[int, int]:
    """Line and column of the first word of an expression, counted from 1."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    before = sql[: min(starts)] if starts else ""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
