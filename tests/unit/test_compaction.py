from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    DayTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    YearTransform,
)
from pyiceberg.types import (
    DateType,
    IcebergType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from lakehouse.maintenance.compact import SmallFiles, predicate, within_bounds


def table_by(kind: IcebergType, transform: Transform[Any, Any]) -> Any:
    schema = Schema(NestedField(1, "at", kind, required=False))
    spec = PartitionSpec(
        PartitionField(source_id=1, field_id=1000, transform=transform, name="part")
    )
    return SimpleNamespace(schema=lambda: schema, spec=lambda: spec)


@pytest.mark.parametrize(
    ("kind", "transform", "value", "expected"),
    [
        (
            TimestamptzType(),
            DayTransform(),
            date(2024, 2, 29),
            "`at` >= TIMESTAMP '2024-02-29 00:00:00' AND `at` < TIMESTAMP '2024-03-01 00:00:00'",
        ),
        (DateType(), DayTransform(), 0, "`at` >= DATE '1970-01-01' AND `at` < DATE '1970-01-02'"),
        (
            DateType(),
            MonthTransform(),
            11,
            "`at` >= DATE '1970-12-01' AND `at` < DATE '1971-01-01'",
        ),
        (
            DateType(),
            MonthTransform(),
            -1,
            "`at` >= DATE '1969-12-01' AND `at` < DATE '1970-01-01'",
        ),
        (DateType(), YearTransform(), 43, "`at` >= DATE '2013-01-01' AND `at` < DATE '2014-01-01'"),
        (StringType(), IdentityTransform(), "it's", "`at` = 'it\\'s'"),
        (LongType(), IdentityTransform(), 7, "`at` = 7"),
        (DateType(), IdentityTransform(), date(2024, 1, 2), "`at` = DATE '2024-01-02'"),
        (
            TimestamptzType(),
            IdentityTransform(),
            datetime(2024, 1, 2, 3, tzinfo=UTC),
            "`at` = TIMESTAMP '2024-01-02 03:00:00.000000'",
        ),
        (DateType(), DayTransform(), None, "`at` IS NULL"),
    ],
)
def test_a_partition_is_named_by_literals(
    kind: IcebergType, transform: Transform[Any, Any], value: object, expected: str
) -> None:
    assert predicate(table_by(kind, transform), {"part": value}) == expected


def test_a_run_rewrites_a_bounded_amount_and_at_least_one_partition() -> None:
    found = [SmallFiles({"part": n}, 10 - n, size) for n, size in enumerate((50, 30, 30, 1))]

    assert within_bounds(found, 90) == found[:2]
    assert within_bounds(found, 10) == found[:1]
    assert within_bounds(found, 1000) == found
    assert within_bounds([], 10) == []
