"""The SELECT of a mart: what it reads, how it is read at fixed snapshots, which columns it gives.

It is written in what Athena's SQL and Spark's have in common and parsed as Athena's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from lakehouse import naming
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import ContractError
from lakehouse.marts.dialect import check_dialect
from lakehouse.tables import SPARK_TYPES

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def inputs_of(mart: str, sql: str) -> tuple[str, ...]:
    """The tables a SELECT reads, such as ``silver.flights``, in name order.

    Raises ContractError when it is not one SELECT over ``<layer>.<dataset>`` names.
    """
    tree = parse(mart, sql)
    tables = {
        f"{table.db}.{table.name}" if not table.catalog else table.sql() for table in _tables(tree)
    }
    for name in tables:
        layer, _, dataset = name.partition(".")
        if layer not in {"silver", "gold"} or not dataset or "." in dataset:
            raise ContractError(
                f"marts/{mart}.sql reads {name!r}; expected names such as silver.flights"
            )
    if not tables:
        raise ContractError(f"marts/{mart}.sql reads no table; a mart is made from silver")
    return tuple(sorted(tables))


def pinned(
    mart: str, sql: str, inputs: Mapping[str, int], where: Mapping[str, str] | None = None
) -> str:
    """The SELECT in Spark's dialect with every input read at its snapshot.

    ``where`` has predicates in Spark's dialect, by table, of the rows that it reads; it may name
    tables that are not read.
    """
    tree = parse(mart, sql)
    for table in _tables(tree):
        name = f"{table.db}.{table.name}"
        alias = table.alias or table.name
        source: exp.Expression = exp.to_table(f"{naming.CATALOG}.{name}", dialect="spark")
        source.set(
            "version",
            exp.Version(this="VERSION", kind="AS OF", expression=exp.Literal.number(inputs[name])),
        )
        if predicate := (where or {}).get(name):
            rows = exp.select("*").from_(source).where(predicate, dialect="spark")
            table.replace(rows.subquery(alias))
        else:
            table.replace(exp.alias_(source, alias, table=True))
    return tree.sql(dialect="spark")


def check_select(mart: str, sql: str, contract: Contract, contracts: Contracts) -> tuple[str, ...]:
    """What the SELECT reads, in name order, once everything is seen to fit that tells without data.

    Raises ContractError where it is not one SELECT over tables that contracts declare, does not
    read an input that the contract lists, cannot be built in part by it, or says what Athena and
    Spark do not understand alike.
    """
    names = inputs_of(mart, sql)
    tree = parse(mart, sql)
    known = {f"{c.checked_layer}.{c.dataset}": c for c in contracts.values()}
    if missing := [name for name in names if name not in known]:
        raise ContractError(
            f"marts/{mart}.sql reads {', '.join(missing)}; {contracts.origin} has "
            f"{', '.join(known)}"
        )
    if f"gold.{mart}" in names:
        raise ContractError(f"marts/{mart}.sql reads gold.{mart}, which it makes; read its inputs")
    if contract.inputs:
        _check_parts(contract, names, tree, known)
    types: dict[str, set[str]] = {}
    for name in names:
        for field in known[name].fields:
            types.setdefault(field.name, set()).add(field.type)
    plain = {field: next(iter(kinds)) for field, kinds in types.items() if len(kinds) == 1}
    check_dialect(mart, sql, tree, plain)
    return names


def _check_parts(
    contract: Contract, names: tuple[str, ...], tree: exp.Query, known: Mapping[str, Contract]
) -> None:
    path = contract.path or contract.dataset
    for item in contract.inputs:
        if item.table not in names:
            raise ContractError(
                f"{path}: inputs names {item.table}, which marts/{contract.dataset}.sql does not "
                f"read; it reads {', '.join(names)}"
            )
        kind = known[item.table].field(item.field).type
        if kind not in {"date", "timestamp"}:
            raise ContractError(
                f"{path}: inputs names {item.table} by {item.field!r}, a {kind}; expected a date "
                "or timestamp"
            )
    (partition,) = contract.partition_by
    kind = contract.field(partition.field).type
    if kind != "date" and (kind != "timestamp" or partition.transform == "identity"):
        raise ContractError(
            f"{path}: inputs needs partitions of whole days, got {partition.transform}"
            f"({partition.field}) of a {kind}; expected a date, or day, month or year of a "
            "timestamp"
        )
    if tree.args.get("limit") or tree.args.get("offset"):
        raise ContractError(
            f"marts/{contract.dataset}.sql limits its rows, which no part can do by itself; "
            f"remove the limit, or inputs in {path}"
        )


def check_columns(contract: Contract, schema: StructType) -> None:
    """ContractError unless a SELECT gives just the contract's columns, in order and type."""
    given = [f"{field.name} {field.dataType.simpleString()}" for field in schema.fields]
    wanted = [f"{field.name} {SPARK_TYPES[field.type]}" for field in contract.fields]
    found = [
        f"column {number} is {have!r} instead of {want!r}"
        for number, (have, want) in enumerate(
            zip_longest(given, wanted, fillvalue="nothing"), start=1
        )
        if have != want
    ]
    if found:
        raise ContractError(
            f"marts/{contract.dataset}.sql does not give the columns of "
            f"{contract.path or 'its contract'}: {'; '.join(found)}"
        )


def parse(mart: str, sql: str) -> exp.Query:
    """The SELECT as Athena's dialect reads it; ContractError where it does not."""
    try:
        statements = [tree for tree in sqlglot.parse(sql, dialect="athena") if tree is not None]
    except sqlglot.errors.ParseError as error:
        first = error.errors[0]
        reason = str(first["description"]).partition(" but got <")[0]
        raise ContractError(
            f"marts/{mart}.sql: not Athena's SQL: line {first['line']}, column {first['col']}: "
            f"{reason} near {first['highlight']!r}"
        ) from error
    except sqlglot.errors.TokenError as error:
        raise ContractError(
            f"marts/{mart}.sql: not Athena's SQL: {' '.join(str(error).split())}"
        ) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ContractError(f"marts/{mart}.sql: expected one SELECT and nothing else")
    return statements[0]


def _tables(tree: exp.Query) -> Iterator[exp.Table]:
    """The tables that are read, without the names of the SELECT's own WITH clauses."""
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if table.db or table.name not in own:
            yield table
