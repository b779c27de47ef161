"""The Kinesis streams: one for every contract whose source is a stream of the estate's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_aws as aws
from pydantic import Field, model_validator

from estate.settings import Settings
from lakehouse import naming
from lakehouse.contracts.model import Contract

if TYPE_CHECKING:
    from estate.config import StackConfig


class StreamsConfig(Settings):
    """Kinesis streams."""

    mode: Literal["ON_DEMAND", "PROVISIONED"] = "ON_DEMAND"
    shards: int | None = Field(default=None, ge=1, le=200)
    """Shards of each stream; PROVISIONED only."""
    retention_hours: int = Field(default=24, ge=24, le=8760)
    max_record_kib: int = Field(default=1024, ge=1024, le=10_240)
    compatibility: Literal["BACKWARD", "BACKWARD_ALL", "FULL", "FULL_ALL"] = "BACKWARD"
    """Of the versions of a registered schema."""

    @model_validator(mode="after")
    def _shards_fit_mode(self) -> StreamsConfig:
        if (self.mode == "PROVISIONED") != (self.shards is not None):
            raise ValueError(
                "shards is for PROVISIONED streams, which need it; ON_DEMAND streams have none"
            )
        return self


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
                tags={
                    "dataset": contract.dataset,
                    "group": contract.group,
                    "owner": contract.owner,
                },
                opts=config.holding(self),
            )
            self.names[contract.dataset] = stream.name
        self.register_outputs({})
