"""Runs the Pulumi program without the Pulumi engine: to look at it, or to build it on the emulator.

The program is the very ``platform/__main__.py`` that ``pulumi up`` runs. Every resource it declares
is either recorded (:func:`render`) or made by boto3 on the emulator (:func:`apply`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import functools
import json
import os
import runpy
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_aws
import yaml
from google.protobuf import (  # type: ignore[import-untyped]  # protobuf ships no types
    empty_pb2,
    json_format,
    struct_pb2,
)
from pulumi.runtime import rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockEngine
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack

from lakehouse.errors import EstateError
from localaws.handlers import Endpoint, create, reference

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = ROOT / "platform" / "__main__.py"
PROJECT: Final = "lakehouse"
CONTRACTS: Final = ROOT / "quality" / "contracts"
"""The repository's own."""
COMPONENTS: Final = "lakehouse:estate"
"""Start of the types of the estate's own parts."""

Make = Callable[[str, str, Mapping[str, Any]], tuple[str, Mapping[str, Any]]]
"""Makes a resource of a type, name and inputs; its id, and its outputs beside the inputs."""


@dataclass(frozen=True)
class Recorded:
    """A resource as the program declares it; ``inputs`` have the provider's own names."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    retain: bool
    component: str = ""
    """The part of the estate that it belongs to, such as ``Lake``."""
    uses: frozenset[tuple[str, str]] = frozenset()
    """Type and name of what its inputs are made from, and of what it waits for."""


def render(
    stack: str,
    contracts: Path,
    changes: Mapping[str, Any] | None = None,
    make: Make = reference,
) -> list[Recorded]:
    """What the program declares for a stack, by type and name; nothing is built.

    ``changes`` are put over the top level of the stack's ``platform`` configuration; ``make`` says
    what a resource answers to those that are made from it.
    """
    monitor = _Monitor(make, "123456789012", "eu-west-1")
    _run(stack, contracts, monitor, changes)
    return sorted(monitor.recorded, key=lambda r: (r.type, r.name))


def render_program(
    program: Path, project: str, stack: str, config: Mapping[str, Any], make: Make = reference
) -> list[Recorded]:
    """What another program of the repository declares under a configuration; nothing is built."""
    monitor = _Monitor(make, "123456789012", "eu-west-1")
    contextvars.Context().run(_run_here, program, project, stack, config, monitor)
    return sorted(monitor.recorded, key=lambda r: (r.type, r.name))


def render_outputs(stack: str, contracts: Path) -> dict[str, Any]:
    """What a stack would say once it is up, with made-up ids; nothing is built."""
    monitor = _Monitor(reference, "123456789012", "eu-west-1")
    _run(stack, contracts, monitor, None)
    return monitor.outputs


def apply(
    stack: str,
    contracts: Path,
    env: Mapping[str, str],
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the stack on the emulator that ``env`` names (AWS_ENDPOINT_URL); the stack's outputs.

    May be repeated: what is there is brought up to date or left. Nothing is removed. ``changes``
    are put over the top level of the stack's ``platform`` configuration. Raises EstateError for a
    resource that the emulator does not take.
    """
    endpoint = Endpoint.from_env(env)
    monitor = _Monitor(functools.partial(create, endpoint), endpoint.account, endpoint.region)
    _run(stack, contracts, monitor, changes)
    return monitor.outputs


def stack_config(stack: str) -> dict[str, Any]:
    """The ``config`` of ``Pulumi.<stack>.yaml``."""
    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml")))
        raise EstateError(f"no stack {stack!r}; expected one of {known}, or add {path.name}")
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return config


def answers(account: str, region: str) -> dict[str, Mapping[str, Any]]:
    """What the program may ask an account in a region, and what it is told."""
    return {
        "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": account},
        "aws:index/getPartition:getPartition": {"partition": "aws"},
        "aws:index/getRegion:getRegion": {"region": region},
        "aws:index/getAvailabilityZones:getAvailabilityZones": {
            "names": [f"{region}{letter}" for letter in "abc"]
        },
    }


class _Monitor:
    """Stands in for Pulumi's engine: hands every resource on to ``make`` and keeps its inputs.

    Pulumi's own ``MockMonitor`` would do, but for the event loops that it leaves open in threads.
    """

    def __init__(self, make: Make, account: str, region: str) -> None:
        self.recorded: list[Recorded] = []
        self.outputs: dict[str, Any] = {}
        self._make = make
        self._answers = answers(account, region)
        self._retained: set[str] = set()
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, _request: object) -> Any:  # noqa: N802 - the engine's name
        return resource_pb2.DeploymentInfo()

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        if request.tok not in self._answers:
            raise EstateError(
                f"the program asks the account for {request.tok}; add the answer to {__name__}"
            )
        return resource_pb2.ResourceInvokeResponse(
            **{"return": _struct(self._answers[request.tok])}
        )

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        parents = request.parent.split("::")[2] if request.parent else ""
        kind = f"{parents}${request.type}" if parents else request.type
        urn = f"urn:pulumi:{settings.get_stack()}::{settings.get_project()}::{kind}::{request.name}"
        with self._lock:
            # As the engine has it: who does not decide is retained as its parent is.
            told = request.HasField("retainOnDelete")
            if request.retainOnDelete if told else request.parent in self._retained:
                self._retained.add(urn)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        recorded = Recorded(
            type=request.type,
            name=request.name,
            inputs=rpc.deserialize_properties(request.object),
            parent=request.parent.rpartition("::")[2],
            protect=request.protect,
            retain=urn in self._retained,
            component=parents.partition(f"{COMPONENTS}:")[2].partition("$")[0],
            uses=frozenset(_known(used) for used in request.dependencies),
        )
        with self._lock:
            self.recorded.append(recorded)
        made, outputs = self._make(recorded.type, recorded.name, recorded.inputs)
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=made, object=_struct({**recorded.inputs, **outputs})
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = rpc.deserialize_properties(request.outputs)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, _request: object) -> Any:  # noqa: N802 - the engine's name
        return empty_pb2.Empty()


def _known(urn: str) -> tuple[str, str]:
    """The type and name of a resource."""
    *_, types, name = urn.split("::")
    return types.rpartition("$")[2], name


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def _run(stack: str, contracts: Path, monitor: _Monitor, changes: Mapping[str, Any] | None) -> None:
    config = stack_config(stack)
    if changes:
        config["lakehouse:platform"] = config["lakehouse:platform"] | dict(changes)
    config["lakehouse:contracts"] = str(contracts.resolve())
    # Pulumi keeps its state in context variables: one context a run, and runs do not meet.
    contextvars.Context().run(_run_here, PROGRAM, PROJECT, stack, config, monitor)


def _run_here(
    path: Path, project: str, stack: str, config: Mapping[str, Any], monitor: _Monitor
) -> None:
    settings.reset_options(project=project, stack=stack)
    settings.configure(
        settings.Settings(
            project=project, stack=stack, monitor=monitor, engine=MockEngine(None), dry_run=False
        )
    )
    set_all_config(
        {key: v if isinstance(v, str) else json.dumps(v) for key, v in config.items()}, []
    )

    with warnings.catch_warnings():
        # These modules warn of their own deprecated classes, which they define when first looked
        # into.
        warnings.simplefilter("ignore", DeprecationWarning)
        _ = pulumi_aws.s3.Bucket, pulumi_aws.ec2.Vpc

    async def program() -> None:
        runpy.run_path(str(path), run_name="__main__")
        # Pulumi's own wait goes through all that is outstanding whenever one thing is done, which
        # is a third of a large stack's time; it finds these done.
        while waiting := [one for one in settings.SETTINGS.outputs if not one.done()]:
            await asyncio.wait(waiting)

    async def run() -> None:
        # Pulumi raises the first error; all that waited for the same resource fails with it and
        # would be printed, a traceback each.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await run_in_stack(program)

    try:
        asyncio.run(run())
    except pulumi.RunError as error:
        raise EstateError(str(error)) from None


def main() -> None:
    """Apply a stack to the emulator of the environment and print its outputs as JSON."""
    parser = argparse.ArgumentParser(prog="python -m localaws.apply", description=main.__doc__)
    parser.add_argument("stack", nargs="?", default="local")
    parser.add_argument("--contracts", type=Path, default=CONTRACTS)
    args = parser.parse_args()
    try:
        outputs = apply(args.stack, args.contracts, os.environ)
    except EstateError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(json.dumps(outputs, indent=2) + "\n")


if __name__ == "__main__":
    main()
