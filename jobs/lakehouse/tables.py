"""Tables made from contracts: columns, types, partitions and properties of every layer.

A table is created or evolved by the job that writes it, never by the infrastructure, so that a
schema changes in the same place as the rows it describes.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import (
    DayTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    YearTransform,
)
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Field
from lakehouse.errors import ContractError
from lakehouse.naming import Layer
from lakehouse.tagging import tag_columns

ICEBERG_TYPES: Final[dict[str, IcebergType]] = {
    "string": StringType(),
    "integer": LongType(),
    "number": DoubleType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
}
ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
SPARK_TYPES: Final[dict[str, str]] = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}

_REJECT = StructType(
    NestedField(1, "code", StringType(), required=False, doc="kind of reason"),
    NestedField(2, "detail", StringType(), required=False, doc="what was wrong, and where"),
)
SILVER_COLUMNS: Final[tuple[tuple[str, IcebergType, str], ...]] = (
    ("_load", LongType(), "load that brought the row"),
    ("_source", StringType(), "shard or object of the row's position"),
    ("_sequence", StringType(), "sequence number or object version of the row's position"),
    ("_index", LongType(), "sub-sequence number or row of the row's position"),
)
BRONZE_COLUMNS: Final[tuple[tuple[str, IcebergType, str], ...]] = (
    ("_payload", BinaryType(), "the record as it came"),
    *SILVER_COLUMNS[1:],
    ("_partition_key", StringType(), "key that ordered the record in its stream"),
    ("_arrived_at", TimestamptzType(), "when the stream or landing zone took the record"),
    ("_ingested_at", TimestamptzType(), "when the load was planned"),
    SILVER_COLUMNS[0],
    ("_attempt", IntegerType(), "0, and one more for each replay of the position"),
    ("_contract_version", StringType(), "version of the contract that decoded the record"),
    ("_reject", _REJECT, "why the record is no good; null when it is"),
)
"""The platform's own columns of bronze: name, type, comment."""

# Iceberg has a metadata column ``_deleted``, so no column may be named so.
_TOMBSTONE = ("_tombstone", BooleanType(), "whether the key is no more; then only the key is set")
_SEEN_FROM = ("_seen_from", TimestamptzType(), "earliest time of the deliveries it stands for")
_SEEN_TO = ("_seen_to", TimestamptzType(), "latest time of the deliveries it stands for")
_HISTORY: Final[tuple[tuple[str, IcebergType, str], ...]] = (
    ("_valid_from", TimestamptzType(), "when the key came to be so"),
    ("_valid_to", TimestamptzType(), "when it ceased to be so; null while it lasts"),
    ("_current", BooleanType(), "whether it lasts and is no tombstone"),
    _SEEN_TO,
)

_METADATA = {
    "format-version": "2",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    # Each load adds a manifest; they are merged before a commit has many to list.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(128 * 1024 * 1024),
    # The three modes decide how MERGE writes; copy-on-write keeps silver cheap for readers.
    "write.merge.mode": "copy-on-write",
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
}
_TRANSFORMS: Final[dict[str, Transform]] = {  # type: ignore[type-arg]  # generic over both sides
    "identity": IdentityTransform(),
    "day": DayTransform(),
    "month": MonthTransform(),
    "year": YearTransform(),
}


def is_chained(contract: Contract) -> bool:
    """Whether deliveries of a key are compared only within a bound of event time."""
    return contract.deduplicate.within_days is not None and contract.event_time is not None


def own_columns(contract: Contract, layer: Layer) -> tuple[tuple[str, IcebergType, str], ...]:
    """The platform's own columns of a contract's table in a layer: name, type, comment."""
    if layer == "gold":
        return ()
    if layer == "bronze":
        return BRONZE_COLUMNS
    rule = contract.deduplicate
    return (
        *SILVER_COLUMNS,
        *([_TOMBSTONE] if rule.deletes is not None else []),
        *([_SEEN_FROM, _SEEN_TO] if is_chained(contract) else []),
        *(_HISTORY if rule.history else []),
    )


def column_classes(contract: Contract, layer: Layer) -> dict[str, str]:
    """The classification of each column of a contract's table that has one, in lower case.

    Bronze's own columns have none: a payload, a partition key and the reason of a reject may hold
    any value of the record.
    """
    own = () if layer == "bronze" else own_columns(contract, layer)
    return {field.name: field.classification.lower() for field in contract.fields} | {
        name: "internal" for name, _, _ in own
    }


def iceberg_schema(contract: Contract, layer: Layer) -> Schema:
    """The columns of a contract's table in a layer, in order, all nullable.

    Whether a value may be absent is a rule of the contract, checked row by row; a column that
    cannot be null could not hold a reject.
    """
    own = own_columns(contract, layer)
    columns = [(f.name, ICEBERG_TYPES[f.type], f.description) for f in contract.fields]
    return Schema(
        *(
            NestedField(number, name, kind, required=False, doc=doc or None)
            for number, (name, kind, doc) in enumerate([*columns, *own], start=1)
        )
    )


def partition_spec(contract: Contract, layer: Layer) -> PartitionSpec:
    """Bronze by ingestion day; the checked layers as the contract says."""
    schema = iceberg_schema(contract, layer)
    wanted = (
        [("_ingested_at", "day")]
        if layer == "bronze"
        else [(p.field, p.transform) for p in contract.partition_by]
    )
    return PartitionSpec(
        *(
            PartitionField(
                source_id=schema.find_field(name).field_id,
                field_id=1000 + number,
                transform=_TRANSFORMS[transform],
                name=name if transform == "identity" else f"{name}_{transform}",
            )
            for number, (name, transform) in enumerate(wanted)
        )
    )


def load_table(aws: Aws, layer: Layer, dataset: str) -> Table | None:
    """The table as it is now, None when nobody has made it yet."""
    try:
        return aws.catalog().load_table(naming.table(layer, dataset))
    except NoSuchTableError:
        return None


def ensure_table(aws: Aws, contract: Contract, layer: Layer) -> Table:
    """The contract's table, made or additively evolved, its columns tagged where tags decide.

    Raises ContractError where the table has a column of another type, EstateError where Lake
    Formation refuses a tag.
    """
    table = _made(aws, contract, layer)
    if aws.lake_formation:
        # Not only when something changed: a run may have died between making and tagging.
        classes = column_classes(contract, layer)
        tag_columns(aws.client("lakeformation"), layer, contract.dataset, classes)
    return table


def _made(aws: Aws, contract: Contract, layer: Layer) -> Table:
    table = load_table(aws, layer, contract.dataset)
    schema = iceberg_schema(contract, layer)
    if table is None:
        try:
            return aws.catalog().create_table(
                naming.table(layer, contract.dataset),
                schema=schema,
                location=naming.table_location(aws.prefix, layer, contract.dataset),
                partition_spec=partition_spec(contract, layer),
                properties={
                    **_METADATA,
                    "comment": contract.description,
                    "lakehouse.owner": contract.owner,
                },
            )
        except TableAlreadyExistsError:
            table = aws.catalog().load_table(naming.table(layer, contract.dataset))
    return _evolve(table, schema, contract)


def _evolve(table: Table, wanted: Schema, contract: Contract) -> Table:
    present = {field.name: field for field in table.schema().fields}
    missing = []
    for field in wanted.fields:
        have = present.get(field.name)
        if have is None:
            missing.append(field)
        elif str(_shape(have.field_type)) != str(_shape(field.field_type)):
            raise ContractError(
                f"{contract.path or contract.dataset}: {field.name!r} is {field.field_type} in the "
                f"contract and {have.field_type} in {'.'.join(table.name())}; a column keeps its "
                "type: add a property of another name instead"
            )
    if missing:
        with table.update_schema() as update:
            for field in missing:
                update.add_column(field.name, field.field_type, field.doc)
    return table


def _shape(kind: IcebergType) -> object:
    """A type without its field ids, which the catalog assigns."""
    if isinstance(kind, StructType):
        return [(field.name, str(field.field_type)) for field in kind.fields]
    return kind


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a contract's field."""
    return ARROW_TYPES[field.type]
