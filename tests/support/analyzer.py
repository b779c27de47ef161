"""The policy pack as Pulumi's engine has it: a process of its own, asked over gRPC."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from support.estategraph import properties
from support.rendered import ROOT

from localaws.apply import Recorded

PACK = ROOT / "platform" / "policies"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends where a text is not known yet."""


class Analyzer:
    """The engine's side of a running pack."""

    def __init__(self, stub: analyzer_pb2_grpc.AnalyzerStub) -> None:
        self._stub = stub

    def info(self) -> Any:
        return self._stub.GetAnalyzerInfo(empty_pb2.Empty())

    def ask(
        self, resources: Sequence[Recorded], unknown: frozenset[tuple[str, str]] = frozenset()
    ) -> list[Any]:
        """What the pack has to say about a stack; ``unknown`` are kinds and their properties."""
        request = analyzer_pb2.AnalyzeStackRequest(
            resources=[_resource(r, unknown) for r in resources]
        )
        return list(self._stub.AnalyzeStack(request, timeout=120).diagnostics)


@contextlib.contextmanager
def analyzer() -> Iterator[Analyzer]:
    """The pack, started as the engine starts it: by the SDK's launcher, in the pack's folder."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", "."],
        cwd=PACK,
        env=environment
        | {"PULUMI_PROJECT": "lakehouse", "PULUMI_STACK": "prod", "PULUMI_DRY_RUN": "true"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Analyzer(analyzer_pb2_grpc.AnalyzerStub(channel))
        finally:
            process.terminate()


def _resource(found: Recorded, unknown: frozenset[tuple[str, str]]) -> Any:
    kind = found.type.rpartition(":")[2]
    values = {
        key: UNKNOWN if (kind, key) in unknown else value
        for key, value in properties(found).items()
    }
    return analyzer_pb2.AnalyzerResource(
        type=found.type,
        name=found.name,
        urn=urn(found),
        properties=json_format.ParseDict(values, struct_pb2.Struct()),
        options=analyzer_pb2.AnalyzerResourceOptions(protect=found.protect),
    )


def urn(found: Recorded) -> str:
    return f"urn:pulumi:prod::lakehouse::{found.type}::{found.name}"
