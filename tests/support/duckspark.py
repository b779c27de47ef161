"""The little of a Spark session that refining needs, over DuckDB: the same SQL in milliseconds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import duckdb
import sqlglot


@lru_cache(maxsize=4096)
def in_duckdb(statement: str) -> str:
    """A statement of Spark's SQL in DuckDB's."""
    (text,) = sqlglot.transpile(statement, read="spark", write="duckdb")
    return text


class Rows:
    """The result of a SELECT, as a table of its own."""

    def __init__(self, session: DuckSpark, name: str) -> None:
        self._session = session
        self.name = name

    def localCheckpoint(self) -> Rows:  # noqa: N802 - Spark's name
        return self

    def createTempView(self, name: str) -> None:  # noqa: N802 - Spark's name
        self._session.run(f'CREATE VIEW "{name}" AS SELECT * FROM "{self.name}"')

    def isEmpty(self) -> bool:  # noqa: N802 - Spark's name
        return not self.collect()

    def collect(self) -> list[dict[str, Any]]:
        return self._session.rows(f'SELECT * FROM "{self.name}"')

    @property
    def columns(self) -> list[str]:
        found = self._session.run(f'SELECT * FROM "{self.name}" LIMIT 0').description
        return [column[0] for column in found or []]


class DuckSpark:
    """A session over an empty DuckDB of its own."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.run("SET TimeZone = 'UTC'")
        self.catalog = self
        self._made = 0

    def sql(self, statement: str) -> Rows:
        self._made += 1
        name = f"rows_{self._made}"
        self.run(f'CREATE TABLE "{name}" AS {in_duckdb(statement)}')
        return Rows(self, name)

    def table(self, name: str) -> Rows:
        return Rows(self, name.strip("`"))

    def dropTempView(self, name: str) -> None:  # noqa: N802 - Spark's name
        self.run(f'DROP VIEW "{name}"')

    def run(self, statement: str, values: Any = None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(statement, values)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        found = self.run(statement)
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def as_spark(self) -> Any:
        return cast("Any", self)
