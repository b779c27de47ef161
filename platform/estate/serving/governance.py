"""The history of the gates in Athena: tables over the verdicts and approvals, a view of checks.

Verdicts and approvals are JSON objects that jobs write once. The tables only say how to read them:
their columns are the fields of the structures that are written, and partition projection finds a
dataset's objects, so nothing has to be registered when one is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import pulumi
import pulumi_aws as aws

from estate.serving.athenatypes import columns, presto_view
from lakehouse import naming
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import Verdict

if TYPE_CHECKING:
    from estate.config import StackConfig

DATABASE: Final = "governance"
_PARTITION: Final = "dataset"
_RECORDS: Final[dict[str, tuple[type[msgspec.Struct], str, str]]] = {
    "verdicts": (Verdict, "dataset=${dataset}", "one row a candidate that was checked"),
    "approvals": (Approval, "approvals/${dataset}", "one row a candidate that was approved"),
}
"""By table: what an object holds, where a dataset's objects lie, and what a row is."""
_CHECKS: Final = {
    "dataset": "varchar",
    "layer": "varchar",
    "checked_at": "timestamp(3)",
    "snapshot_id": "bigint",
    "run_id": "varchar",
    "contract_version": "varchar",
    "code": "varchar",
    "passed": "boolean",
    "name": "varchar",
    "type": "varchar",
    "column": "varchar",
    "outcome": "varchar",
    "value": "double",
    "threshold": "varchar",
    "samples": "bigint",
}
"""Columns of the view, by Athena's types; ``samples`` counts them."""
_CHECKS_SELECT: Final = f"""
SELECT v.dataset, v.layer, CAST(from_iso8601_timestamp(v.checked_at) AS timestamp) AS checked_at,
       v.snapshot_id, v.run_id, v.contract_version, v.code, v.passed,
       c.name, c.type, c."column", c.outcome, c.value, c.threshold,
       cardinality(c.samples) AS samples
FROM {DATABASE}.verdicts v CROSS JOIN UNNEST(v.checks) AS t (c)
""".strip()  # noqa: S608  # a constant
_HIVE: Final = {"varchar": "string", "timestamp(3)": "timestamp"}


class Governance(pulumi.ComponentResource):
    """The database ``governance``: tables ``verdicts`` and ``approvals``, view ``checks``."""

    def __init__(self, config: StackConfig, datasets: Sequence[str]) -> None:
        super().__init__("lakehouse:estate:Governance", "governance")
        bucket = naming.bucket(config.prefix, "verdicts")
        database = aws.glue.CatalogDatabase(
            DATABASE,
            name=DATABASE,
            description="what the gates found out, and who decided otherwise",
            location_uri=f"s3://{bucket}/",
            opts=config.holding(self),
        )
        below = pulumi.ResourceOptions(parent=database)
        for name, (record, folder, description) in _RECORDS.items():
            aws.glue.CatalogTable(
                name,
                name=name,
                database_name=database.name,
                description=description,
                table_type="EXTERNAL_TABLE",
                parameters={
                    "classification": "json",
                    "projection.enabled": "true",
                    f"projection.{_PARTITION}.type": "enum",
                    f"projection.{_PARTITION}.values": ",".join(sorted(datasets)),
                    "storage.location.template": f"s3://{bucket}/{folder}/",
                },
                partition_keys=[{"name": _PARTITION, "type": "string"}],
                storage_descriptor={
                    "location": f"s3://{bucket}/",
                    "columns": [
                        {"name": column, "type": kind}
                        for column, kind in columns(record).items()
                        if column != _PARTITION
                    ],
                    "input_format": "org.apache.hadoop.mapred.TextInputFormat",
                    "output_format": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    "ser_de_info": {
                        "serialization_library": "org.openx.data.jsonserde.JsonSerDe",
                    },
                },
                opts=below,
            )
        aws.glue.CatalogTable(
            "checks",
            name="checks",
            database_name=database.name,
            description="one row a check of every verdict: the history of each check",
            table_type="VIRTUAL_VIEW",
            parameters={"presto_view": "true", "comment": "Presto View"},
            storage_descriptor={
                "columns": [
                    {"name": column, "type": _HIVE.get(kind, kind)}
                    for column, kind in _CHECKS.items()
                ],
            },
            view_original_text=presto_view(DATABASE, _CHECKS_SELECT, _CHECKS),
            view_expanded_text="/* Presto View */",
            opts=below,
        )
        self.tables = [f"{DATABASE}.{name}" for name in (*_RECORDS, "checks")]
        self.register_outputs({})
