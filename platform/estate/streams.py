"""The Kinesis streams: one for every contract whose source is a stream of the estate's own."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
import pulumi_aws as aws

from estate.config import StackConfig
from lakehouse import naming
from lakehouse.contracts.model import Contract


class Streams(pulumi.ComponentResource):
    """One stream a contract, ``<prefix>-<dataset>``, encrypted with the given key."""

    def __init__(
        self, config: StackConfig, contracts: Iterable[Contract], key: pulumi.Output[str]
    ) -> None:
        super().__init__("lakehouse:estate:Streams", "streams")
        self.names: dict[str, pulumi.Output[str]] = {}
        for contract in (c for c in contracts if c.stream.arn is None):
            stream = aws.kinesis.Stream(
                contract.dataset,
                name=naming.stream(config.prefix, contract.dataset),
                stream_mode_details={"stream_mode": config.streams.mode},
                shard_count=config.streams.shards,
                retention_period=config.streams.retention_hours,
                max_record_size_in_kib=config.streams.max_record_kib,
                encryption_type="KMS",
                kms_key_id=key,
                tags={"dataset": contract.dataset, "owner": contract.owner},
                opts=pulumi.ResourceOptions(parent=self, protect=not config.disposable),
            )
            self.names[contract.dataset] = stream.name
        self.register_outputs({})
