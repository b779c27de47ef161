"""Reads contracts: Open Data Contract Standard YAML, checked at the edge, into the typed model.

What the standard has no word for stands in ``customProperties``; those that exist are the keys
of :class:`CustomProperties`. Source of the rules: the standard's own JSON schema, shipped with
``open-data-contract-standard``.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import yaml
from open_data_contract_standard.model import (
    DataQuality,
    OpenDataContractStandard,
    SchemaProperty,
    Team,
)

from lakehouse.contracts.checks import check_contract, check_together
from lakehouse.contracts.customproperties import (
    CustomProperties,
    deduplication,
    file_format,
    partitions,
    stream_source,
)
from lakehouse.contracts.model import (
    NAME,
    Contract,
    Contracts,
    Drift,
    Field,
    FileFormat,
    Gate,
    LogicalType,
    MartInput,
    PullSource,
    Reference,
    Sla,
)
from lakehouse.contracts.pullsource import pull_source
from lakehouse.errors import ContractError

_HOURS = {"h": 1.0, "hour": 1.0, "hours": 1.0, "d": 24.0, "day": 24.0, "days": 24.0, "m": 1 / 60}
_OPTIONS = {"minimum", "maximum", "minLength", "maxLength", "pattern", "format"}


def load_contracts(directory: str | Path) -> Contracts:
    """All ``*.yaml`` contracts of a directory; ContractError names the file and the mend."""
    root = Path(directory)
    if not root.is_dir():
        raise ContractError(f"no contract directory at {root}; give one with --contracts DIR")
    paths = sorted(root.glob("*.yaml"))
    if not paths:
        raise ContractError(f"{root}: no *.yaml contract in it; add one file per dataset")
    contracts = Contracts((load_contract(path) for path in paths), str(root))
    check_together(contracts)
    return contracts


def load_contract(path: Path) -> Contract:
    """One contract file; ContractError says what was received, expected and what to do."""
    return parse_contract(path.read_text(encoding="utf-8"), str(path))


def parse_contract(text: str, path: str) -> Contract:
    """A contract from its YAML text; ``path`` only serves messages."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ContractError(f"{path}: expected a mapping of ODCS keys, got {_kind(document)}")
    _check_standard(document, path)
    odcs = OpenDataContractStandard(**document)
    try:
        return _convert(odcs, path)
    except msgspec.ValidationError as error:
        raise ContractError(f"{path}: customProperties: {_suggest(str(error))}") from error


def _kind(value: object) -> str:
    return "an empty file" if value is None else type(value).__name__


def _check_standard(document: dict[str, Any], path: str) -> None:
    errors = _standard().iter_errors(_plain(document))
    for error in errors:
        deepest = _deepest(error)
        where = ".".join(str(part) for part in deepest.absolute_path) or "top level"
        raise ContractError(f"{path}: {where}: {_suggest(deepest.message)}")


@functools.cache
def _standard() -> Any:
    schema = files("open_data_contract_standard") / "schema.json"
    return jsonschema.Draft201909Validator(msgspec.json.decode(schema.read_bytes()))


def _plain(value: Any) -> Any:
    """The document as JSON has it: YAML dates become text."""
    return msgspec.to_builtins(value)


def _deepest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    found = error
    while found.context:
        found = max(found.context, key=lambda e: len(e.absolute_path))
    return found


_KNOWN = (
    set(OpenDataContractStandard.model_fields)
    | set(SchemaProperty.model_fields)
    | set(DataQuality.model_fields)
    | _OPTIONS
    | {
        "source",
        "format",
        "stream",
        "group",
        "eventTime",
        "deduplicate",
        "partitionBy",
        "gate",
        "pull",
        "inputs",
    }
    | set(FileFormat.__struct_fields__)
    | {
        name
        for kind in (Drift, Gate, MartInput, PullSource)
        for name in kind.__struct_encode_fields__
    }
)


def _suggest(message: str) -> str:
    for word in re.findall(r"[`']([A-Za-z_]+)[`']", message):
        close = difflib.get_close_matches(word, _KNOWN - {word}, n=1, cutoff=0.75)
        if close and word not in _KNOWN:
            return f"{message}; did you mean {close[0]!r}?"
    return message


def _convert(odcs: OpenDataContractStandard, path: str) -> Contract:
    schemas = odcs.schema_ or []
    if len(schemas) != 1:
        raise ContractError(f"{path}: expected one object under 'schema', got {len(schemas)}")
    schema = schemas[0]
    dataset = schema.name or ""
    _check_name(dataset, "schema name", path)
    if not isinstance(odcs.team, Team) or not odcs.team.name:
        raise ContractError(f"{path}: no owner; add 'team: {{name: ...}}'")
    custom = msgspec.convert(
        {p.property: p.value for p in odcs.customProperties or []}, type=CustomProperties
    )
    fields = tuple(_field(p, path) for p in schema.properties or [])
    if not fields:
        raise ContractError(f"{path}: no properties; a dataset needs at least one column")
    names = [f.name for f in fields]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ContractError(f"{path}: property {twins[0]!r} is declared twice; remove one")
    form = file_format(custom.format, custom.source, path)
    contract = Contract(
        dataset=dataset,
        version=odcs.version or "",
        description=schema.description or "",
        owner=odcs.team.name,
        fields=fields,
        source=custom.source,
        format=form,
        stream=stream_source(custom.stream, custom.source, path),
        group=custom.group,
        event_time=custom.event_time,
        deduplicate=deduplication(custom.deduplicate, fields, path),
        partition_by=tuple(partitions(custom.partition_by, path)),
        gate=custom.gate,
        pull=pull_source(custom.pull, custom.source, form, path),
        inputs=custom.inputs,
        checks=tuple(_soda(schema.quality, path)),
        sla=_sla(odcs),
        path=path,
    )
    check_contract(contract)
    return contract


def _check_name(name: str, what: str, path: str) -> None:
    if not NAME.fullmatch(name):
        raise ContractError(
            f"{path}: {what} {name!r}; expected lower case letters, digits and underscores, "
            "starting with a letter, at most 63"
        )


def _field(prop: SchemaProperty, path: str) -> Field:
    name = prop.name or ""
    _check_name(name, "property", path)
    kind: Any = prop.logicalType
    if kind not in get_args(LogicalType):
        raise ContractError(
            f"{path}: property {name!r} has logicalType {kind!r}; "
            f"expected one of {', '.join(get_args(LogicalType))}"
        )
    options = prop.logicalTypeOptions or {}
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise ContractError(
            f"{path}: property {name!r} has logicalTypeOptions.{unknown[0]}, which the platform "
            f"does not check; expected one of {', '.join(sorted(_OPTIONS))}"
        )
    pattern = options.get("pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ContractError(
                f"{path}: property {name!r} has the pattern {pattern!r}, "
                f"which is no regular expression: {error}"
            ) from error
    return Field(
        name=name,
        type=kind,
        required=bool(prop.required) or bool(prop.primaryKey),
        unique=bool(prop.unique),
        primary_key=bool(prop.primaryKey),
        description=prop.description or "",
        classification=prop.classification or "internal",
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        pattern=pattern,
        enum=tuple(str(value.value) for value in prop.enum or []),
        reference=_reference(prop, path),
        checks=tuple(_soda(prop.quality, path)),
    )


def _reference(prop: SchemaProperty, path: str) -> Reference | None:
    """The field that a foreign key leads to, given as ``dataset.field``."""
    targets = [r.to for r in prop.relationships or []]
    if not targets:
        return None
    dataset, _, field = str(targets[0]).partition(".")
    if len(targets) > 1 or not isinstance(targets[0], str) or not field or "." in field:
        raise ContractError(
            f"{path}: property {prop.name!r} has the relationships {targets!r}; expected one "
            "'to: dataset.field'"
        )
    return Reference(dataset, field)


def _soda(quality: list[DataQuality] | None, path: str) -> Iterator[dict[str, Any]]:
    for check in quality or []:
        if check.engine != "soda" or not isinstance(check.implementation, dict):
            raise ContractError(
                f"{path}: quality {check.name or check.type!r} has engine {check.engine!r}; "
                "expected 'engine: soda' with an 'implementation' mapping, a Soda check verbatim"
            )
        yield check.implementation


def _sla(odcs: OpenDataContractStandard) -> Sla:
    for prop in odcs.slaProperties or []:
        if prop.property in {"freshness", "latency"} and isinstance(prop.value, int | float):
            return Sla(
                freshness_hours=float(prop.value) * _HOURS.get(prop.unit or "h", 1.0),
                freshness_field=prop.element.rpartition(".")[2] if prop.element else None,
            )
    return Sla()
