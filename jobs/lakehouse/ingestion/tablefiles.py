"""The files of an Iceberg table on S3: those that lie there, and those that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table

from lakehouse.ingestion.orphans import StoredFile


class TableFiles:
    """Everything below a table's location, data and metadata; see ``orphans.StoredFiles``."""

    def __init__(self, client: Any, table: Table) -> None:
        self._client = client
        where = urlsplit(table.location())
        self._bucket, self._prefix = where.netloc, where.path.strip("/") + "/"

    def files(self) -> Iterator[StoredFile]:
        """See StoredFiles."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield StoredFile(f"s3://{self._bucket}/{item['Key']}", item["LastModified"])

    def remove(self, path: str) -> None:
        """See StoredFiles."""
        self._client.delete_object(Bucket=self._bucket, Key=urlsplit(path).path.lstrip("/"))


def referenced(table: Table) -> frozenset[str]:
    """Every file that the table's newest metadata leads to, by any snapshot it keeps."""
    table.refresh()
    metadata = table.metadata
    needed = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    needed |= {statistics.statistics_path for statistics in metadata.statistics}
    needed |= {statistics.statistics_path for statistics in metadata.partition_statistics}
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        needed.add(snapshot.manifest_list)
        manifests |= {m.manifest_path: m for m in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        needed.add(path)
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        needed |= {entry.data_file.file_path for entry in entries}
    return frozenset(needed)
