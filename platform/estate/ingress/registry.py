"""The Glue Schema Registry: a schema for every streamed contract."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from lakehouse.contracts.model import Contract, Field

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
_JSON_TYPES: Final[dict[str, tuple[str, str | None]]] = {
    "string": ("string", None),
    "integer": ("integer", None),
    "number": ("number", None),
    "boolean": ("boolean", None),
    "date": ("string", "date"),
    "timestamp": ("string", "date-time"),
}


class Registry(pulumi.ComponentResource):
    """The registry ``<prefix>``; it refuses a version that breaks its rule of compatibility."""

    def __init__(self, config: StackConfig, streams: Iterable[Contract]) -> None:
        super().__init__("lakehouse:estate:Registry", "registry")
        registry = aws.glue.Registry(
            "registry",
            registry_name=config.prefix,
            description="Schemas of the records that producers send",
            opts=pulumi.ResourceOptions(parent=self),
        )
        for contract in streams:
            kind, definition = schema(contract)
            # Records that name their schema have producers that register versions of it; these
            # stay. All other versions come from the contract.
            producers = contract.format.type == "avro" and contract.format.schema is None
            aws.glue.Schema(
                contract.dataset,
                registry_arn=registry.arn,
                schema_name=contract.dataset,
                description=contract.description,
                data_format=kind,
                compatibility=config.streams.compatibility,
                schema_definition=definition,
                tags={"dataset": contract.dataset, "owner": contract.owner},
                opts=pulumi.ResourceOptions.merge(
                    config.holding(registry),
                    pulumi.ResourceOptions(
                        ignore_changes=["schema_definition"] if producers else []
                    ),
                ),
            )
        self.register_outputs({})


def schema(contract: Contract) -> tuple[str, str]:
    """The kind of schema that the records of a contract have, and the schema."""
    if contract.format.type == "avro":
        return "AVRO", contract.format.schema or json.dumps(avro_schema(contract))
    return "JSON", json.dumps(json_schema(contract))


def json_schema(contract: Contract) -> dict[str, Any]:
    """The contract as JSON Schema; a value that may be absent may be null.

    Closed, although ingestion ignores what the contract does not name: in an open object the
    registry takes every field for one that was there before, and would refuse a new one.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": contract.dataset,
        "description": contract.description,
        "type": "object",
        "properties": {field.name: _json_field(field) for field in contract.fields},
        "required": [field.name for field in contract.fields if field.required],
        "additionalProperties": False,
    }


def _json_field(field: Field) -> dict[str, Any]:
    kind, form = _JSON_TYPES[field.type]
    told = {
        "description": field.description,
        "format": form,
        "pattern": field.pattern,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "minLength": field.min_length,
        "maxLength": field.max_length,
        "enum": [*field.enum, *([] if field.required else [None])] if field.enum else None,
    }
    type_: Any = kind if field.required else [kind, "null"]
    return {"type": type_} | {key: value for key, value in told.items() if value is not None}


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
