from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.httpd import Server
from benchmarks.objects import Objects


@pytest.fixture
def url() -> Iterator[str]:
    with Server(Objects()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture
def s3(url: str) -> Any:
    client: Any = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="b")
    return client


def test_what_is_put_is_there_until_it_is_deleted(s3: Any) -> None:
    s3.put_object(Bucket="b", Key="a/x y+ü", Body=b"0123456789")
    assert s3.get_object(Bucket="b", Key="a/x y+ü")["Body"].read() == b"0123456789"
    part = s3.get_object(Bucket="b", Key="a/x y+ü", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.get_object(Bucket="b", Key="a/x y+ü", Range="bytes=-3")["Body"].read() == b"789"
    assert s3.head_object(Bucket="b", Key="a/x y+ü")["ContentLength"] == 10
    s3.copy_object(Bucket="b", Key="copy", CopySource={"Bucket": "b", "Key": "a/x y+ü"})
    s3.delete_object(Bucket="b", Key="a/x y+ü")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="b", Key="a/x y+ü")
    assert s3.get_object(Bucket="b", Key="copy")["Body"].read() == b"0123456789"


def test_a_conditional_put_takes_a_key_once(s3: Any) -> None:
    s3.put_object(Bucket="b", Key="k", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="b", Key="k", Body=b"second", IfNoneMatch="*")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert s3.get_object(Bucket="b", Key="k")["Body"].read() == b"first"


def test_keys_are_listed_in_order_and_pages(s3: Any) -> None:
    for key in ("d/1", "d/2", "d/sub/3", "e", "other"):
        s3.put_object(Bucket="b", Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2")

    def listed(**how: Any) -> list[str]:
        return [i["Key"] for page in pages.paginate(Bucket="b", **how) for i in page["Contents"]]

    assert listed(MaxKeys=2) == ["d/1", "d/2", "d/sub/3", "e", "other"]
    assert listed(Prefix="d/", StartAfter="d/1") == ["d/2", "d/sub/3"]
    folders = s3.list_objects_v2(Bucket="b", Delimiter="/")
    assert [item["Prefix"] for item in folders["CommonPrefixes"]] == ["d/"]
    assert [item["Key"] for item in folders["Contents"]] == ["e", "other"]
    s3.delete_objects(Bucket="b", Delete={"Objects": [{"Key": "d/1"}, {"Key": "e"}]})
    assert listed() == ["d/2", "d/sub/3", "other"]


def test_arrow_writes_by_parts_and_reads(s3: Any, url: str) -> None:
    del s3
    files = pafs.S3FileSystem(
        endpoint_override=url, access_key="test", secret_key="test", region="us-east-1"
    )
    body = bytes(range(256)) * 80_000
    with files.open_output_stream("b/big") as out:
        for start in range(0, len(body), 7_000_000):
            out.write(body[start : start + 7_000_000])
    with files.open_input_file("b/big") as file:
        assert file.read_buffer() == pa.py_buffer(body)
    assert files.get_file_info("b/big").size == len(body)


def test_a_body_in_signed_chunks_is_what_the_chunks_hold(s3: Any, url: str) -> None:
    chunks = (
        b"5;chunk-signature=0\r\nhello\r\n6;chunk-signature=1\r\n world\r\n"
        b"0\r\nx-amz-crc: 1\r\n\r\n"
    )
    headers = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "11"}
    httpx.put(f"{url}/b/chunked", content=chunks, headers=headers).raise_for_status()
    assert s3.get_object(Bucket="b", Key="chunked")["Body"].read() == b"hello world"
