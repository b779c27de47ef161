"""The one place where names of buckets, streams, jobs and tables come from.

The Pulumi program builds by these names and the jobs look things up by them, so neither has to be
told the other's. A deployment is known by its prefix, such as ``acme-lakehouse-prod``.
"""

from __future__ import annotations

from typing import Final, Literal

Layer = Literal["bronze", "silver", "gold"]
BucketPurpose = Literal[
    "bronze", "silver", "gold", "landing", "artifacts", "ledger", "verdicts", "results"
]

LAYERS: Final[tuple[Layer, ...]] = ("bronze", "silver", "gold")
BUCKETS: Final[tuple[BucketPurpose, ...]] = (
    *LAYERS,
    "landing",
    "artifacts",
    "ledger",
    "verdicts",
    "results",
)
CATALOG: Final = "lake"
"""Name of the Spark catalog; a table is ``lake.<layer>.<dataset>``."""


def bucket(prefix: str, purpose: BucketPurpose) -> str:
    """Name of the bucket for a purpose."""
    return f"{prefix}-{purpose}"


def stream(prefix: str, dataset: str) -> str:
    """Name of the Kinesis stream of a dataset."""
    return f"{prefix}-{dataset}"


def job(prefix: str, name: str) -> str:
    """Name of a Glue job: ``land``, ``promote``, ``marts`` or ``ingest-<group>``."""
    return f"{prefix}-{name}"


def workgroup(prefix: str, audience: str) -> str:
    """Name of the Athena workgroup of an audience: ``engineer``, ``analyst`` or ``auditor``."""
    return f"{prefix}-{audience}"


def table(layer: Layer, dataset: str) -> str:
    """Identifier of a table in the Glue catalog, ``<layer>.<dataset>``."""
    return f"{layer}.{dataset}"


def table_location(prefix: str, layer: Layer, dataset: str) -> str:
    """S3 location of a table."""
    return f"s3://{bucket(prefix, layer)}/{dataset}"


def landing_prefix(dataset: str) -> str:
    """Key prefix in the landing bucket below which a dataset's objects arrive."""
    return f"{dataset}/"
