"""How recorded calls are read as questions to IAM."""

from __future__ import annotations

from typing import Any

import pytest
from support.awscalls import Asked, Reader
from support.recorder import Seen

JOB = {
    "Command": {"ScriptLocation": "s3://acme-artifacts/code/1/land.py"},
    "DefaultArguments": {"--extra-py-files": "s3://acme-artifacts/code/lakehouse-1.zip"},
}
DELETED = b"""<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a/1</Key></Object>
<Object><Key>a/2</Key></Object><Quiet>true</Quiet></Delete>"""


def seen(
    service: str = "s3",
    operation: str = "",
    *,
    caller: str = "acme-land",
    method: str = "GET",
    path: str = "/",
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: Any = None,
    status: int = 200,
    answer: Any = None,
) -> Seen:
    return Seen(
        caller, service, operation, method, path, query or {}, headers or {},
        {} if body is None else body, status, answer or {},
    )  # fmt: skip


def read(*calls: Seen) -> list[Asked]:
    return Reader("acme", {"acme-land": JOB}).asked(calls)


def put(create: str, **headers: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    named = [(f"s3:{name.replace('_', '-')}", value) for name, value in headers.items()]
    return ("s3:PutObject", "gold/x", (("s3:ObjectCreationOperation", create), *named))


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (seen(path="/acme-gold/x"), [("s3:GetObject", "gold/x")]),
        (seen(method="HEAD", path="/acme-gold/x"), [("s3:GetObject", "gold/x")]),
        (seen(path="/acme-gold/x", status=404),
         [("s3:GetObject", "gold/x"), ("s3:ListBucket", "gold")]),
        (seen(path="/acme-gold/x", query={"versionId": "1"}), [("s3:GetObjectVersion", "gold/x")]),
        (seen(path="/acme-gold", query={"list-type": "2", "prefix": "x/"}),
         [("s3:ListBucket", "gold", (("s3:prefix", "x/"),))]),
        (seen(path="/acme-gold", query={"versions": "", "prefix": "x/"}),
         [("s3:ListBucketVersions", "gold", (("s3:prefix", "x/"),))]),
        (seen(path="/acme-gold", query={"location": ""}), [("s3:GetBucketLocation", "gold")]),
        (seen(method="PUT", path="/acme-gold/x"), [put("true")]),
        (seen(method="PUT", path="/acme-gold/x", headers={"if-none-match": "*"}),
         [put("true", if_none_match="*")]),
        (seen(method="PUT", path="/acme-gold/x", headers={"if-match": "e"}),
         [put("true", if_match="e"), ("s3:GetObject", "gold/x")]),
        (seen(method="POST", path="/acme-gold/x", query={"uploads": ""}), [put("false")]),
        (seen(method="PUT", path="/acme-gold/x", query={"uploadId": "1"}), [put("false")]),
        (seen(method="POST", path="/acme-gold/x", query={"uploadId": "1"}), [put("true")]),
        (seen(method="PUT", path="/acme-gold/x", headers={"x-amz-copy-source": "/acme-silver/y"}),
         [put("true"), ("s3:GetObject", "silver/y")]),
        (seen(method="DELETE", path="/acme-gold/x", query={"uploadId": "1"}),
         [("s3:AbortMultipartUpload", "gold/x")]),
        (seen(method="DELETE", path="/acme-gold/x"), [("s3:DeleteObject", "gold/x")]),
        (seen(method="POST", path="/acme-gold", query={"delete": ""}, body=DELETED),
         [("s3:DeleteObject", "gold/a/1"), ("s3:DeleteObject", "gold/a/2")]),
        (seen("glue", "GetTable", body={"DatabaseName": "gold", "Name": "t"}),
         [("glue:GetTable", r) for r in ("catalog", "database/gold", "table/gold/t")]),
        (seen("glue", "UpdateTable", body={"DatabaseName": "gold", "TableInput": {"Name": "t"}}),
         [("glue:UpdateTable", r) for r in ("catalog", "database/gold", "table/gold/t")]),
        (seen("glue", "GetDatabase", body={"Name": "gold"}),
         [("glue:GetDatabase", r) for r in ("catalog", "database/gold")]),
        (seen("cloudwatch", "PutMetricData", body={"Namespace": "Lakehouse"}),
         [("cloudwatch:PutMetricData", "*", (("cloudwatch:namespace", "Lakehouse"),))]),
        (seen("sqs", "DeleteMessageBatch", body={"QueueUrl": "http://x/0/acme-arrivals"}),
         [("sqs:DeleteMessage", "{prefix}-arrivals")]),
        (seen("sns", body={"Action": "Publish", "TopicArn": "arn:aws:sns:e:1:acme-alerts"}),
         [("sns:Publish", "{prefix}-alerts")]),
        (seen("secretsmanager", "GetSecretValue", body={"SecretId": "acme/airflow/x"}),
         [("secretsmanager:GetSecretValue", "secret:{prefix}/airflow/x-AbCdEf")]),
        (seen("sts", body={"Action": "GetCallerIdentity"}), []),
        (seen(caller="test", path="/acme-gold/x"), []),
    ],
)  # fmt: skip
def test_a_call_is_read_as_what_iam_is_asked(call: Seen, asked: list[tuple[Any, ...]]) -> None:
    assert read(call) == [Asked("land", *question) for question in asked]


def test_an_iterator_belongs_to_the_stream_that_it_was_asked_of() -> None:
    calls = [
        seen("kinesis", "GetShardIterator", body={"StreamName": "acme-x"},
             answer={"ShardIterator": "a"}),
        seen("kinesis", "GetRecords", body={"ShardIterator": "a"},
             answer={"NextShardIterator": "b"}),
        seen("kinesis", "GetRecords", body={"ShardIterator": "b"}),
    ]  # fmt: skip

    assert [one.resource for one in read(*calls)] == ["stream/{prefix}-x"] * 3


def test_the_code_of_a_run_is_fetched_under_the_role_of_its_job() -> None:
    started = seen("glue", "StartJobRun", caller="acme-airflow", body={"JobName": "acme-land"})

    assert read(started) == [
        Asked("airflow", "glue:StartJobRun", "job/{prefix}-land"),
        Asked("land", "s3:GetObject", "artifacts/code/1/land.py"),
        Asked("land", "s3:GetObject", "artifacts/code/lakehouse-1.zip"),
    ]


@pytest.mark.parametrize(
    "call",
    [
        seen("dynamodb", "GetItem"),
        seen(method="PUT", path="/acme-gold"),
        seen(method="PATCH", path="/acme-gold/x"),
    ],
)
def test_a_call_that_is_not_understood_is_an_error(call: Seen) -> None:
    with pytest.raises(ValueError, match=r"teach it to awscalls\.py"):
        read(call)
