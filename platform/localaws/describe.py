"""SHOW and DESCRIBE, answered from the Glue catalog."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lakehouse.errors import InputError

_NAME = r"[`\"]?(?P<{0}>[\w$]+)[`\"]?"
_TABLE = rf"(?:{_NAME.format('database')}\.)?{_NAME.format('table')}"
_FORMS = {
    "databases": r"SHOW\s+(?:DATABASES|SCHEMAS)(?:\s+LIKE\s+'(?P<like>[^']*)')?",
    "tables": r"SHOW\s+(?P<kind>TABLES|VIEWS)(?:\s+IN\s+"
    + _NAME.format("database")
    + r")?(?:\s+(?:LIKE\s+)?'(?P<like>[^']*)')?",
    "columns": rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_TABLE}",
    "describe": rf"(?:DESCRIBE|DESC)\s+(?:FORMATTED\s+|EXTENDED\s+)?{_TABLE}",
}
_PATTERNS = {form: re.compile(text + r"\s*;?\s*\Z", re.IGNORECASE) for form, text in _FORMS.items()}


class Answer(msgspec.Struct, frozen=True):
    """Names, Athena's types and rows of a statement's result."""

    names: list[str]
    types: list[str]
    rows: list[list[str | None]]


def is_about_catalog(statement: str) -> bool:
    """Whether a statement asks the catalog rather than the data."""
    return bool(re.match(r"\s*(SHOW|DESCRIBE|DESC)\b", statement, re.IGNORECASE))


def answer(statement: str, database: str, glue: Any) -> Answer:
    """The result of a SHOW or DESCRIBE; raises InputError for forms or names there are not."""
    for form, pattern in _PATTERNS.items():
        if match := pattern.match(statement.strip()):
            given = match.groupdict()
            where = (given.get("database") or database).lower()
            if form == "databases":
                names = [item["Name"] for item in _all(glue, "get_databases", "DatabaseList")]
                return _listed("database_name", names, given["like"])
            if not where:
                raise InputError("Database must be specified: name it, or set a database")
            if form == "tables":
                found = _all(glue, "get_tables", "TableList", DatabaseName=where)
                if given["kind"].upper() == "VIEWS":
                    found = [table for table in found if table.get("TableType") == "VIRTUAL_VIEW"]
                return _listed("tab_name", [table["Name"] for table in found], given["like"])
            return _columns(form, where, given["table"].lower(), glue)
    raise InputError(
        f"{' '.join(statement.split())[:60]!r} is not supported by the local Athena; there are "
        "SHOW DATABASES, SHOW TABLES, SHOW VIEWS, SHOW COLUMNS IN and DESCRIBE"
    )


def _listed(column: str, names: list[str], like: str | None) -> Answer:
    if like is not None:
        pattern = re.compile(like.replace("*", ".*").replace("%", ".*") + r"\Z", re.IGNORECASE)
        names = [name for name in names if pattern.match(name)]
    return Answer([column], ["string"], [[name] for name in sorted(names)])


def _columns(form: str, database: str, name: str, glue: Any) -> Answer:
    try:
        table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    except glue.exceptions.EntityNotFoundException:
        raise InputError(f"Table not found {database}.{name}") from None
    columns = [*table.get("StorageDescriptor", {}).get("Columns", [])]
    columns += table.get("PartitionKeys", [])
    if form == "columns":
        return Answer(["field"], ["string"], [[column["Name"]] for column in columns])
    rows: list[list[str | None]] = [
        [column["Name"], column.get("Type", ""), column.get("Comment", "")] for column in columns
    ]
    return Answer(["col_name", "data_type", "comment"], ["string"] * 3, rows)


def _all(glue: Any, operation: str, key: str, **arguments: str) -> list[dict[str, Any]]:
    try:
        pages = glue.get_paginator(operation).paginate(**arguments)
        return [item for page in pages for item in page[key]]
    except glue.exceptions.EntityNotFoundException:
        raise InputError(f"Database {arguments.get('DatabaseName')} not found") from None
