"""What the role of each job may do, as pure functions of the account, the keys and the contracts.

The writer of a layer can read the layer below and nothing above; only its job publishes to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from estate.access.grants import KeyArns, Statement, allow, job_basics, objects, tables, use_keys
from estate.account import Account
from lakehouse.contracts.model import Contract
from lakehouse.naming import LAYERS


def ingest(
    account: Account, keys: KeyArns, job: str, group: Sequence[Contract], *, environment: bool
) -> list[Statement]:
    """A group's streams into the bronze tables of its own datasets."""
    datasets = [contract.dataset for contract in group]
    own = [f"{dataset}/*" for dataset in datasets]
    return [
        *job_basics(account, job, environment=environment),
        *_reading(group, *(account.stream(c.dataset) for c in group if not c.stream.arn)),
        *objects(account, "ledger", *own, write=True),
        # A losing attempt removes the files that it wrote.
        *objects(account, "bronze", *own, write=True, delete=True),
        tables(account, "bronze", *datasets, write=True, create=True),
        *use_keys(keys, read=["inbound"], write=["bronze", "operations"]),
    ]


def land(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Landed objects into bronze."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "landing", versions=True),
        *objects(account, "ledger", write=True),
        *objects(account, "bronze", write=True, delete=True),
        tables(account, "bronze", write=True, create=True),
        *use_keys(keys, read=["inbound"], write=["bronze", "operations"]),
    ]


def promote(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Bronze into silver, through the gate."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "bronze", listing=False),
        tables(account, "bronze"),
        *objects(account, "silver", write=True, delete=True),
        tables(account, "silver", write=True, create=True),
        *_verdicts(account, "dataset=*", "approvals/*", "reports/*"),
        *use_keys(keys, read=["bronze"], write=["silver", "operations"]),
    ]


def marts(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Silver into gold, through the gate."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "silver", listing=False),
        tables(account, "silver"),
        *objects(account, "gold", write=True, delete=True),
        tables(account, "gold", write=True, create=True),
        *_verdicts(account, "dataset=*", "approvals/*", "reports/*"),
        *use_keys(keys, read=["silver"], write=["gold", "operations"]),
    ]


def operate(
    account: Account, keys: KeyArns, job: str, streams: Sequence[Contract], *, environment: bool
) -> list[Statement]:
    """What a person decides on: replays rejects into bronze, rebuilds silver and gold.

    A replay carries out the load that it finds unfinished, so it may read what loads read; it
    plans none.
    """
    return [
        *job_basics(account, job, environment=environment),
        *_reading(streams, account.stream("*"), plan=False),
        *objects(account, "landing", versions=True, listing=False),
        *objects(account, "ledger", write=True),
        *(s for layer in LAYERS for s in objects(account, layer, write=True, delete=True)),
        # Who asks for the rejects of what was never loaded makes its table.
        *(tables(account, layer, write=True, create=layer == "bronze") for layer in LAYERS),
        *_verdicts(account, "dataset=*", "operations/*"),
        *use_keys(keys, read=["inbound"], write=[*LAYERS, "operations"]),
    ]


def maintain(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Rewrites files of every layer and removes those that nothing needs; makes no table."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "ledger"),
        *(s for layer in LAYERS for s in objects(account, layer, write=True, delete=True)),
        *(tables(account, layer, write=True) for layer in LAYERS),
        *_verdicts(account, "operations/*"),
        *use_keys(keys, write=[*LAYERS, "operations"]),
    ]


def _reading(group: Sequence[Contract], *own: str, plan: bool = True) -> list[Statement]:
    """Rights on what the loads of streams read, and are planned by: ``own``, other accounts'."""
    framed = any(c.format.type == "avro" and c.format.schema is None for c in group)
    roles = {contract.stream.role for contract in group if contract.stream.role}
    return [
        allow(
            "Streams",
            [
                *(["kinesis:DescribeStreamSummary"] if plan else []),
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                *(["kinesis:ListShards"] if plan else []),
            ],
            [*own, *(c.stream.arn for c in group if c.stream.arn)],
        ),
        # A writer schema is asked for by its version alone, for which IAM knows no resource.
        *([allow("Schemas", ["glue:GetSchemaVersion"], ["*"])] if framed else []),
        *([allow("OtherAccounts", ["sts:AssumeRole"], sorted(roles))] if roles else []),
    ]


def _verdicts(account: Account, *keys: str) -> list[Statement]:
    """Reads all verdicts, puts objects of some keys, and claims tables for the time of a run."""
    bucket = account.bucket("verdicts")
    put = ["s3:PutObject", "s3:AbortMultipartUpload"]
    return [
        *objects(account, "verdicts"),
        allow("VerdictsPut", put, [f"{bucket}/{key}" for key in (*keys, "runs/*")]),
        allow("VerdictsRelease", ["s3:DeleteObject"], [f"{bucket}/runs/*"]),
    ]
