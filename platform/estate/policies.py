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
from lakehouse.naming import LAYERS

KeyArns = Mapping[KeyName, str]


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
        *_verdicts(account, "dataset=*", "approvals/*", "reports/*"),
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
        *_verdicts(account, "dataset=*", "approvals/*", "reports/*"),
        *use_keys(keys, read=["silver"], write=["gold", "operations"]),
    ]


def operate(
    account: Account, keys: KeyArns, job: str, streams: Sequence[Contract], *, environment: bool
) -> list[Statement]:
    """What a person decides on: replays rejects into bronze, rebuilds silver and gold.

    A replay carries out the load that it finds unfinished, so it may read what loads read.
    """
    return [
        *job_basics(account, job, environment=environment),
        *_reading(streams, account.stream("*")),
        *objects(account, "landing", versions=True),
        *objects(account, "ledger", write=True),
        *(s for layer in LAYERS for s in objects(account, layer, write=True, delete=True)),
        *(tables(account, layer, write=True) for layer in LAYERS),
        *_verdicts(account, "dataset=*", "operations/*"),
        *use_keys(keys, read=["inbound"], write=[*LAYERS, "operations"]),
    ]


def maintain(account: Account, keys: KeyArns, job: str, *, environment: bool) -> list[Statement]:
    """Rewrites files of every layer and removes those that nothing needs; makes no table."""
    return [
        *job_basics(account, job, environment=environment),
        *objects(account, "ledger"),
        *(s for layer in LAYERS for s in objects(account, layer, write=True, delete=True)),
        *(tables(account, layer) for layer in LAYERS),
        allow(
            "Rewritten",
            ["glue:UpdateTable"],
            [arn for layer in LAYERS for arn in account.tables(layer)],
        ),
        *_verdicts(account, "operations/*"),
        *use_keys(keys, write=[*LAYERS, "operations"]),
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
        allow(
            "Arrivals",
            [
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            [account.arn("sqs", f"{account.prefix}-arrivals")],
        ),
        allow("Alerts", ["sns:Publish"], [account.arn("sns", f"{account.prefix}-alerts")]),
        allow(
            "Secrets",
            ["secretsmanager:GetSecretValue"],
            [account.arn("secretsmanager", f"secret:{account.prefix}/airflow/*")],
        ),
        *use_keys(keys, read=["operations"], write=["inbound", "operations"]),
    ]


def mwaa(account: Account, keys: KeyArns) -> list[Statement]:
    """What MWAA itself does under Airflow's role: read its DAGs, log, measure, queue tasks.

    Source: the execution role of MWAA's user guide.
    """
    artifacts = account.bucket("artifacts")
    return [
        allow("AirflowObjects", ["s3:GetObject*"], [f"{artifacts}/airflow/*"]),
        allow(
            "AirflowBucket",
            ["s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:List*"],
            [artifacts],
        ),
        # S3 has no resource to name for this call, which MWAA makes before it starts.
        allow("AirflowAccount", ["s3:GetAccountPublicAccessBlock"], ["*"]),
        allow(
            "AirflowLogs",
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:GetLogEvents",
                "logs:GetLogGroupFields",
                "logs:GetLogRecord",
                "logs:GetQueryResults",
                "logs:PutLogEvents",
            ],
            [account.arn("logs", f"log-group:airflow-{account.prefix}-*")],
        ),
        # Nor have CloudWatch Logs and CloudWatch for these.
        allow("AirflowGroups", ["logs:DescribeLogGroups"], ["*"]),
        allow(
            "AirflowMetrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": "AmazonMWAA"}},
        ),
        allow(
            "AirflowHeartbeat",
            ["airflow:PublishMetrics"],
            [account.arn("airflow", f"environment/{account.prefix}")],
        ),
        # The queue of tasks is in an account of MWAA's own.
        allow(
            "AirflowTasks",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            [f"arn:{account.partition}:sqs:{account.region}:*:airflow-celery-*"],
        ),
        # It is encrypted, as the environment's objects are, with the environment's key.
        allow(
            "AirflowKey",
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
            [keys["operations"]],
            {
                "StringEquals": {
                    "kms:ViaService": [
                        f"{service}.{account.region}.amazonaws.com" for service in ("s3", "sqs")
                    ]
                }
            },
        ),
    ]


def in_network(account: Account) -> list[Statement]:
    """What a Glue job does to have its workers in the estate's network."""
    connection = account.arn("glue", f"connection/{account.prefix}-network")
    return [
        allow("Connection", ["glue:GetConnection"], [account.arn("glue", "catalog"), connection]),
        # EC2 has no resource to name for these calls.
        allow(
            "NetworkLooks",
            [
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeVpcEndpoints",
            ],
            ["*"],
        ),
        allow(
            "NetworkInterfaces",
            ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"],
            [
                account.arn("ec2", kind)
                for kind in ("network-interface/*", "security-group/*", "subnet/*")
            ],
        ),
        allow(
            "NetworkTags",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            [account.arn("ec2", "network-interface/*")],
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}},
        ),
    ]


def supervisor(account: Account, key: str, jobs: Sequence[str]) -> list[Statement]:
    """Starts the ingest jobs, and nothing else."""
    return [
        allow("Start", ["glue:StartJobRun"], [account.job(job) for job in jobs]),
        # What a schedule sends is encrypted, and read under the role that it acts by.
        allow("ScheduleKey", ["kms:Decrypt"], [key]),
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


def _reading(group: Sequence[Contract], *own: str) -> list[Statement]:
    """Rights on what the loads of streams read: ``own`` and those of other accounts."""
    framed = any(c.format.type == "avro" and c.format.schema is None for c in group)
    roles = {contract.stream.role for contract in group if contract.stream.role}
    return [
        allow(
            "Streams",
            [
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
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
