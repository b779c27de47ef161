"""Reads Avro records, by the schema of the contract or by the id in a registry header."""

from __future__ import annotations

import io
import uuid
from typing import Any, Final

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.decoding.avroschema import SchemaError, WriterSchema
from lakehouse.decoding.decode import RejectError
from lakehouse.decoding.registry import SchemaRegistry
from lakehouse.errors import ContractError

HEADER_BYTES: Final = 18
"""A Glue Schema Registry header: version 3, a byte for the compression, the schema version's id."""
_PLAIN: Final = b"\x03\x00"


class AvroReader:
    """Reads the records of one contract into values by name.

    Without a schema in the contract, ``registry`` has the writers' schemas.
    """

    def __init__(self, contract: Contract, registry: SchemaRegistry | None) -> None:
        self._names = frozenset(f.name for f in contract.fields)
        self._registry = registry
        self._known: dict[bytes, WriterSchema | SchemaError] = {}
        self._own = None if contract.format.schema is None else own_schema(contract)
        if self._own is None and registry is None:
            raise ContractError(
                f"{contract.path or contract.dataset}: got no schema registry, expected one to "
                "read Avro by the schema in its header; give a registry, or a format.schema"
            )

    def read(self, body: bytes) -> dict[str, Any]:
        """The values of one record, with the contract's fields at least.

        Raises RejectError where the record is no good, and TransientError while its schema cannot
        be looked up.
        """
        if not body:
            raise RejectError("empty", "expected a record, got 0 bytes")
        schema = self._own or self._by_header(body)
        data = io.BytesIO(body)
        data.seek(0 if self._own else HEADER_BYTES)
        try:
            record = schema.read(data)
        except (EOFError, LookupError, UnicodeDecodeError) as error:
            raise RejectError("malformed", f"not a record of the schema: {error!r}") from error
        except (OverflowError, ValueError) as error:
            raise RejectError("range", f"a date or timestamp out of range: {error}") from error
        if data.tell() != len(body):
            raise RejectError("malformed", f"{len(body) - data.tell()} bytes after the record")
        return record

    def _by_header(self, body: bytes) -> WriterSchema:
        if not body.startswith(_PLAIN) or len(body) < HEADER_BYTES:
            raise RejectError(
                "malformed",
                f"expected a schema registry header of {HEADER_BYTES} bytes that begins with "
                f"{_PLAIN.hex()}, got {body[:HEADER_BYTES].hex()}",
            )
        known = self._known.get(body[2:HEADER_BYTES]) or self._look_up(body[2:HEADER_BYTES])
        if isinstance(known, SchemaError):
            raise RejectError("schema", str(known))
        return known

    def _look_up(self, schema_id: bytes) -> WriterSchema | SchemaError:
        name = uuid.UUID(bytes=schema_id)
        found = self._registry.schema(name) if self._registry else None
        if found is None:
            return SchemaError(f"the registry has no Avro schema {name} to read by")
        try:
            self._known[schema_id] = WriterSchema(found, self._names)
        except SchemaError as error:
            self._known[schema_id] = SchemaError(f"schema {name}: {error}")
        return self._known[schema_id]


def own_schema(contract: Contract) -> WriterSchema:
    """The schema that the contract gives itself; ContractError where nothing is read by it."""
    try:
        schema = msgspec.json.decode(contract.format.schema or "")
        return WriterSchema(schema, frozenset(f.name for f in contract.fields))
    except (msgspec.DecodeError, RecursionError, SchemaError) as error:
        raise ContractError(
            f"{contract.path or contract.dataset}: format.schema: {error}; expected an Avro record "
            "as JSON, or the path of an .avsc file beside the contract"
        ) from error
