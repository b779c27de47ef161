"""The SELECT of a mart: what it reads, how it is read at fixed snapshots, which columns it gives.

It is written in what Athena's SQL and Spark's have in common and parsed as Athena's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError
from lakehouse.tables import SPARK_TYPES

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def inputs_of(mart: str, sql: str) -> tuple[str, ...]:
    """The tables a SELECT reads, such as ``silver.flights``, in name order.

    Raises ContractError when it is not one SELECT over ``<layer>.<dataset>`` names.
    """
    tree = _parse(mart, sql)
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


def pinned(mart: str, sql: str, inputs: Mapping[str, int]) -> str:
    """The SELECT in Spark's dialect with every input read at its snapshot."""
    tree = _parse(mart, sql)
    for table in _tables(tree):
        name = f"{table.db}.{table.name}"
        alias = table.alias or table.name
        source = exp.to_table(f"{naming.CATALOG}.{name}", dialect="spark")
        source.set(
            "version",
            exp.Version(this="VERSION", kind="AS OF", expression=exp.Literal.number(inputs[name])),
        )
        table.replace(exp.alias_(source, alias, table=True))
    return tree.sql(dialect="spark")


def check_columns(contract: Contract, schema: StructType) -> None:
    """ContractError unless a SELECT gives just the contract's columns, in order and type."""
    given = [f"{field.name} {field.dataType.simpleString()}" for field in schema.fields]
    wanted = [f"{field.name} {SPARK_TYPES[field.type]}" for field in contract.fields]
    for number in range(max(len(given), len(wanted))):
        have = given[number] if number < len(given) else "nothing"
        want = wanted[number] if number < len(wanted) else "nothing"
        if have != want:
            raise ContractError(
                f"marts/{contract.dataset}.sql gives {have!r} as column {number + 1}; "
                f"{contract.path or 'the contract'} has {want!r} there"
            )


def _parse(mart: str, sql: str) -> exp.Query:
    try:
        statements = [tree for tree in sqlglot.parse(sql, dialect="athena") if tree is not None]
    except sqlglot.errors.ParseError as error:
        raise ContractError(f"marts/{mart}.sql: not SQL: {' '.join(str(error).split())}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ContractError(f"marts/{mart}.sql: expected one SELECT and nothing else")
    return statements[0]


def _tables(tree: exp.Query) -> Iterator[exp.Table]:
    """The tables that are read, without the names of the SELECT's own WITH clauses."""
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if table.db or table.name not in own:
            yield table
