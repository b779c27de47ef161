"""The contract's ``customProperties``: what the standard has no word for, each with a default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from lakehouse.contracts.model import (
    Deduplicate,
    Deletes,
    Field,
    FileFormat,
    Gate,
    MartInput,
    Partition,
    PullSource,
    SourceKind,
    StreamSource,
    Transform,
)
from lakehouse.errors import ContractError

_PARTITION = re.compile(r"(?:(?P<transform>day|month|year)\()?(?P<field>[a-z][a-z0-9_]*)\)?")
_STREAM_ARN = re.compile(r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[A-Za-z0-9_.-]{1,128}")


class _Dedup(msgspec.Struct, forbid_unknown_fields=True):
    key: list[str] = []
    keep: Literal["first", "latest"] = "latest"
    within: str | None = None
    deletes: Deletes | None = None
    history: bool = False


class _Format(FileFormat, frozen=True, kw_only=True):
    schema: str | dict[str, Any] | None = None  # type: ignore[assignment]  # as it is written


class CustomProperties(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The platform's own properties, each with its default."""

    source: SourceKind
    format: _Format | None = None
    stream: StreamSource | None = None
    group: str = "main"
    event_time: str | None = None
    deduplicate: _Dedup = msgspec.field(default_factory=_Dedup)
    partition_by: str | None = None
    gate: Gate = Gate()
    pull: PullSource | None = None
    inputs: tuple[MartInput, ...] = ()


def file_format(given: _Format | None, source: SourceKind, path: str) -> FileFormat:
    """How payloads or files are written; by default CSV for files, else JSON."""
    if given is None:
        return FileFormat(type="csv" if source == "files" else "json")
    allowed = (
        ("json", "avro") if source == "stream" else ("csv", "ndjson", "json", "parquet", "avro")
    )
    if given.type not in allowed:
        raise ContractError(
            f"{path}: format.type {given.type!r} for source {source!r}; "
            f"expected {' or '.join(allowed)}"
        )
    if given.schema is not None and given.type != "avro":
        raise ContractError(
            f"{path}: format.schema is the schema of Avro, format.type is {given.type!r}; remove it"
        )
    if source == "stream":
        _check_defaults(given, path)
    else:
        _check_file(given, path)
    written = msgspec.structs.asdict(given)
    return FileFormat(**written | {"schema": _avro_schema(given.schema, path)})


_OF_STREAMS: Final = frozenset({"type", "compression", "schema"})
_OF_CSV: Final = frozenset(
    {"delimiter", "quote", "escape", "header", "multiline", "encoding", "nulls"}
)


def _check_defaults(given: _Format, path: str) -> None:
    """A record of a stream is described by nothing that only files have."""
    for name in sorted(set(given.__struct_fields__) - _OF_STREAMS):
        if getattr(given, name) != getattr(FileFormat(type="json"), name):
            raise ContractError(f"{path}: format.{name} is of files, not of streams; remove it")


def _check_file(given: _Format, path: str) -> None:
    if given.schema is not None:
        raise ContractError(
            f"{path}: format.schema is of the records of a stream; an Avro file has its own, "
            "remove it"
        )
    if given.records is not None and given.type != "json":
        raise ContractError(
            f"{path}: format.records is of JSON documents, format.type is {given.type!r}; remove it"
        )
    if given.type != "csv":
        plain = FileFormat(type=given.type)
        for name in sorted(_OF_CSV):
            if getattr(given, name) != getattr(plain, name):
                raise ContractError(
                    f"{path}: format.{name} is of CSV, format.type is {given.type!r}; remove it"
                )
        return
    _check_dialect(given, path)


def _check_dialect(given: _Format, path: str) -> None:
    """The csv module can read the dialect, and Python has the encoding."""
    marks = {"delimiter": given.delimiter, "quote": given.quote, "escape": given.escape}
    for name, mark in marks.items():
        if (
            mark is not None
            and (len(mark) != 1 or mark in "\r\n")
            and (name, mark) != ("quote", "")
        ):
            raise ContractError(f"{path}: format.{name} is {mark!r}; expected one character")
    used = [mark for mark in marks.values() if mark]
    if len(set(used)) != len(used):
        raise ContractError(
            f"{path}: format.delimiter, quote and escape are {', '.join(map(repr, used))}; "
            "expected different characters"
        )
    try:
        "a,\n".encode(given.encoding).decode(given.encoding)
    except (LookupError, UnicodeError) as error:
        raise ContractError(
            f"{path}: format.encoding {given.encoding!r}: {error}; expected one that Python knows, "
            "such as utf-8, latin-1, cp1252 or utf-16"
        ) from error


def _avro_schema(given: str | dict[str, Any] | None, path: str) -> str | None:
    """The text of a schema that is given as such, or by a path beside the contract."""
    if isinstance(given, dict):
        return msgspec.json.encode(given).decode()
    if given is None or given.lstrip().startswith("{"):
        return given
    file = Path(path).parent / given
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ContractError(
            f"{path}: format.schema {given!r}: {file} cannot be read ({error}); give the path of "
            "an .avsc file beside the contract, or the schema itself"
        ) from error


def stream_source(given: StreamSource | None, source: SourceKind, path: str) -> StreamSource:
    """Where a stream is and begins; by default the estate's own, from its oldest record."""
    if given is None:
        return StreamSource()
    if source != "stream":
        raise ContractError(f"{path}: 'stream' is given for source {source!r}; remove it")
    if given.arn is not None and not _STREAM_ARN.fullmatch(given.arn):
        raise ContractError(
            f"{path}: stream.arn {given.arn!r}; expected arn:aws:kinesis:<region>:<account>:"
            "stream/<name>"
        )
    if given.start not in {"trim_horizon", "latest"}:
        try:
            msgspec.convert(given.start, Annotated[datetime, msgspec.Meta(tz=True)])
        except msgspec.ValidationError as error:
            raise ContractError(
                f"{path}: stream.start {given.start!r}; expected trim_horizon, latest or an "
                "instant such as 2026-01-31T00:00:00Z"
            ) from error
    return given


def deduplication(custom: _Dedup, fields: tuple[Field, ...], path: str) -> Deduplicate:
    """What silver takes for one row; by default the primary key."""
    key = tuple(custom.key) or tuple(f.name for f in fields if f.primary_key)
    if not key:
        raise ContractError(f"{path}: no key; mark a property 'primaryKey: true'")
    within = None
    if custom.within is not None:
        match = re.fullmatch(r"(\d+)d", custom.within)
        if not match:
            raise ContractError(
                f"{path}: deduplicate.within is {custom.within!r}; expected days such as '7d'"
            )
        within = int(match[1])
    return Deduplicate(
        key=key,
        keep=custom.keep,
        within_days=within,
        deletes=custom.deletes,
        history=custom.history,
    )


def partitions(text: str | None, path: str) -> Iterator[Partition]:
    """The partition fields of ``partitionBy``."""
    for part in text.split(",") if text else ():
        match = _PARTITION.fullmatch(part.strip())
        if not match:
            raise ContractError(
                f"{path}: partitionBy is {text!r}; expected a field or "
                f"{', '.join(f'{t}(field)' for t in get_args(Transform)[1:])}"
            )
        transform: Any = match["transform"] or "identity"
        yield Partition(match["field"], transform)
