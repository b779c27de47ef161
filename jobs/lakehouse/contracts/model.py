"""The typed model of a contract: what every other part reads instead of YAML.

Read from Open Data Contract Standard files by :mod:`lakehouse.contracts.odcs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from lakehouse.errors import ContractError, UnknownDatasetError
from lakehouse.naming import Layer

LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
SourceKind = Literal["stream", "files", "pull", "mart"]
Transform = Literal["identity", "day", "month", "year"]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a dataset with the rules every single value must keep."""

    name: str
    type: LogicalType
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    description: str = ""
    classification: str = "internal"
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    """Soda column checks, verbatim."""


class Deduplicate(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are the same thing, and which of them silver keeps."""

    key: tuple[str, ...]
    keep: Literal["first", "latest"] = "latest"
    within_days: int | None = None
    """Rows of one key further apart in event time than this are not compared; None: no bound."""


class Partition(msgspec.Struct, frozen=True):
    """One partition field, such as ``day(scheduled_departure)``."""

    field: str
    transform: Transform


class FileFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a payload or file is written."""

    type: Literal["json", "ndjson", "csv", "avro"]
    delimiter: str = ","
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ("",)
    records: str | None = None
    """Key under which a JSON document holds its list of records; None: the document is the list."""
    compression: Literal["gzip", "zlib"] | None = None
    """What each record of a stream is compressed with."""
    schema: str | None = None
    """Writer schema of Avro without a header, as JSON; None: the header names it."""


class StreamSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a dataset's stream is and where its first load begins."""

    arn: str | None = None
    """Another account's stream; None: the estate's own."""
    role: str | None = None
    """ARN of the role to read it under."""
    start: str = "trim_horizon"
    """``trim_horizon``, ``latest`` (the instant of the first plan) or an RFC 3339 instant."""


class Sla(msgspec.Struct, frozen=True, kw_only=True):
    """What readers are promised."""

    freshness_hours: float | None = None


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the platform knows of one dataset."""

    dataset: str
    version: str
    description: str
    owner: str
    fields: tuple[Field, ...]
    source: SourceKind
    format: FileFormat
    stream: StreamSource = StreamSource()
    group: str = "main"
    event_time: str | None = None
    deduplicate: Deduplicate
    partition_by: tuple[Partition, ...] = ()
    on_failed_gate: Literal["hold", "set-aside"] = "hold"
    checks: tuple[Mapping[str, Any], ...] = ()
    """Soda dataset checks, verbatim."""
    sla: Sla = Sla()
    path: str = ""
    """Where the contract was read from, for messages."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in which the dataset has a table."""
        return ("gold",) if self.source == "mart" else ("bronze", "silver")

    @property
    def checked_layer(self) -> Layer:
        """The layer that the contract's gate guards."""
        return "gold" if self.source == "mart" else "silver"

    def field(self, name: str) -> Field:
        """The field of that name; ContractError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise ContractError(
            f"{self.path or self.dataset}: no property {name!r}; "
            f"expected one of {', '.join(f.name for f in self.fields)}"
        )


class Contracts(Mapping[str, Contract]):
    """All contracts of an estate by dataset name, in name order."""

    def __init__(self, contracts: Iterable[Contract], origin: str) -> None:
        self.origin = origin
        self._by_name: dict[str, Contract] = {}
        for contract in sorted(contracts, key=lambda c: c.dataset):
            twin = self._by_name.get(contract.dataset)
            if twin is not None:
                raise ContractError(
                    f"{contract.path}: dataset {contract.dataset!r} is already declared by "
                    f"{twin.path}; give one of them another name"
                )
            self._by_name[contract.dataset] = contract

    def __getitem__(self, dataset: str) -> Contract:
        try:
            return self._by_name[dataset]
        except KeyError:
            known = ", ".join(self._by_name) or "none"
            raise UnknownDatasetError(
                f"unknown dataset {dataset!r}; {self.origin} declares: {known}"
            ) from None

    def __iter__(self) -> Any:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def select(self, names: Iterable[str], *sources: SourceKind) -> tuple[Contract, ...]:
        """The named contracts, or all of the given source kinds when no name is given.

        Raises UnknownDatasetError for a name without contract and ContractError for one whose
        source is not among ``sources``.
        """
        wanted = [self[name] for name in names]
        for contract in wanted:
            if contract.source not in sources:
                raise ContractError(
                    f"{contract.dataset!r} has source {contract.source!r}; "
                    f"expected {' or '.join(sources)}"
                )
        return tuple(wanted) or tuple(c for c in self.values() if c.source in sources)


NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""Names of datasets and fields, as Athena and Glue want them."""
