"""Compares what the platform made with what pandas expects, row by row, by real clients.

Bronze and silver are read with PyIceberg, gold with boto3's Athena and counted with PyIceberg.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from demo.expect import Deliveries, Expected
from demo.rules import KEYS
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.errors import EstateError
from lakehouse.naming import Layer
from lakehouse.tables import load_table

_TOLERANCE: Final = 1e-9
"""Relative; sums of floating point numbers depend on their order."""
_SAMPLES: Final = 3
_ATHENA_SECONDS: Final = 120.0
_POSITION: Final = ("_source", "_sequence", "_index")


class Figure(NamedTuple):
    """One figure as the platform has it and as pandas has it."""

    name: str
    platform: Any
    pandas: Any
    samples: tuple[str, ...] = ()
    """Some of the rows that differ."""

    @property
    def equal(self) -> bool:
        """Whether the two agree, in every row where the figure stands for rows."""
        return bool(self.platform == self.pandas) and not self.samples


def reconcile(aws: Aws, expected: Expected, acknowledged: int, set_aside: int) -> list[Figure]:
    """Every figure of every layer.

    ``acknowledged`` is how many flights the stream took, ``set_aside`` how many loads of weather
    silver has to be without.
    """
    figures = [
        Figure("flights acknowledged by the stream", acknowledged, expected.bronze["flights"].total)
    ]
    for dataset, deliveries in expected.bronze.items():
        columns = [*_POSITION, "_reject", "_load"]
        figures += compare_bronze(dataset, _scan(aws, "bronze", dataset, columns), deliveries)
    for dataset, rows in expected.silver.items():
        silver = _scan(aws, "silver", dataset, list(rows.columns))
        figures.append(compare_rows(f"silver.{dataset}", silver.to_pandas(), rows, KEYS[dataset]))
    figures.append(Figure("loads of weather set aside", len(loads_set_aside(aws)), set_aside))
    for mart, rows in expected.gold.items():
        by_athena = athena(aws, f"SELECT {', '.join(rows.columns)} FROM gold.{mart}")  # noqa: S608 - names of our own
        figures.append(compare_rows(f"gold.{mart}", by_athena, rows, KEYS[mart]))
        counted = _scan(aws, "gold", mart, list(KEYS[mart])).num_rows
        figures.append(Figure(f"gold.{mart}: rows by PyIceberg", counted, len(rows)))
    return figures


def compare_bronze(dataset: str, bronze: pa.Table, expected: Deliveries) -> Iterator[Figure]:
    """Counts of deliveries: all, at distinct positions, good, and rejected by reason."""
    codes = pc.struct_field(bronze["_reject"], "code")
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(codes).to_pylist()}
    good = counts.pop(None, 0)
    positions = bronze.select(_POSITION).group_by(list(_POSITION)).aggregate([]).num_rows
    name = f"bronze.{dataset}"
    yield Figure(f"{name}: deliveries", bronze.num_rows, expected.total)
    yield Figure(f"{name}: distinct positions", positions, expected.total)
    yield Figure(f"{name}: good", good, expected.good)
    for code in sorted({*counts, *expected.rejected}):
        yield Figure(
            f"{name}: rejected, {code}", counts.get(code, 0), expected.rejected.get(code, 0)
        )


def compare_rows(
    name: str, platform: pd.DataFrame, expected: pd.DataFrame, key: Sequence[str]
) -> Figure:
    """Rows against rows: keys, texts and counts exactly, other numbers to 1e-9 of their size."""
    ours = _plain(platform[list(expected.columns)], key)
    theirs = _plain(expected, key)
    samples = [f"twice: {_show(key, row)}" for row in ours.index[ours.index.duplicated()].unique()]
    if samples:
        return Figure(name, len(platform), len(expected), tuple(samples[:_SAMPLES]))
    samples += [f"unexpected: {_show(key, k)}" for k in ours.index.difference(theirs.index)]
    samples += [f"absent: {_show(key, k)}" for k in theirs.index.difference(ours.index)]
    both = theirs.index.intersection(ours.index)
    ours, theirs = ours.loc[both], theirs.loc[both]
    for column in theirs.columns:
        mine, other = ours[column], theirs[column]
        samples += [
            f"{_show(key, k)}: {column} is {mine.loc[k]}, pandas has {other.loc[k]}"
            for k in both[~_same(mine, other)][:_SAMPLES]
        ]
    return Figure(name, len(platform), len(expected), tuple(samples[:_SAMPLES]))


def loads_set_aside(aws: Aws) -> list[Mapping[str, Any]]:
    """What silver's weather says of the loads that it is without."""
    table = load_table(aws, "silver", "weather")
    said = table.properties.get("lakehouse.set-aside", "[]") if table else "[]"
    loads: list[Mapping[str, Any]] = json.loads(said)
    return loads


def athena(aws: Aws, query: str) -> pd.DataFrame:
    """The result of a query through Athena; EstateError says why it failed."""
    client = aws.client("athena")
    run = client.start_query_execution(
        QueryString=query, WorkGroup=naming.workgroup(aws.prefix, "engineer")
    )
    execution = run["QueryExecutionId"]
    deadline = time.monotonic() + _ATHENA_SECONDS
    while True:
        status = client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in {"FAILED", "CANCELLED"} or time.monotonic() > deadline:
            raise EstateError(
                f"Athena ended {query!r} as {status['State']}: "
                f"{status.get('StateChangeReason', f'no answer in {_ATHENA_SECONDS:.0f} s')}"
            )
        time.sleep(0.1)
    pages = client.get_paginator("get_query_results").paginate(QueryExecutionId=execution)
    rows: list[list[str | None]] = []
    columns: list[Mapping[str, Any]] = []
    for page in pages:
        columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        rows += [
            [cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]
        ]
    # The first row of the first page names the columns.
    frame = pd.DataFrame(rows[1:], columns=[column["Name"] for column in columns])
    for column in columns:
        if column["Type"] in {"bigint", "integer", "double", "float"}:
            frame[column["Name"]] = pd.to_numeric(frame[column["Name"]])
    return frame


def _scan(aws: Aws, layer: Layer, dataset: str, columns: Sequence[str]) -> pa.Table:
    table = load_table(aws, layer, dataset)
    if table is None:
        raise EstateError(
            f"there is no table {layer}.{dataset}; the job that makes it did not run to its end"
        )
    return table.scan(selected_fields=tuple(columns)).to_arrow()


def _plain(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Numbers as float, all else as text, absent as NaN or None; by key."""
    plain = pd.DataFrame({name: _plain_column(frame[name]) for name in frame.columns})
    return plain.set_index(list(key)).sort_index()


def _plain_column(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        texts = values.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return _none_where_absent(texts, values)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64")
    return _none_where_absent(values.map(str), values)


def _none_where_absent(texts: pd.Series, values: pd.Series) -> pd.Series:
    kept: pd.Series = texts.astype(object).where(values.notna(), None)
    return kept


def _same(ours: pd.Series, theirs: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(ours.dtype) and pd.api.types.is_numeric_dtype(theirs.dtype):
        close = np.isclose(
            ours.to_numpy(float), theirs.to_numpy(float), _TOLERANCE, 0.0, equal_nan=True
        )
        return np.asarray(close, bool)
    return np.asarray((ours == theirs) | (ours.isna() & theirs.isna()), bool)


def _show(key: Sequence[str], values: object) -> str:
    parts = values if isinstance(values, tuple) else (values,)
    return ", ".join(f"{name} {part}" for name, part in zip(key, parts, strict=True))
