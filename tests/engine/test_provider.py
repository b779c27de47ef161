"""The stand-in provider speaks the engine's protocol; shown without the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from engine.provider import VERSION, Call, StandIn, serving
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

BUCKET = "aws:s3/bucket:Bucket"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"


@pytest.fixture
def account() -> StandIn:
    return StandIn()


@pytest.fixture
def engine(account: StandIn) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    with serving(account) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::lakehouse::lakehouse:estate:Lake${kind}::{name}"


def struct(**values: Any) -> Any:
    return json_format.ParseDict(values, struct_pb2.Struct())


def create(engine: Any, kind: str, name: str, *, preview: bool = False, **inputs: Any) -> Any:
    return engine.Create(
        provider_pb2.CreateRequest(
            urn=urn(kind, name), properties=struct(**inputs), preview=preview
        )
    )


def test_it_introduces_itself_as_the_provider_that_the_program_was_written_for(
    engine: Any,
) -> None:
    configured = engine.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True))

    assert engine.GetPluginInfo(empty_pb2.Empty()).version == VERSION
    assert configured.supportsPreview
    assert not configured.acceptSecrets


def test_what_is_created_is_held_and_can_be_read(engine: Any, account: StandIn) -> None:
    made = create(engine, BUCKET, "raw", bucket="acme-raw")
    read = engine.Read(provider_pb2.ReadRequest(urn=urn(BUCKET, "raw"), id=made.id))

    assert made.id == read.id == "acme-raw"
    assert made.properties["arn"] == read.properties["arn"] == "arn:aws:s3:::acme-raw"
    assert json_format.MessageToDict(read.inputs) == {"bucket": "acme-raw"}
    assert account.calls == [Call("create", BUCKET, "raw")]


def test_a_preview_makes_nothing_and_makes_nothing_up(engine: Any, account: StandIn) -> None:
    made = create(engine, BUCKET, "raw", preview=True, bucket="acme-raw")
    engine.Update(
        provider_pb2.UpdateRequest(urn=urn(BUCKET, "raw"), news=struct(bucket="b"), preview=True)
    )

    assert made.id == ""
    assert json_format.MessageToDict(made.properties) == {"bucket": "acme-raw"}
    assert (account.held, account.calls) == ({}, [])


def test_nothing_is_made_twice_but_what_aws_overwrites(engine: Any) -> None:
    create(engine, BUCKET, "raw", bucket="acme-raw")
    create(engine, OBJECT, "wanted", key="code/wanted")
    create(engine, OBJECT, "wanted", key="code/wanted")

    with pytest.raises(grpc.RpcError, match="AlreadyExists"):
        create(engine, BUCKET, "raw", bucket="acme-raw")


@pytest.mark.parametrize(
    ("changed", "replaced"),
    [
        ({"bucket": "acme-raw", "forceDestroy": True}, []),
        ({"bucket": "acme-raw", "forceDestroy": False, "tags": {"a": "b"}}, []),
        ({"bucket": "other-raw", "forceDestroy": False}, ["bucket"]),
        ({"bucket": "acme-raw"}, []),
    ],
)
def test_a_changed_input_is_a_difference_and_some_replace(
    engine: Any, changed: dict[str, Any], replaced: list[str]
) -> None:
    old = {"bucket": "acme-raw", "forceDestroy": False}

    found = engine.Diff(
        provider_pb2.DiffRequest(
            urn=urn(BUCKET, "raw"), old_inputs=struct(**old), news=struct(**changed)
        )
    )

    assert found.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(found.replaces) == replaced
    assert set(found.diffs) == {
        key for key in {**old, **changed} if old.get(key) != changed.get(key)
    }


def test_the_same_inputs_are_no_difference(engine: Any) -> None:
    same = struct(bucket="acme-raw", rules=[{"days": 7}])

    found = engine.Diff(
        provider_pb2.DiffRequest(urn=urn(BUCKET, "raw"), old_inputs=same, news=same)
    )

    assert found.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_an_update_changes_what_is_held(engine: Any, account: StandIn) -> None:
    made = create(engine, BUCKET, "raw", bucket="acme-raw")

    engine.Update(
        provider_pb2.UpdateRequest(
            urn=urn(BUCKET, "raw"), id=made.id, news=struct(bucket="acme-raw", forceDestroy=True)
        )
    )

    (held,) = account.held.values()
    assert held.inputs == {"bucket": "acme-raw", "forceDestroy": True}
    assert [call.verb for call in account.calls] == ["create", "update"]


def test_what_is_deleted_is_gone_and_cannot_be_deleted_again(engine: Any, account: StandIn) -> None:
    made = create(engine, BUCKET, "raw", bucket="acme-raw")
    gone = provider_pb2.DeleteRequest(urn=urn(BUCKET, "raw"), id=made.id)

    engine.Delete(gone)

    assert account.held == {}
    assert engine.Read(provider_pb2.ReadRequest(urn=urn(BUCKET, "raw"), id=made.id)).id == ""
    with pytest.raises(grpc.RpcError, match="NotFound"):
        engine.Delete(gone)


def test_a_resource_that_is_to_fail_is_refused_until_it_is_not(
    engine: Any, account: StandIn
) -> None:
    account.failing.add("raw")
    with pytest.raises(grpc.RpcError, match="ServiceUnavailable"):
        create(engine, BUCKET, "raw", bucket="acme-raw")
    assert account.held == {}

    account.failing.clear()
    assert create(engine, BUCKET, "raw", bucket="acme-raw").id == "acme-raw"


def test_it_answers_what_the_program_asks_and_refuses_the_rest(engine: Any) -> None:
    def ask(token: str) -> Any:
        return getattr(engine.Invoke(provider_pb2.InvokeRequest(tok=token)), "return")

    assert ask("aws:index/getRegion:getRegion")["region"] == "eu-west-1"
    assert list(ask("aws:index/getAvailabilityZones:getAvailabilityZones")["names"]) == [
        "eu-west-1a",
        "eu-west-1b",
        "eu-west-1c",
    ]
    with pytest.raises(grpc.RpcError, match="add the answer"):
        ask("aws:ec2/getAmi:getAmi")
