"""Values and types as Athena spells them in its results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_TYPES = {
    "VARCHAR": "varchar",
    "BOOLEAN": "boolean",
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "UINTEGER": "bigint",
    "UBIGINT": "bigint",
    "HUGEINT": "bigint",  # DuckDB widens sums of bigint, Athena does not
    "FLOAT": "float",
    "DOUBLE": "double",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "INTERVAL": "interval day to second",
    "BLOB": "varbinary",
    "UUID": "uuid",
    "JSON": "json",
}
_HIVE_TO_DUCKDB = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "float": "FLOAT",
    "binary": "BLOB",
    "timestamp": "TIMESTAMP",
}


def athena_type(duckdb_type: str) -> str:
    """Athena's name of a DuckDB type; nested ones by their outermost name alone, as Athena does."""
    if duckdb_type.endswith("]"):
        return "array"
    head = duckdb_type.partition("(")[0].strip()
    return {"STRUCT": "row", "MAP": "map", "DECIMAL": "decimal"}.get(
        head, _TYPES.get(duckdb_type, "varchar")
    )


def duckdb_type(hive_type: str) -> str:
    """DuckDB's spelling of a column type of the Glue catalog (``array<struct<a:string>>``)."""
    kind = hive_type.strip().lower()
    if kind.startswith("array<"):
        return duckdb_type(kind[6:-1]) + "[]"
    if kind.startswith("map<"):
        key, value = _split(kind[4:-1])
        return f"MAP({duckdb_type(key)}, {duckdb_type(value)})"
    if kind.startswith("struct<"):
        fields = (field.partition(":") for field in _split(kind[7:-1]))
        return "STRUCT(" + ", ".join(f'"{n}" {duckdb_type(t)}' for n, _, t in fields) + ")"
    if kind.startswith(("varchar", "char")):
        return "VARCHAR"
    return _HIVE_TO_DUCKDB.get(kind, kind.upper())


def _split(inside: str) -> list[str]:
    """Parts between the commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(inside):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(inside[start:position])
            start = position + 1
    return [*parts, inside[start:]]


def text(value: Any) -> str | None:  # noqa: PLR0911  # one line a type
    """A value as text; None stays None (a null has no text)."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex(" ")
    if isinstance(value, dict):
        inner = (f"{key}={_inner(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inner(item) for item in value) + "]"
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)


def _inner(value: Any) -> str:
    written = text(value)
    return "null" if written is None else written


def _double(value: float) -> str:
    """As Java writes it: 1.0E10, and never 1e+10."""
    written = repr(value)
    special = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    if written in special:
        return special[written]
    if value and not 1e-3 <= abs(value) < 1e7:
        digits, _, exponent = f"{Decimal(written).normalize():E}".partition("E")
        return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"
    return written


def _timestamp(value: datetime) -> str:
    written = value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if value.tzinfo is None:
        return written[:-3] if value.microsecond % 1000 == 0 else written
    return f"{written} {value.tzname() or value.strftime('%z')}"


def _interval(value: timedelta) -> str:
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{value.days} {hours:02}:{minutes:02}:{seconds:02}.{value.microseconds // 1000:03}"


def csv_text(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    """A result as Athena's CSV: every value quoted, a null left out entirely."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        if None in row:
            out.write(",".join("" if v is None else _quoted(v) for v in row) + "\n")
        else:
            writer.writerow(row)
    return out.getvalue()


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
