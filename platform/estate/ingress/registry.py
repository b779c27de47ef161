"""The Glue Schema Registry: a schema for every streamed contract whose records name theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from lakehouse.contracts.model import Contract

if TYPE_CHECKING:
    from estate.config import StackConfig

_TYPES: Final[dict[str, Any]] = {
    "string": "string",
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
}


class Registry(pulumi.ComponentResource):
    """The registry ``<prefix>``; producers register versions under its rule of compatibility."""

    def __init__(self, config: StackConfig, streams: Iterable[Contract]) -> None:
        super().__init__("lakehouse:estate:Registry", "registry")
        registry = aws.glue.Registry(
            "registry",
            registry_name=config.prefix,
            description="Schemas of the records that producers send",
            opts=pulumi.ResourceOptions(parent=self),
        )
        for contract in streams:
            if contract.format.type != "avro" or contract.format.schema is not None:
                continue
            aws.glue.Schema(
                contract.dataset,
                registry_arn=registry.arn,
                schema_name=contract.dataset,
                description=contract.description,
                data_format="AVRO",
                compatibility=config.streams.compatibility,
                # What producers register later are versions of their own, which stay.
                schema_definition=json.dumps(avro_schema(contract)),
                opts=pulumi.ResourceOptions.merge(
                    config.holding(registry),
                    pulumi.ResourceOptions(ignore_changes=["schema_definition"]),
                ),
            )
        self.register_outputs({})


def avro_schema(contract: Contract) -> dict[str, Any]:
    """The contract as an Avro record; a value that may be absent is null by default."""
    return {
        "type": "record",
        "name": contract.dataset,
        "doc": contract.description,
        "fields": [
            {"name": field.name, "doc": field.description, "type": _TYPES[field.type]}
            if field.required
            else {
                "name": field.name,
                "doc": field.description,
                "type": ["null", _TYPES[field.type]],
                "default": None,
            }
            for field in contract.fields
        ],
    }
