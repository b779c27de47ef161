"""Runs the Pulumi program without the Pulumi engine: to look at it, or to build it on the emulator.

The program is the very ``platform/__main__.py`` that ``pulumi up`` runs. Every resource it declares
is either recorded (:func:`render`) or made by boto3 on the emulator (:func:`apply`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import json
import os
import runpy
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
import yaml
from pulumi.runtime import rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockEngine, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.stack import run_in_stack

from lakehouse.errors import EstateError
from localaws.handlers import Endpoint, create, reference

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = ROOT / "platform" / "__main__.py"
PROJECT: Final = "lakehouse"


@dataclass(frozen=True)
class Recorded:
    """A resource as the program declares it; ``inputs`` have the provider's own names."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    retain: bool


def render(stack: str, contracts: Path, changes: Mapping[str, Any] | None = None) -> list[Recorded]:
    """What the program declares for a stack, by type and name; nothing is built.

    ``changes`` are put over the top level of the stack's ``platform`` configuration.
    """
    monitor = _Monitor(_Recorder())
    _run(stack, contracts, monitor, changes)
    return sorted(monitor.recorded, key=lambda r: (r.type, r.name))


def apply(stack: str, contracts: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Build the stack on the emulator that ``env`` names (AWS_ENDPOINT_URL); the stack's outputs.

    May be repeated: what is there is brought up to date or left. Nothing is removed. Raises
    EstateError for a resource that the emulator does not take.
    """
    monitor = _Monitor(_Builder(Endpoint.from_env(env)))
    _run(stack, contracts, monitor, None)
    return monitor.outputs


def stack_config(stack: str) -> dict[str, Any]:
    """The ``config`` of ``Pulumi.<stack>.yaml``."""
    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml")))
        raise EstateError(f"no stack {stack!r}; expected one of {known}, or add {path.name}")
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return config


class _Monitor(MockMonitor):
    """Stands in for Pulumi's engine: passes on every resource, keeps what was declared."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.recorded: list[Recorded] = []
        self.outputs: dict[str, Any] = {}
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        if request.custom:
            recorded = Recorded(
                type=request.type,
                name=request.name,
                inputs=rpc.deserialize_properties(request.object),
                parent=request.parent.rpartition("::")[2],
                protect=request.protect,
                retain=request.retainOnDelete,
            )
            with self._lock:
                self.recorded.append(recorded)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi's mocks have no types

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        if "pulumi:pulumi:Stack::" in request.urn:
            self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # as above


class _Recorder(Mocks):
    """Answers as an account would that nobody can reach."""

    def call(self, args: MockCallArgs) -> Any:
        return _known(args.token, "123456789012", "eu-west-1")

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return reference(args.typ, args.name, args.inputs) if args.custom else ("", {})


class _Builder(Mocks):
    """Makes every resource on the emulator."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def call(self, args: MockCallArgs) -> Any:
        return _known(args.token, self._endpoint.account, self._endpoint.region)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return create(self._endpoint, args.typ, args.name, args.inputs) if args.custom else ("", {})


def _known(token: str, account: str, region: str) -> dict[str, str]:
    answers = {
        "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": account},
        "aws:index/getPartition:getPartition": {"partition": "aws"},
        "aws:index/getRegion:getRegion": {"region": region},
    }
    if token not in answers:
        raise EstateError(f"the program asks the account for {token}; add its answer to {__name__}")
    return answers[token]


def _run(stack: str, contracts: Path, monitor: _Monitor, changes: Mapping[str, Any] | None) -> None:
    config = stack_config(stack)
    if changes:
        config["lakehouse:platform"] = config["lakehouse:platform"] | dict(changes)
    config["lakehouse:contracts"] = str(contracts.resolve())
    # Pulumi keeps its state in context variables: one context a run, and runs do not meet.
    contextvars.Context().run(_run_here, stack, config, monitor)


def _run_here(stack: str, config: Mapping[str, Any], monitor: _Monitor) -> None:
    settings.reset_options(project=PROJECT, stack=stack)
    settings.configure(
        settings.Settings(
            project=PROJECT, stack=stack, monitor=monitor, engine=MockEngine(None), dry_run=False
        )
    )
    set_all_config(
        {key: v if isinstance(v, str) else json.dumps(v) for key, v in config.items()}, []
    )

    def program() -> None:
        runpy.run_path(str(PROGRAM), run_name="__main__")

    try:
        asyncio.run(run_in_stack(program))
    except pulumi.RunError as error:
        raise EstateError(str(error)) from None


def main() -> None:
    """Apply a stack to the emulator of the environment and print its outputs as JSON."""
    parser = argparse.ArgumentParser(prog="python -m localaws.apply", description=main.__doc__)
    parser.add_argument("stack", nargs="?", default="local")
    parser.add_argument("--contracts", type=Path, default=ROOT / "quality" / "contracts")
    args = parser.parse_args()
    try:
        outputs = apply(args.stack, args.contracts, os.environ)
    except EstateError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(json.dumps(outputs, indent=2) + "\n")


if __name__ == "__main__":
    main()
