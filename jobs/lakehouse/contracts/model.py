"""The typed model of a contract: what every other part reads instead of YAML.

Read from Open Data Contract Standard files by :mod:`lakehouse.contracts.odcs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from lakehouse.errors import ContractError, UnknownDatasetError
from lakehouse.naming import Layer

LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
SourceKind = Literal["stream", "files", "pull", "mart"]
Transform = Literal["identity", "day", "month", "year"]
Level = Literal["warn", "fail"]
OPEN_CLASSIFICATIONS: Final = frozenset({"public", "internal"})
"""Classifications whose values may be shown in verdicts and reports; all others are masked."""


class Reference(msgspec.Struct, frozen=True):
    """A field of another dataset's checked table."""

    dataset: str
    field: str


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
    reference: Reference | None = None
    """Where every value of this field has to be found."""
    checks: tuple[Mapping[str, Any], ...] = ()
    """Soda column checks, verbatim."""

    @property
    def masked(self) -> bool:
        """Whether a value of it may not be shown outside of its table."""
        return self.classification.lower() not in OPEN_CLASSIFICATIONS


class Deduplicate(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are the same thing, and which of them silver keeps."""

    key: tuple[str, ...]
    keep: Literal["first", "latest"] = "latest"
    within_days: int | None = None
    """Rows of one key further apart in event time than this are not compared; None: no bound."""
    deletes: Deletes | None = None
    """Which records say that their key is no more."""
    history: bool = False
    """Whether silver keeps every version of a key (a slowly changing dimension of type 2)."""


class Deletes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records that delete their key: those whose field has one of the values."""

    field: str
    values: tuple[str, ...]


class Partition(msgspec.Struct, frozen=True):
    """One partition field, such as ``day(scheduled_departure)``."""

    field: str
    transform: Transform


class FileFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a payload or file is written."""

    type: Literal["json", "ndjson", "csv", "avro", "parquet"]
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    header: bool = True
    """Whether a CSV file begins with the names of its columns; else they are the contract's."""
    multiline: bool = True
    """Whether a quoted CSV value may hold line breaks; large files without are read in splits."""
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ("",)
    records: str | None = None
    """Path of keys, such as ``data.items``, under which a JSON document holds its list of records;
    None: the document is the list."""
    compression: Literal["gzip", "zlib"] | None = None
    """What each record of a stream is compressed with, or what files may be besides plain; gzip
    files are known by their first bytes."""
    manifest: str | None = None
    """Name pattern of the objects that list a set of files; None: each file stands alone."""
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


class OnePage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="none"
):
    """An answer that is all there is."""


class PageNumber(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="page",
):
    """Pages that are asked for by their number."""

    parameter: str = "page"
    first: int = 1
    pages: str | None = None
    """Path of keys to the number of pages; None: on to the first page without records."""


class PageCursor(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="cursor",
):
    """Pages that are asked for by a token that the page before has; the last one has none."""

    parameter: str = "cursor"
    key: str = "next_cursor"
    """Path of keys to the token."""


class PageLink(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="link",
):
    """Pages whose address the page before has; the last one has none."""

    key: str | None = None
    """Path of keys to the address; None: the header ``Link`` with ``rel="next"`` (RFC 8288)."""


class PullCursor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an incremental pull knows where it goes on: it sends what the last one came to."""

    parameter: str
    start: str
    """What the first pull sends."""
    field: str | None = None
    """Field of the records whose greatest value is the next cursor, by number or by text."""
    key: str | None = None
    """Path of keys to the next cursor in the last page."""


class PullSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Where a pulled dataset comes from; read by the DAGs, which do the pulling.

    ``path`` and ``parameters`` may hold ``{period}`` (``2013-01`` or ``2013-01-31``), ``{start}``
    and ``{end}`` (the first day and the day after the last, with a ``strftime`` format after a
    colon).
    """

    connection: str
    """Airflow connection with the address and credentials."""
    path: str
    parameters: Mapping[str, str] = {}
    every: Literal["day", "month"] = "day"
    """What one logical date of it covers."""
    look_back: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}d$")] = "1d"
    """A scheduled pull asks for the days or months that so many last whole days belong to."""
    pagination: OnePage | PageNumber | PageCursor | PageLink = OnePage()
    cursor: PullCursor | None = None
    max_pages: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Pages of one logical date; an API that has more is stopped."""
    max_page_megabytes: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    """A page must fit into memory."""


class Sla(msgspec.Struct, frozen=True, kw_only=True):
    """What readers are promised."""

    freshness_hours: float | None = None
    freshness_field: str | None = None
    """The timestamp whose newest value the gate holds against it; None: the gate does not."""


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a candidate may be from what is published, as shares of it."""

    rows: float | None = None
    """Of the number of rows, either way."""
    means: Mapping[str, float] = {}
    """Of the mean of a numeric field, either way, by field."""


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What the gate asks beyond the checks, and what becomes of a load that fails it."""

    on_fail: Literal["hold", "set-aside"] = "hold"
    reject_share: float | None = None
    """Most rejects a load may have, as a share of its deliveries; None: any."""
    drift: Drift = Drift()
    levels: Mapping[str, Level] = {}
    """Level of derived checks by type, such as ``freshness``; ``freshness`` warns, all else
    fails."""

    def level(self, check: str) -> Level:
        """What a derived check of a type does to a candidate that breaks it."""
        return self.levels.get(check, "warn" if check == "freshness" else "fail")


class MartInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A table whose changed rows change only the mart's partitions about the same time.

    A row of ``table`` counts in the mart's rows of the day that its ``field`` has, give or take
    ``slack_days``.
    """

    table: str
    field: str
    slack_days: int = 0


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
    gate: Gate = Gate()
    pull: PullSource | None = None
    inputs: tuple[MartInput, ...] = ()
    """Of a mart, those by whose changed days it is built anew in part; any other rebuilds it
    whole."""
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
