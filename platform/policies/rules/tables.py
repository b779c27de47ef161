"""Rules of what stands in the catalog, and of names that one resource has for another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource
from policies.rule import each, stack
from policies.rules.storage import ONCE
from policies.values import Values

LAYERS: Final = ("bronze", "silver", "gold")
_ICEBERG: Final = re.compile(r"iceberg|metadata_location", re.IGNORECASE)
_JSON: Final = {"org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe"}
_KEY: Final = re.compile(r"arn:[\w-]+:kms:[\w-]*:\d*:key/[\w-]+")
_BUCKET: Final = re.compile(r"(?:s3://|:s3:::)([a-z0-9-]+)")
_BODIES: Final = ("content", "contentBase64")
"""What an object says is no name of a resource."""


@each("CatalogTable", "Table")
def iceberg_tables_belong_to_the_jobs(table: Resource, _graph: Graph) -> Iterator[str]:
    """Columns that Pulumi owned would be set back whenever a table has evolved.

    Tables over JSON, and views, have the columns that they are declared with.
    """
    if table.type == "aws:s3tables/table:Table":
        yield "declared here; leave it to the job that writes it"
    if table.kind == "Table":
        return
    parts = [table.get(part, Values({})) for part in ("parameters", "storageDescriptor")]
    told = [*parts[0], *(text for part in parts for text in part.texts())]
    if table["databaseName"] in LAYERS:
        yield f"declared here, in {table['databaseName']}; leave it to the job that writes it"
    if "openTableFormatInput" in table or any(_ICEBERG.search(text) for text in told):
        yield "declared here, an Iceberg table; leave it to the job that writes it"
    elif table.get("tableType") != "VIRTUAL_VIEW" and not _reads_json(table):
        yield "neither over JSON nor a view; declare only these"


def _reads_json(table: Resource) -> bool:
    reader = table["storageDescriptor"].get("serDeInfo", {}).get("serializationLibrary", "")
    return table.get("tableType") == "EXTERNAL_TABLE" and reader in _JSON


@stack
def what_the_gates_wrote_is_found(graph: Graph) -> Iterator[str]:
    """Where a projection does not lead, a query finds nothing, and says nothing of it."""
    buckets = [b["bucket"] for b in graph.of("Bucket") if b.name == "verdicts"]
    declared = {
        contract.removesuffix(".yaml")
        for o in graph.of("BucketObjectv2")
        for contract in re.findall(r"^contracts/[0-9a-f]+/([^/]+\.yaml)$", o["key"])
    }
    reached = set()
    for table in graph.of("CatalogTable"):
        if not table.get("partitionKeys"):
            continue
        given = table.get("parameters", {})
        if given.get("projection.enabled") != "true":
            yield f"{table} has partitions that nobody registers; project them"
        projected = set(given.get("projection.dataset.values", "").split(","))
        for dataset in sorted(declared ^ projected):
            yield f"{table}: {dataset} is a dataset alone or a partition alone; project every one"
        reached.add(given.get("storage.location.template", "").replace("${dataset}", "flights"))
    for bucket in buckets:
        for key in ONCE["verdicts"]:
            folder = f"s3://{bucket}/{key.rpartition('/')[0]}/"
            if folder not in reached:
                yield f"no table reads {folder}; let a projection lead there"


@stack
def what_is_referred_to_is_there(graph: Graph) -> Iterator[str]:
    """A name that nobody declares is an outage that only a run finds."""
    keys = {k.get("arn") for k in graph.of("Key")}
    buckets = {b["bucket"] for b in graph.of("Bucket")}
    for resource in graph.resources:
        text = "\n".join(resource.values.texts(but=_BODIES))
        for key in sorted(set(_KEY.findall(text)) - keys):
            yield f"{resource} names {key}, which is not declared; declare it"
        for bucket in sorted(set(_BUCKET.findall(text)) - buckets):
            yield f"{resource} names bucket {bucket}, which is not declared; declare it"


@each("CatalogDatabase", "CatalogTable")
def names_are_lower_case(found: Resource, _graph: Graph) -> Iterator[str]:
    """Glue and Athena fold names, Spark and Iceberg do not: one table would be two."""
    name = found["name"]
    if not re.fullmatch(r"[a-z0-9_]+", name):
        yield f"named {name}; use lower case letters, digits and underscores"


@each("CatalogTableOptimizer")
def nobody_else_deletes_orphans(optimizer: Resource, _graph: Graph) -> Iterator[str]:
    """Glue's optimizer can delete files that a running load has written and not committed yet."""
    if optimizer.get("type") == "orphan_file_deletion":
        yield "deletes files of running loads; leave it to the job maintain"


@each("Schema")
def schemas_stay_compatible(schema: Resource, _graph: Graph) -> Iterator[str]:
    """A producer could register a version that ingestion cannot read."""
    if schema.get("compatibility", "NONE") in {"NONE", "DISABLED"}:
        yield f"compatibility {schema.get('compatibility')}; set BACKWARD or stricter"
