"""Who sends: a role for each dataset whose producers or partners a stack names.

It puts into its dataset's stream, or below its folder in the landing zone, and reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.access.grants import KeyArns, Statement, allow
from estate.access.people import Principals, role
from estate.access.role import Rules
from estate.account import Account
from estate.storage.keys import Keys
from lakehouse import naming
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import EstateError

if TYPE_CHECKING:
    from estate.config import StackConfig

ProducersConfig = Mapping[str, Principals]
"""By dataset who may send to it: roles or users."""


class Producers(pulumi.ComponentResource):
    """The roles ``<prefix>-producer-<dataset>``."""

    def __init__(
        self,
        config: StackConfig,
        account: pulumi.Output[Account],
        keys: Keys,
        contracts: Contracts,
    ) -> None:
        super().__init__("lakehouse:estate:Producers", "producers")
        self.roles: dict[str, aws.iam.Role] = {}
        for dataset, principals in config.producers.items():
            self.roles[dataset] = role(
                self,
                f"producer-{dataset}",
                config.prefix,
                principals,
                _rules(contracts[dataset]),
                account=account,
                keys=keys,
            )
        self.register_outputs({})


def _rules(contract: Contract) -> Rules:
    return lambda account, keys: producer(account, keys, contract)


def producer(account: Account, keys: KeyArns, contract: Contract) -> list[Statement]:
    """Puts records or objects of one dataset; EstateError where nobody sends it from outside."""
    if contract.source == "files":
        return _drops(account, keys, contract)
    if contract.source == "stream" and contract.stream.arn is None:
        return _streams(account, keys, contract)
    raise EstateError(
        f"lakehouse:platform: producers: {contract.dataset!r} has source {contract.source!r}"
        f"{' in another account' if contract.stream.arn else ''}; expected a dataset that lands as "
        "files or has a stream of the estate's own: take it out"
    )


def _streams(account: Account, keys: KeyArns, contract: Contract) -> list[Statement]:
    stream = account.stream(contract.dataset)
    context = {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": stream}}
    puts = [
        allow(
            "Records",
            [
                "kinesis:DescribeStreamSummary",
                "kinesis:ListShards",
                "kinesis:PutRecord",
                "kinesis:PutRecords",
            ],
            [stream],
        ),
        allow("Key", ["kms:GenerateDataKey"], [keys["inbound"]], context),
    ]
    if contract.format.type != "avro" or contract.format.schema is not None:
        return puts
    registry = account.prefix
    return [
        *puts,
        allow(
            "Schemas",
            ["glue:GetSchemaByDefinition", "glue:RegisterSchemaVersion"],
            [
                account.arn("glue", f"registry/{registry}"),
                account.arn("glue", f"schema/{registry}/{contract.dataset}"),
            ],
        ),
        # A version is asked for by its id alone, for which IAM knows no resource.
        allow("SchemaVersions", ["glue:GetSchemaVersion"], ["*"]),
    ]


def _drops(account: Account, keys: KeyArns, contract: Contract) -> list[Statement]:
    bucket = account.bucket("landing")
    folder = f"{bucket}/{naming.landing_prefix(contract.dataset)}*"
    # The parts of a large file are put together under the key that each was encrypted with.
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    context = {"StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, folder]}}
    return [
        allow(
            "Objects",
            ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"],
            [folder],
        ),
        allow("Key", actions, [keys["inbound"]], context),
    ]
