"""In which partitions of a mart the changed days of its inputs count, and what these read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lakehouse.contracts.model import Contract, Contracts
from lakehouse.marts import days
from lakehouse.marts.changes import days_of_rows, known_days
from lakehouse.marts.days import Ranges
from lakehouse.marts.plan import Plan
from lakehouse.promotion.progress import Touched

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Parts(msgspec.Struct, frozen=True):
    """Whole partitions of a mart.

    ``where`` is their predicate on the mart, ``regions`` those of the rows of each listed input
    that count in them: all of literals, by which Iceberg leaves files unread.
    """

    touched: Touched
    where: str
    regions: dict[str, str]


def parts_of(
    spark: SparkSession, contract: Contract, contracts: Contracts, made: Plan
) -> Parts | None:
    """The partitions to be made anew, none where no day changed; None for the whole mart."""
    (partition,) = contract.partition_by
    listed = {item.table: item for item in contract.inputs}
    found: Ranges = ()
    try:
        for change in made.changed:
            item = listed[change.table]
            changed = known_days(item, change)
            if changed is None:
                source = contracts[change.table.partition(".")[2]]
                changed = days_of_rows(spark, item, change, source)
            if changed is None:
                return None
            found = days.merged((*found, *days.widened(changed, item.slack_days)))
        ranges = days.partitions(found, partition.transform)
        regions = {
            item.table: days.predicate(
                item.field,
                contracts[item.table.partition(".")[2]].field(item.field).type,
                days.widened(ranges, item.slack_days),
            )
            for item in contract.inputs
        }
    except (OverflowError, ValueError):
        # A partition that holds the calendar's first or last day has no bound to be told by.
        return None
    kind = contract.field(partition.field).type
    where = days.predicate(partition.field, kind, ranges)
    return Parts(Touched(partition.field, days.as_texts(ranges)), where, regions)
