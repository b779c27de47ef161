"""What Airflow may do, which is what every DAG may do, and what MWAA does under its role."""

from __future__ import annotations

from collections.abc import Sequence

from estate.access.grants import KeyArns, Statement, allow, objects, use_keys
from estate.account import Account


def airflow(account: Account, keys: KeyArns, jobs: Sequence[str]) -> list[Statement]:
    """Starts jobs, replaces what it pulled in the landing zone, reads verdicts; no table."""
    return [
        allow(
            "Jobs",
            [
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
            ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            [account.arn("sqs", f"{account.prefix}-arrivals")],
        ),
        allow("Alerts", ["sns:Publish"], [account.arn("sns", f"{account.prefix}-alerts")]),
        allow(
            "Secrets",
            ["secretsmanager:GetSecretValue"],
            [account.arn("secretsmanager", f"secret:{account.prefix}/airflow/*")],
        ),
        *use_keys(keys, write=["inbound", "operations"]),
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
        # It is encrypted, as the environment's objects are, with the environment's key, which the
        # DAGs may decrypt with already.
        allow(
            "AirflowKey",
            ["kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
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
