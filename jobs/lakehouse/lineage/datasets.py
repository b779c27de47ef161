"""Tables, streams and objects as OpenLineage names datasets, with their facets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.naming.dataset import S3, AWSGlue

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.ledger import ObjectRef
from lakehouse.naming import Layer

_MOST_OBJECTS: Final = 100
"""Objects of one run that are inputs of their own; of more, their common prefix is one."""


class Datasets:
    """The datasets of one deployment in one account."""

    def __init__(self, aws: Aws, account: str) -> None:
        self._aws = aws
        self._account = account

    def stream(self, contract: Contract) -> InputDataset:
        """A Kinesis stream by its ARN: the account's service is the namespace."""
        arn = contract.stream.arn or (
            f"arn:aws:kinesis:{self._aws.region}:{self._account}:stream/"
            f"{self._aws.stream(contract.dataset)}"
        )
        namespace, _, name = arn.rpartition(":")
        return InputDataset(namespace, name)

    def objects(self, contract: Contract, refs: Iterable[ObjectRef]) -> list[InputDataset]:
        """Objects of the landing zone, each at its version."""
        found = list(refs)
        bucket = self._aws.bucket("landing")
        if len(found) > _MOST_OBJECTS:
            return [InputDataset(f"s3://{bucket}", f"{contract.dataset}/")]
        named = [(S3(bucket, ref.key), ref.version) for ref in found]
        return [
            InputDataset(
                s3.get_namespace(),
                s3.get_name(),
                facets={
                    "version": dataset_version_dataset.DatasetVersionDatasetFacet(version),
                },
            )
            for s3, version in named
        ]

    def table(self, table: str, version: str) -> InputDataset:
        """A table at a version: a snapshot, or of bronze a load."""
        layer, _, dataset = table.partition(".")
        naming = AWSGlue(self._aws.region, self._account, layer, dataset)
        facet = dataset_version_dataset.DatasetVersionDatasetFacet(version)
        return InputDataset(naming.get_namespace(), naming.get_name(), facets={"version": facet})

    def output(
        self, layer: Layer, contract: Contract, version: str, rows: int | None
    ) -> OutputDataset:
        """A table that was written, with its columns and the rows that were added."""
        table = self.written(layer, contract, version)
        if rows is not None:
            table.outputFacets = {
                "outputStatistics": (
                    output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rows)
                )
            }
        return table

    def written(self, layer: Layer, contract: Contract, version: str) -> OutputDataset:
        """A table at a version, with its columns."""
        naming = AWSGlue(self._aws.region, self._account, layer, contract.dataset)
        fields = [
            schema_dataset.SchemaDatasetFacetFields(
                field.name, field.type, field.description or None
            )
            for field in contract.fields
        ]
        return OutputDataset(
            naming.get_namespace(),
            naming.get_name(),
            facets={
                "schema": schema_dataset.SchemaDatasetFacet(fields),
                "version": dataset_version_dataset.DatasetVersionDatasetFacet(version),
            },
        )
