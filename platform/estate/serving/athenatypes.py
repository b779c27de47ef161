"""How Athena and Hive spell the structures that jobs write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import inspect

_PLAIN: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "string",
    inspect.IntType: "bigint",
    inspect.FloatType: "double",
    inspect.BoolType: "boolean",
    inspect.LiteralType: "string",
}


def columns(record: type[msgspec.Struct]) -> dict[str, str]:
    """Hive's type of each field of a structure as its JSON has it."""
    described = inspect.type_info(record)
    return {field.encode_name: hive_type(field.type) for field in _fields(described)}


def hive_type(kind: inspect.Type) -> str:
    """Hive's spelling of a type, such as ``array<struct<name:string>>``; TypeError without one."""
    if isinstance(kind, inspect.UnionType):
        (kind,) = (part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        inner = (f"{field.encode_name}:{hive_type(field.type)}" for field in _fields(kind))
        return f"struct<{','.join(inner)}>"
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return f"array<{hive_type(kind.item_type)}>"
    if isinstance(kind, inspect.TupleType):
        (item,) = {hive_type(part) for part in kind.item_types}
        return f"array<{item}>"
    if isinstance(kind, inspect.DictType):
        return f"map<{hive_type(kind.key_type)},{hive_type(kind.value_type)}>"
    if type(kind) in _PLAIN:
        return _PLAIN[type(kind)]
    raise TypeError(f"{type(kind).__name__} has no Hive type; expected text, numbers or structures")


def _fields(described: inspect.Type) -> Sequence[inspect.Field]:
    if not isinstance(described, inspect.StructType):
        raise TypeError(f"{described} is no structure")
    return described.fields
