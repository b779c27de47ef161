"""Athena's SQL as DuckDB says it, and which tables of the catalog a statement reads."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from lakehouse.errors import InputError

METADATA_TABLES = ("snapshots", "history", "files", "manifests", "partitions", "refs")
"""The tables that Athena lists behind an Iceberg table, as ``"flights$snapshots"``."""

_QUERY_STARTS = ("SELECT", "WITH", "VALUES", "(")

_JODA = {
    "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "dd": "%d",
    "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "mm": "%M", "ss": "%S", "SSS": "%g",
    "EEEE": "%A", "EEE": "%a", "a": "%p", "DDD": "%j", "Z": "%z",
}  # fmt: skip
_JODA_TOKENS = re.compile("'([^']*)'|" + "|".join(sorted(_JODA, key=len, reverse=True)))


class TableRead(msgspec.Struct, frozen=True):
    """A table as a statement reads it: now, at a snapshot, at a time, or its metadata.

    ``at`` is a snapshot id, or a DuckDB expression for a time.
    """

    database: str
    table: str
    metadata: str = ""
    travel: Literal["", "version", "timestamp"] = ""
    at: str = ""

    @property
    def view(self) -> str:
        """Name of the view that stands for it, unique within its database."""
        return "$".join(part for part in (self.table, self.metadata, self.travel, self.at) if part)


class Plan(msgspec.Struct, frozen=True):
    """A statement for DuckDB and the views that it expects."""

    sql: str
    reads: tuple[TableRead, ...]


def plan(statement: str, database: str) -> Plan:
    """Translate one SELECT or WITH; ``database`` is meant where a table names none.

    Raises InputError for anything else and for what cannot be parsed.
    """
    query = _parse(statement)
    reads: dict[TableRead, None] = {}
    common = {id(source) for source in _common_table_uses(query)}
    for table in list(query.find_all(exp.Table)):
        if id(table) in common or not isinstance(table.this, exp.Identifier):
            continue
        read = _read(table, database)
        reads[read] = None
        alias = table.args.get("alias") or exp.TableAlias(
            this=exp.to_identifier(read.table, quoted=True)
        )
        table.args.pop("version", None)
        table.set("this", exp.to_identifier(read.view, quoted=True))
        table.set("db", exp.to_identifier(read.database, quoted=True))
        table.set("catalog", None)
        table.set("alias", alias)
    _qualified_columns(query)
    translated = query.transform(_rewrite)
    return Plan(translated.sql(dialect="duckdb"), tuple(reads))


def _parse(statement: str) -> exp.Query:
    try:
        word = _first_word(statement)
        if word not in _QUERY_STARTS:
            raise InputError(
                f"{word} is not supported by the local Athena; it answers SELECT, WITH, SHOW and "
                "DESCRIBE"
            )
        parsed = [tree for tree in sqlglot.parse(statement, read="athena") if tree is not None]
    except sqlglot.errors.ParseError as error:
        raise InputError(_first_message(error)) from error
    except sqlglot.errors.TokenError as error:
        raise InputError(f"The statement cannot be read: {error}") from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise InputError("Only one sql statement is allowed, and it has to be a query")
    return parsed[0]


def _first_word(statement: str) -> str:
    tokens = sqlglot.tokenize(statement, read="athena")
    if not tokens:
        return "An empty statement"
    # The text of a token is empty where sqlglot does not take the statement apart.
    word = re.match(r"\w+|.", statement[tokens[0].start :])
    return word[0].upper() if word else ""


def _first_message(error: sqlglot.errors.ParseError) -> str:
    if not error.errors:
        return str(error).splitlines()[0]
    first = error.errors[0]
    reason = str(first["description"]).partition(" but got <")[0]
    return f"line {first['line']}:{first['col']}: {reason} near '{first['highlight']}'"


def _common_table_uses(query: exp.Query) -> list[exp.Table]:
    """Every mention of a name that a WITH of the statement defines where it is seen."""
    uses = []
    for scope in traverse_scope(query):
        for table in scope.tables:
            if not table.db and table.name in scope.cte_sources:
                uses.append(table)  # noqa: PERF401  # two conditions over two loops read better so
    return uses


def _read(table: exp.Table, database: str) -> TableRead:
    catalog = table.catalog.lower()
    if catalog not in ("", "awsdatacatalog"):
        raise InputError(
            f"Catalog '{table.catalog}' does not exist; AwsDataCatalog is the only one"
        )
    name, _, metadata = table.name.lower().partition("$")
    if metadata and metadata not in METADATA_TABLES:
        raise InputError(
            f"'${metadata}' is not supported by the local Athena; there are "
            + ", ".join(f"${known}" for known in METADATA_TABLES)
        )
    where = (table.db or database).lower()
    if not where:
        raise InputError(f"Schema must be specified for {name}: name it, or set a database")
    version = table.args.get("version")
    if version is None:
        return TableRead(where, name, metadata)
    at = _rewrite_all(version.expression).sql(dialect="duckdb")
    return TableRead(where, name, metadata, str(version.this).lower(), at)  # type: ignore[arg-type]  # the parser knows these two only


def _qualified_columns(query: exp.Query) -> None:
    """``silver.flights.carrier`` names the table by its alias once that is a view."""
    for column in query.find_all(exp.Column):
        if column.args.get("db"):
            column.set("db", None)
            column.set("catalog", None)


def _rewrite_all(node: exp.Expression) -> exp.Expression:
    return node.copy().transform(_rewrite)


def _rewrite(node: exp.Expression) -> exp.Expression:  # noqa: PLR0911  # one return a form
    """What sqlglot leaves as it is although DuckDB calls it otherwise."""
    if isinstance(node, exp.DateDiff):
        # Athena counts whole units, DuckDB's date_diff the boundaries between them.
        unit = exp.Literal.string(node.text("unit").lower() or "day")
        return exp.Anonymous(this="date_sub", expressions=[unit, node.expression, node.this])
    if isinstance(node, exp.CountIf):
        # Over nulls alone Athena counts 0, DuckDB's count_if gives null.
        counted = exp.Case(ifs=[exp.If(this=node.this, true=exp.Literal.number(1))])
        return exp.Count(this=counted)
    if isinstance(node, exp.Unnest) and (entries := _map_entries(node)) is not None:
        return entries
    if isinstance(node, exp.Decode):
        # Athena replaces what is no UTF-8, DuckDB fails; its bytes are told as they are instead.
        plain = exp.Try(this=exp.Anonymous(this="decode", expressions=[node.this]))
        return exp.Coalesce(this=plain, expressions=[exp.cast(node.this.copy(), "varchar")])
    if isinstance(node, exp.ParseDatetime):
        pattern = exp.Literal.string(strftime_pattern(node.text("format")))
        return exp.Anonymous(this="strptime", expressions=[node.this, pattern])
    if isinstance(node, exp.Anonymous):
        name, arguments = node.name.lower(), node.expressions
        if name == "format_datetime" and len(arguments) == 2:
            pattern = exp.Literal.string(strftime_pattern(arguments[1].name))
            return exp.Anonymous(this="strftime", expressions=[arguments[0], pattern])
        if name == "at_timezone" and len(arguments) == 2:
            return exp.Paren(this=exp.AtTimeZone(this=arguments[0], zone=arguments[1]))
    return node


def _map_entries(node: exp.Unnest) -> exp.Expression | None:
    """``UNNEST(m) AS t(k, v)``, which only a map can be meant by, in DuckDB's words."""
    alias = node.args.get("alias")
    if alias is None or node.args.get("offset") or len(node.expressions) != 1:
        return None
    if len(alias.columns) != 2:
        return None
    (entries,) = node.expressions
    sides = [
        exp.alias_(
            exp.Anonymous(
                this="unnest",
                expressions=[exp.Anonymous(this=side, expressions=[entries.copy()])],
            ),
            column.name,
            quoted=True,
        )
        for side, column in zip(("map_keys", "map_values"), alias.columns, strict=True)
    ]
    return exp.Lateral(this=exp.Subquery(this=exp.Select(expressions=sides)), alias=alias.copy())


def strftime_pattern(joda: str) -> str:
    """A pattern of ``format_datetime`` (Joda) in strftime's letters."""
    return _JODA_TOKENS.sub(
        lambda found: _JODA.get(found[0]) or found[1] or "'", joda.replace("%", "%%")
    )
