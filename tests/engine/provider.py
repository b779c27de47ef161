"""A provider in this process that stands in for the AWS one under Pulumi's engine.

It keeps what it is asked to create in memory, answers with the ids and ARNs that the rendering has,
and notes every change in the order in which it was asked for it. The engine finds it by
``PULUMI_DEBUG_PROVIDERS=aws:<port>``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localaws.apply import answers
from localaws.handlers import reference

VERSION: Final = version("pulumi-aws")
REPLACING: Final = {
    "bucket": {"bucket"},
    "bucketObjectv2": {"bucket", "key"},
    "catalogDatabase": {"name"},
    "key": {"customerMasterKeySpec", "multiRegion"},
    "queue": {"name"},
    "role": {"name"},
    "stream": {"name"},
    "subnet": {"availabilityZone", "cidrBlock", "vpcId"},
    "vpc": {"cidrBlock"},
}
"""Inputs that AWS cannot change in place; the provider's schema calls them replaceOnChanges."""
OVERWRITTEN: Final = {"bucketObjectv2"}
"""Types of which AWS takes a second one by the same name in place of the first."""


@dataclass(frozen=True)
class Call:
    """A change that the engine asked for: ``create``, ``update`` or ``delete``."""

    verb: str
    type: str
    name: str


@dataclass(frozen=True)
class Held:
    """A resource as the account has it."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """The account: ``held`` is what is in it by URN, ``calls`` what was changed, in order."""

    def __init__(self, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.held: dict[str, Held] = {}
        self.calls: list[Call] = []
        self.failing: set[str] = set()
        """Names of resources whose creation AWS refuses."""
        self.watch: Callable[[Call], None] = lambda _call: None
        """Told of every change once it is done, before the engine is."""
        self._answers = answers(account, region)
        self._lock = threading.Lock()

    def inputs(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """What is in the account, by type and name."""
        return {_named(urn): held.inputs for urn, held in self.held.items()}

    def Handshake(self, _request: Any, _context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, _request: Any, _context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def Cancel(self, _request: Any, _context: Any) -> Any:
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, _context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, _context: Any) -> Any:
        return _difference(_plain(request.old_inputs), _plain(request.news), set())

    def Configure(self, _request: Any, _context: Any) -> Any:
        # A provider that takes no secrets gets them in plain, and the engine encrypts them again.
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Invoke(self, request: Any, context: Any) -> Any:
        if request.tok not in self._answers:
            _refuse(context, f"the program asks the account for {request.tok}; add the answer")
        return provider_pb2.InvokeResponse(**{"return": _struct(self._answers[request.tok])})

    def Check(self, request: Any, _context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, _context: Any) -> Any:
        kind, _ = _named(request.urn)
        fixed = REPLACING.get(_short(kind), set())
        return _difference(_plain(request.old_inputs), _plain(request.news), fixed)

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            # What AWS would make up is left out, and is unknown to the program.
            return provider_pb2.CreateResponse(properties=request.properties)
        kind, name = _named(request.urn)
        inputs = _plain(request.properties)
        with self._lock:
            if name in self.failing:
                _refuse(context, f"{kind} {name!r}: ServiceUnavailable, as the test wants it")
            if request.urn in self.held and _short(kind) not in OVERWRITTEN:
                _refuse(context, f"{kind} {name!r}: AlreadyExists")
            made, outputs = reference(kind, name, inputs)
            held = self.held[request.urn] = Held(made, inputs, {**inputs, **outputs})
        self._done("create", kind, name)
        return provider_pb2.CreateResponse(id=made, properties=_struct(held.outputs))

    def Read(self, request: Any, _context: Any) -> Any:
        held = self.held.get(request.urn)
        if held is None:
            # No id says that the resource is gone.
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=held.id, properties=_struct(held.outputs), inputs=_struct(held.inputs)
        )

    def Update(self, request: Any, context: Any) -> Any:
        if request.preview:
            return provider_pb2.UpdateResponse(properties=request.news)
        kind, name = _named(request.urn)
        inputs = _plain(request.news)
        with self._lock:
            if request.urn not in self.held:
                _refuse(context, f"{kind} {name!r}: NotFound")
            _, outputs = reference(kind, name, inputs)
            held = self.held[request.urn] = Held(request.id, inputs, {**inputs, **outputs})
        self._done("update", kind, name)
        return provider_pb2.UpdateResponse(properties=_struct(held.outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        kind, name = _named(request.urn)
        with self._lock:
            if self.held.pop(request.urn, None) is None:
                _refuse(context, f"{kind} {name!r}: NotFound")
        self._done("delete", kind, name)
        return empty_pb2.Empty()

    def _done(self, verb: str, kind: str, name: str) -> None:
        call = Call(verb, kind, name)
        with self._lock:
            self.calls.append(call)
        self.watch(call)


@contextmanager
def serving(provider: StandIn) -> Iterator[int]:
    """The port of this machine at which the provider answers."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def _difference(old: Mapping[str, Any], new: Mapping[str, Any], fixed: set[str]) -> Any:
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some,
        diffs=changed,
        replaces=[key for key in changed if key in fixed],
        # Names are the estate's own: no two resources can have one at the same time.
        deleteBeforeReplace=True,
    )


def _named(urn: str) -> tuple[str, str]:
    """Type and name of a resource."""
    _, _, types, name = urn.split("::", 3)
    return types.rpartition("$")[2], name


def _short(kind: str) -> str:
    return kind.split(":")[1].partition("/")[2]


def _plain(values: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(values)
    return found


def _struct(values: Mapping[str, Any]) -> Any:
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def _refuse(context: Any, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")
