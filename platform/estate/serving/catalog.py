"""The Glue databases. Their tables are made by the jobs that write them, from the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from lakehouse import naming
from lakehouse.naming import Layer

if TYPE_CHECKING:
    from estate.config import StackConfig

_DESCRIPTIONS: Final[dict[Layer, str]] = {
    "bronze": "every delivery as it came, rejects marked",
    "silver": "clean rows, checked and unique by key",
    "gold": "marts and indicators, checked",
}


class Catalog(pulumi.ComponentResource):
    """One database a layer, named like it."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__("lakehouse:estate:Catalog", "catalog")
        for layer in naming.LAYERS:
            aws.glue.CatalogDatabase(
                layer,
                name=layer,
                description=_DESCRIPTIONS[layer],
                location_uri=f"s3://{naming.bucket(config.prefix, layer)}/",
                opts=config.holding(self),
            )
        self.register_outputs({})
