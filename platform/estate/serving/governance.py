"""What the gates found and what was rejected, in Athena: tables over verdicts, and views.

Verdicts and approvals are JSON objects that jobs write once. The tables only say how to read them:
their columns are the fields of the structures that are written, and partition projection finds a
dataset's objects, so nothing has to be registered when one is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pulumi
import pulumi_aws as aws

from estate.serving.athenatypes import columns
from estate.serving.quarantine import quarantine
from estate.serving.views import View, make_view
from lakehouse import naming
from lakehouse.contracts.model import Contract, Contracts
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
CHECKS: Final = View(
    "checks",
    "one row a check of every verdict: the history of each check",
    # Athena takes an array of rows apart into their fields; in a list each, they stay whole.
    f"""
SELECT v.dataset, v.layer, CAST(from_iso8601_timestamp(v.checked_at) AS timestamp) AS checked_at,
       v.snapshot_id, v.run_id, v.contract_version, v.code, v.passed,
       c[1].name AS name, c[1].type AS type, c[1]."column" AS "column", c[1].outcome AS outcome,
       c[1].value AS value, c[1].threshold AS threshold, cardinality(c[1].samples) AS samples
FROM {DATABASE}.verdicts v CROSS JOIN UNNEST(transform(v.checks, x -> ARRAY[x])) AS t (c)
""".strip(),  # noqa: S608  # a constant
    {
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
    },
)
"""``samples`` counts them."""


class Governance(pulumi.ComponentResource):
    """The database ``governance``: tables ``verdicts`` and ``approvals``, view ``checks``.

    And a view ``quarantine_<dataset>`` for every dataset that lands.
    """

    def __init__(self, config: StackConfig, contracts: Contracts) -> None:
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
                    f"projection.{_PARTITION}.values": ",".join(sorted(contracts)),
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
        views = [CHECKS, *(quarantine(name) for name, c in contracts.items() if _landed(c))]
        for view in views:
            make_view(database, DATABASE, view)
        self.tables = [f"{DATABASE}.{name}" for name in (*_RECORDS, *(v.name for v in views))]
        self.register_outputs({})


def _landed(contract: Contract) -> bool:
    return "bronze" in contract.layers
