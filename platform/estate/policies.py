"""What each role may do, as pure functions of the account, the keys and the contracts.

The writer of a layer can read the layer below and nothing above; only its job publishes to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from estate.account import Account
from estate.grants import Statement, allow, job_basics, objects, tables, use_keys
from estate.keys import KeyName
from lakehouse.contracts.model import Contract

KeyArns = Mapping[KeyName, str]


def ingest(
    account: Account, keys: KeyArns, job: str, group: Sequence[Contract], *, environment: bool
) -> list[Statement]:
    """A group's streams into the bronze tables of its own datasets."""
    datasets = [contract.dataset for contract in group]
    framed = any(c.format.type == "avro" and c.format.schema is None for c in group)
    roles = {contract.stream.role for contract in group if contract.stream.role}
    own = [f"{dataset}/*" for dataset in datasets]
    return [
        *job_basics(account, job, environment=environment),
        allow(
            "Streams",
            [
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ],
            [c.stream.arn or account.stream(c.dataset) for c in group],
        ),
        # A writer schema is asked for by its version alone, for which IAM knows no resource.
        *([allow("Schemas", ["glue:GetSchemaVersion"], ["*"])] if framed else []),
        *([allow("OtherAccounts", ["sts:AssumeRole"], sorted(roles))] if roles else []),
        *objects(account, "ledger", *own, write=True),
        # A losing attempt removes the files that it wrote.
        *objects(account, "bronze", *own, write=True, delete=True),
        tables(account, "bronze", *datasets, write=True),
        *use_keys(keys, read=["inbound"], write=["bronze", "operations"]),
    ]


def land(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Landed objects into bronze."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "landing", versions=True),
        *objects(account, "ledger", write=True),
        *objects(account, "bronze", write=True, delete=True),
        tables(account, "bronze", write=True),
        *use_keys(keys, read=["inbound"], write=["bronze", "operations"]),
    ]


def promote(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Bronze into silver, through the gate."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "bronze"),
        tables(account, "bronze"),
        *objects(account, "silver", write=True, delete=True),
        tables(account, "silver", write=True),
        *objects(account, "verdicts", write=True),
        *use_keys(keys, read=["bronze"], write=["silver", "operations"]),
    ]


def marts(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Silver into gold, through the gate."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "silver"),
        tables(account, "silver"),
        *objects(account, "gold", write=True, delete=True),
        tables(account, "gold", write=True),
        *objects(account, "verdicts", write=True),
        *use_keys(keys, read=["silver"], write=["gold", "operations"]),
    ]


def airflow(account: Account, keys: KeyArns, jobs: Sequence[str]) -> list[Statement]:
    """Starts jobs, replaces what it pulled in the landing zone, reads verdicts; no table."""
    return [
        allow(
            "Jobs",
            [
                "glue:BatchStopJobRun",
                "glue:GetJob",
                "glue:GetJobRun",
                "glue:GetJobRuns",
                "glue:StartJobRun",
            ],
            [account.job(job) for job in jobs],
        ),
        *objects(account, "landing", write=True, delete=True),
        *objects(account, "verdicts"),
        *use_keys(keys, read=["operations"], write=["inbound"]),
    ]


def flow_logs(group: str) -> list[Statement]:
    """Writes the network's flow logs, and nothing else."""
    return [
        allow(
            "FlowLogs",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [f"{group}:*"],
        )
    ]


def trust(account: Account, *services: str) -> dict[str, Any]:
    """Who may take a role: services, acting for this account alone."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
            }
        ],
    }
