"""DuckDB over the tables of the Glue catalog: what a statement reads becomes a view for it."""

from __future__ import annotations

import base64
import itertools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakehouse.errors import EstateError, InputError
from localaws.athenatext import duckdb_type
from localaws.dialect import Plan, TableRead, plan

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.table import StaticTable

# iceberg reads manifests by avro; aws is not needed as the key is given.
_EXTENSIONS = ("httpfs", "avro", "iceberg")


class Lake:
    """The catalog and the storage that queries run over."""

    def __init__(self, glue: Any, emulator_url: str, region: str) -> None:
        """``glue`` is a boto3 client; the storage is reached at the emulator's own address."""
        self._glue = glue
        self._emulator_url = emulator_url
        self._region = region

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one query, with UTC and Athena's integer division."""
        import duckdb

        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        for name in _EXTENSIONS:
            connection.execute(f"LOAD '{_extension(name, duckdb.__version__)}'")
        connection.execute("SET TimeZone = 'UTC'; SET integer_division = true")
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION '{self._region}', "
            f"ENDPOINT '{urlsplit(self._emulator_url).netloc}', URL_STYLE 'path', USE_SSL false)"
        )
        return connection

    def prepare(self, connection: duckdb.DuckDBPyConnection, statement: str, database: str) -> str:
        """Make the views that a statement needs; the statement for DuckDB.

        Raises InputError for a statement, a table or a snapshot that there is not.
        """
        planned = plan(statement, database)
        self._make_views(connection, planned, depth=0)
        return planned.sql

    def _make_views(self, connection: duckdb.DuckDBPyConnection, planned: Plan, depth: int) -> None:
        if depth > 10:
            raise InputError("Views are nested more than 10 deep; does one read itself?")
        for read in planned.reads:
            source = self._source(connection, read, depth)
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{read.database}"')
            connection.execute(
                f"CREATE OR REPLACE VIEW {quoted(read.database)}.{quoted(read.view)} AS {source}"
            )

    def _source(self, connection: duckdb.DuckDBPyConnection, read: TableRead, depth: int) -> str:
        table = self._table(read)
        parameters = table.get("Parameters", {})
        if parameters.get("table_type", "").upper() == "ICEBERG":
            return self._iceberg(connection, read, parameters["metadata_location"])
        if read.metadata or read.travel:
            raise InputError(f"{read.database}.{read.table} is not an Iceberg table")
        if table.get("TableType") == "VIRTUAL_VIEW":
            view = plan(_view_sql(table), read.database)
            self._make_views(connection, view, depth + 1)
            return view.sql
        return _files(connection, table)

    def _table(self, read: TableRead) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._glue.get_table(
                DatabaseName=read.database, Name=read.table
            )["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            raise InputError(
                f"TABLE_NOT_FOUND: Table 'awsdatacatalog.{read.database}.{read.table}' does not "
                "exist"
            ) from None
        return found

    def _iceberg(
        self, connection: duckdb.DuckDBPyConnection, read: TableRead, metadata: str
    ) -> str:
        if not (read.metadata or read.travel):
            return _select("*", f"iceberg_scan({literal(metadata)})")
        from pyiceberg.table import StaticTable

        table = StaticTable.from_metadata(
            metadata,
            {
                "s3.endpoint": self._emulator_url,
                "s3.access-key-id": "test",
                "s3.secret-access-key": "test",
                "s3.region": self._region,
            },
        )
        if read.metadata:
            name = f"{read.database}.{read.view}"
            connection.register(name, getattr(table.inspect, read.metadata)())
            return _select("*", quoted(name))
        snapshot = _snapshot_at(connection, table, read)
        pinned = f"snapshot_from_id = {snapshot}::UBIGINT"
        return _select("*", f"iceberg_scan({literal(metadata)}, {pinned})")


def _select(columns: str, source: str) -> str:
    return f"SELECT {columns} FROM {source}"  # noqa: S608  # every part is quoted by the caller


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _extension(name: str, version: str) -> Path:
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise EstateError(
            f"the DuckDB extension {name} is not installed; run `pip install 'lakehouse[local]'`"
        )
    return Path(spec.origin).parent / "extensions" / f"v{version}" / f"{name}.duckdb_extension"


def _snapshot_at(connection: duckdb.DuckDBPyConnection, table: StaticTable, read: TableRead) -> int:
    label = f"{read.database}.{read.table}"
    kind = "UBIGINT" if read.travel == "version" else "TIMESTAMPTZ"
    row = connection.execute(f"SELECT ({read.at})::{kind}").fetchone()
    at = row[0] if row else None
    if read.travel == "version":
        snapshot = table.snapshot_by_id(int(at)) if at is not None else None
    else:
        snapshot = table.snapshot_as_of_timestamp(int(at.timestamp() * 1000)) if at else None
    if snapshot is None:
        raise InputError(f"No version history table {label} at or before {at}")
    return snapshot.snapshot_id


def _view_sql(table: dict[str, Any]) -> str:
    """The SELECT inside a view that Athena (Presto) has made."""
    text = str(table.get("ViewOriginalText", ""))
    encoded = text.removeprefix("/* Presto View: ").removesuffix(" */")
    return str(json.loads(base64.b64decode(encoded))["originalSql"])


def _files(connection: duckdb.DuckDBPyConnection, table: dict[str, Any]) -> str:
    """A table over plain files, JSON or Parquet, in Hive's partition folders or projected ones."""
    storage = table["StorageDescriptor"]
    library = storage.get("SerdeInfo", {}).get("SerializationLibrary", "").lower()
    columns = {c["Name"]: duckdb_type(c["Type"]) for c in storage["Columns"]}
    partitions = {key["Name"]: duckdb_type(key["Type"]) for key in table.get("PartitionKeys", [])}
    if "json" not in library and "parquet" not in library:
        raise InputError(
            f"{table['Name']}: the local Athena reads Iceberg, JSON and Parquet tables, not "
            f"{library or 'a table without a serialization library'}"
        )
    empty = [f"NULL::{kind} AS {quoted(name)}" for name, kind in (columns | partitions).items()]
    reads = [f"SELECT {', '.join(empty)} WHERE false"]
    if table.get("Parameters", {}).get("projection.enabled") == "true":
        for values, location in projected(table):
            if found := _found(connection, location):
                own = [quoted(name) for name in columns]
                own += [f"{literal(values[n])}::{k} AS {quoted(n)}" for n, k in partitions.items()]
                reads.append(_select(", ".join(own), _reader(library, columns, found)))
    elif found := _found(connection, storage["Location"]):
        hive = ""
        if partitions:
            inner = ", ".join(f"{quoted(name)}: {kind}" for name, kind in partitions.items())
            hive = f", hive_partitioning = true, hive_types = {{{inner}}}"
        names = ", ".join(quoted(name) for name in (*columns, *partitions))
        reads.append(_select(names, _reader(library, columns, found, hive)))
    return " UNION ALL ".join(reads)


def projected(table: dict[str, Any]) -> list[tuple[dict[str, str], str]]:
    """Each partition that partition projection makes up, and where its files are.

    InputError for a projection other than of type ``enum``.
    """
    parameters = table["Parameters"]
    choices: dict[str, list[str]] = {}
    for key in (key["Name"] for key in table["PartitionKeys"]):
        kind = parameters.get(f"projection.{key}.type")
        if kind != "enum":
            raise InputError(
                f"{table['Name']}: the local Athena projects partitions of type enum, not {kind}"
            )
        choices[key] = str(parameters[f"projection.{key}.values"]).split(",")
    folders = "/".join(f"{key}=${{{key}}}" for key in choices)
    location = str(table["StorageDescriptor"]["Location"]).rstrip("/")
    template = parameters.get("storage.location.template", f"{location}/{folders}/")
    found = []
    for values in itertools.product(*choices.values()):
        partition = dict(zip(choices, values, strict=True))
        place = template
        for key, value in partition.items():
            place = place.replace(f"${{{key}}}", value)
        found.append((partition, place))
    return found


def _found(connection: duckdb.DuckDBPyConnection, location: str) -> list[str]:
    pattern = literal(location.rstrip("/") + "/**")
    rows = connection.execute(_select("file", f"glob({pattern}) ORDER BY file")).fetchall()
    return [str(file) for (file,) in rows]


def _reader(library: str, columns: dict[str, str], files: list[str], hive: str = "") -> str:
    listed = f"[{', '.join(map(literal, files))}]"
    if "parquet" in library:
        return f"read_parquet({listed}{hive})"
    inner = ", ".join(f"{quoted(name)}: {literal(kind)}" for name, kind in columns.items())
    return f"read_json({listed}, columns = {{{inner}}}{hive})"
