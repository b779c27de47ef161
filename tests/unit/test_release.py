from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from structlog.testing import capture_logs

from lakehouse.aws import Aws
from lakehouse.release import another_wanted


@pytest.mark.parametrize(
    ("wanted", "running", "why"),
    [
        ("2", "1", "release 2 is wanted, this is 1"),
        ("1\n", "1", None),
        ("paused", "1", "ingestion is paused"),
        ("2", "", None),
        (None, "1", None),
    ],
)
def test_a_job_ends_only_for_another_release(
    wanted: str | None, running: str, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(Aws, "client", lambda *_: client)
    with Stubber(client) as stub:
        if wanted is None:
            stub.add_client_error("get_object", "NoSuchKey")
        else:
            asked = {"Bucket": "acme-artifacts", "Key": "code/wanted"}
            body = _body(wanted.encode())
            stub.add_response("get_object", {"Body": body}, asked)
        assert another_wanted(Aws("acme", "eu-west-1"), running)() == why


def test_a_job_that_cannot_ask_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(Aws, "client", lambda *_: client)
    with Stubber(client) as stub, capture_logs() as lines:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        assert another_wanted(Aws("acme", "eu-west-1"), "1")() is None
    assert [line["event"] for line in lines] == ["wanted_release_unknown"]


def _body(content: bytes) -> StreamingBody:
    import io

    return StreamingBody(io.BytesIO(content), len(content))
