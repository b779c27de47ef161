from __future__ import annotations

import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from tenacity import wait_none

from lakehouse.decoding.registry import GlueSchemaRegistry
from lakehouse.errors import EstateError, TransientError

ID = uuid.UUID("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")
SCHEMA = '{"type": "record", "name": "R", "fields": []}'


class Glue:
    def __init__(self) -> None:
        self.client: Any = boto3.client(
            "glue", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.answers = Stubber(self.client)
        self.answers.activate()
        self.now = 0.0
        self.registry = GlueSchemaRegistry(self.client, wait_none(), lambda: self.now)

    def answer(self, **fields: str) -> None:
        self.answers.add_response(
            "get_schema_version",
            {
                "SchemaVersionId": str(ID),
                "SchemaDefinition": SCHEMA,
                "DataFormat": "AVRO",
                "Status": "AVAILABLE",
            }
            | fields,
            {"SchemaVersionId": str(ID)},
        )

    def refuse(self, code: str, status: int = 400) -> None:
        self.answers.add_client_error("get_schema_version", code, http_status_code=status)


@pytest.fixture
def glue() -> Glue:
    return Glue()


def test_a_schema_is_asked_for_once(glue: Glue) -> None:
    glue.answer()
    found = [glue.registry.schema(ID) for _ in range(3)]
    assert found[0] == {"type": "record", "name": "R", "fields": []}
    assert found[1] is found[0]
    assert found[2] is found[0]
    glue.answers.assert_no_pending_responses()


def test_an_unknown_id_is_asked_for_again_after_a_while(glue: Glue) -> None:
    glue.refuse("EntityNotFoundException")
    assert glue.registry.schema(ID) is None
    glue.now = 59.0
    assert glue.registry.schema(ID) is None
    glue.answer()
    glue.now = 61.0
    assert glue.registry.schema(ID) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"DataFormat": "PROTOBUF"},
        {"Status": "FAILURE"},
        {"Status": "PENDING"},
        {"SchemaDefinition": "syntax = proto3"},
        {"SchemaDefinition": "[" * 100_000},
    ],
)
def test_a_schema_that_cannot_be_used_is_none(glue: Glue, fields: dict[str, str]) -> None:
    glue.answer(**fields)
    assert glue.registry.schema(ID) is None


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("InternalServiceException", 500), ("ServiceUnavailable", 503)],
)
def test_a_busy_registry_is_asked_again(glue: Glue, code: str, status: int) -> None:
    for _ in range(3):
        glue.refuse(code, status)
    glue.answer()
    assert glue.registry.schema(ID) is not None


def test_a_registry_that_stays_busy_is_a_transient_error_and_no_answer(glue: Glue) -> None:
    for _ in range(4):
        glue.refuse("ThrottlingException")
    with pytest.raises(TransientError, match=str(ID)):
        glue.registry.schema(ID)
    glue.answer()
    assert glue.registry.schema(ID) is not None


def test_a_registry_out_of_reach_is_a_transient_error() -> None:
    class Unreachable:
        calls = 0

        def get_schema_version(self, **_: str) -> None:
            self.calls += 1
            raise EndpointConnectionError(endpoint_url="https://glue")

    client = Unreachable()
    with pytest.raises(TransientError, match="no answer from the registry"):
        GlueSchemaRegistry(client, wait_none()).schema(ID)
    assert client.calls == 4


def test_a_registry_that_may_not_be_read_says_what_to_grant(glue: Glue) -> None:
    glue.refuse("AccessDeniedException")
    with pytest.raises(EstateError, match="glue:GetSchemaVersion"):
        glue.registry.schema(ID)


def test_an_error_of_another_kind_is_not_hidden(glue: Glue) -> None:
    glue.refuse("InvalidInputException")
    with pytest.raises(ClientError):
        glue.registry.schema(ID)
