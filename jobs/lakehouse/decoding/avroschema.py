"""Writers' Avro schemas, made safe to read strangers' bytes by.

The reader recurses in C and takes every count at its word. So a schema is used only where each
value costs a byte and types are not nested deep; then a record is read in time and memory bounded
by its size.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from lakehouse.decoding.decode import RejectError

_DEPTH: Final = 32
"""How deep the types of a schema may be nested; each takes up to three levels of JSON."""
# Nothing else reaches the parser, which takes some keys as the mark of its own work.
_KEYS: Final = frozenset(
    {"type", "name", "namespace", "fields", "items", "values", "symbols", "size"}
    | {"logicalType", "precision", "scale"}
)
_UNPARSABLE: Final = (
    SchemaParseException,
    UnknownType,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
_CONTAINERS: Final = frozenset({"array", "map", "record"})
_RAW: Final = frozenset({"bytes", "fixed", "string"})
_INSTANTS: Final = (
    "date",
    "timestamp-millis",
    "timestamp-micros",
    "local-timestamp-millis",
    "local-timestamp-micros",
)
# A reader's union takes the first branch that a value can be promoted to.
_RANK: Final = {"int": 1, "long": 2, "float": 3, "double": 4}
_DECIMAL_BYTES: Final = 32
_DECIMAL_DIGITS: Final = 76


class SchemaError(ValueError):
    """A schema that records are not read by; says why."""


class WriterSchema:
    """A writer's schema, ready to read a contract's fields; SchemaError if it is not fit for it.

    Logical types count for the contract's fields alone: dates and timestamps are such, a decimal is
    a number, a UUID the text that was written. ``names`` None: for every field that a column could
    take, and empty: for none; in both cases no field is skipped.
    """

    def __init__(self, schema: Any, names: Collection[str] | None) -> None:
        try:
            parsed: Any = fastavro.parse_schema(_known_keys(schema, 3 * _DEPTH))
        except _UNPARSABLE as error:
            raise SchemaError(f"not an Avro schema: {error!r}") from error
        if not isinstance(parsed, dict) or parsed["type"] != "record":
            raise SchemaError("expected a record")
        types = _Types(parsed["__named_schemas"])
        types.height(parsed)
        own = [
            field
            for field in parsed["fields"]
            if (types.is_scalar(field) if names is None else field["name"] in names)
        ]
        self._decimals = {field["name"]: types.decimal(field) for field in own}
        self._schema = parsed
        self._reader: dict[str, Any] | None = None
        if names and any(types.kinds(field["type"]) & _CONTAINERS for field in parsed["fields"]):
            # Then what the contract has no field for is skipped instead of built.
            ordered = [field | {"type": types.in_order(field["type"])} for field in own]
            self._reader = parsed | {"fields": ordered}
        types.harden(parsed, own)

    def read(self, data: io.BytesIO) -> dict[str, Any]:
        """The record that comes next, with the contract's fields at least."""
        record: Any = fastavro.schemaless_reader(data, self._schema, self._reader)
        for name, decimal in self._decimals.items():
            if decimal and isinstance(record[name], bytes):
                record[name] = decimal.number(record[name])
        return record  # type: ignore[no-any-return]  # a record's schema yields a dict


def _known_keys(schema: Any, levels: int) -> Any:
    if levels < 0:
        raise SchemaError(f"types nested deeper than {_DEPTH}")
    if isinstance(schema, dict):
        return {k: _known_keys(v, levels - 1) for k, v in schema.items() if k in _KEYS}
    if isinstance(schema, list):
        return [_known_keys(item, levels - 1) for item in schema]
    return schema


class _Indexed(list[Any]):
    """A list of which the reader takes nothing from the end.

    It adds the length to a negative index, though the bytes have no right to one.
    """

    def __len__(self) -> int:
        return sys.maxsize


class _Decimal(NamedTuple):
    precision: int
    scale: int

    def number(self, raw: bytes) -> float:
        # The library's own reader rounds to the precision, and takes minutes for a megabyte.
        unscaled = int.from_bytes(raw[:_DECIMAL_BYTES], "big", signed=True)
        if len(raw) > _DECIMAL_BYTES or abs(unscaled) >= 10**self.precision:
            raise RejectError("range", f"decimal out of range: more than {self.precision} digits")
        number: float = unscaled / 10**self.scale
        return number


class _Types:
    """The types of one parsed schema."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._heights: dict[str, int] = {}
        self._open: set[str] = set()

    def height(self, schema: Any) -> int:
        """How deep the type is nested; SchemaError where its bytes would not bound its values."""
        kind, name, parts = self._parts(schema)
        if name in self._heights:
            return self._heights[name]
        if name in self._open:
            raise SchemaError(f"{name} contains itself")
        if kind == "null" or (kind == "record" and not parts):
            raise SchemaError(f"{name or kind} has values of no bytes")
        self._open |= {name} if name else set()
        height = 1 + max(map(self.height, parts), default=0)
        self._open.discard(name)
        if height > _DEPTH:
            raise SchemaError(f"types nested deeper than {_DEPTH}")
        if name:
            self._heights[name] = height
        return height

    def kinds(self, schema: Any) -> set[str]:
        """The kinds of value that the type has, as a union has several."""
        kind, _, parts = self._parts(schema)
        return {self._parts(part)[0] for part in parts} if kind == "union" else {kind}

    def is_scalar(self, field: Mapping[str, Any]) -> bool:
        """Whether a column could take the field."""
        try:
            self.decimal(field)
        except SchemaError:
            return False
        return True

    def decimal(self, field: Mapping[str, Any]) -> _Decimal | None:
        """What the field's decimals are like; SchemaError where a column cannot take the field."""
        kinds = self.kinds(field["type"])
        if kinds & _CONTAINERS or len(kinds & _RAW) > 1:
            raise SchemaError(
                f"{field['name']} is {' or '.join(sorted(kinds))}; expected one kind of scalar"
            )
        for branch in self._branches(field["type"]):
            if branch.get("logicalType") == "decimal":
                precision, scale = branch.get("precision"), branch.get("scale", 0)
                if not (isinstance(precision, int) and isinstance(scale, int)):
                    raise SchemaError(f"{field['name']} is a decimal of precision {precision!r}")
                if not 0 <= scale <= precision <= _DECIMAL_DIGITS:
                    raise SchemaError(f"{field['name']} is a decimal of {precision} digits")
                return _Decimal(precision, scale)
        return None

    def in_order(self, schema: Any) -> Any:
        """The type as a reader's, with branches that take more kinds of value last."""
        if not isinstance(schema, list):
            return schema
        return sorted(schema, key=lambda branch: _RANK.get(self._parts(branch)[0], 0))

    def harden(self, schema: Mapping[str, Any], own: Collection[Mapping[str, Any]]) -> None:
        """Let only own dates and timestamps be more than plain values, and no index be negative."""
        kept = {
            id(branch)
            for field in own
            for branch in self._branches(field["type"])
            if branch.get("logicalType") in _INSTANTS
        }
        todo: list[Any] = [schema, *self._named.values()]
        while todo:
            node = todo.pop()
            if not isinstance(node, dict):
                continue
            if id(node) not in kept:
                node.pop("logicalType", None)
            for key in ("type", "items", "values", "symbols"):
                part = node.get(key)
                if not isinstance(part, list):
                    todo.append(part)
                elif not isinstance(part, _Indexed):
                    todo.extend(part)
                    node[key] = _Indexed(part)
            todo.extend(node.get("fields", ()))

    def _branches(self, schema: Any) -> Iterator[dict[str, Any]]:
        for branch in schema if isinstance(schema, list) else [schema]:
            definition = self._named.get(branch, branch) if isinstance(branch, str) else branch
            if isinstance(definition, dict):
                yield definition

    def _parts(self, schema: Any) -> tuple[str, str, list[Any]]:
        """The kind of a type, its name if it has one, and the types in it; no nulls of a union."""
        if isinstance(schema, list):
            if not schema or any(isinstance(branch, list) for branch in schema):
                raise SchemaError("a union of nothing or of unions")
            return "union", "", [branch for branch in schema if branch not in ("null", _NULL)]
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        kind = schema["type"]
        if kind == "record":
            return kind, schema["name"], [field["type"] for field in schema["fields"]]
        if kind in {"array", "map"}:
            return kind, "", [schema["items" if kind == "array" else "values"]]
        if kind == "fixed" and not (isinstance(schema["size"], int) and schema["size"] > 0):
            return "null", schema["name"], []
        return kind, schema.get("name", ""), []


_NULL: Final = {"type": "null"}
