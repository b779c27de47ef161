"""Runs the program for Pulumi's engine, which is told of it by ``--client``.

The engine's own host for Python starts an environment that a project names; here the program runs
in the interpreter of the tests, in a process of its own, and no host has to be installed.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc
import pulumi
import pulumi_aws

# What runs the programs of Pulumi's automation API. None of its public classes serves alone.
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc

from localaws.apply import PROGRAM, ROOT

_FOLDERS: Final = ("jobs", "platform", ".", "tests")


PLANTED: Final = "planted"
"""Word on the command line for the program with a mistake: a stream that is not encrypted."""


@contextmanager
def running(*words: str) -> Iterator[int]:
    """The port of this machine at which the program is run for whoever asks."""
    with subprocess.Popen(
        [sys.executable, "-m", "engine.language", *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / f) for f in _FOLDERS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def policy_host(folder: Path) -> None:
    """Put what starts a policy pack for the engine into a folder, which belongs on the PATH.

    It is asked for where the engine's own host for Python is not installed.
    """
    script = folder / "pulumi-analyzer-policy-python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -u -m pulumi.policy "$1" "$2"\n')
    script.chmod(0o755)


def program() -> None:
    """The very program of ``pulumi up``."""
    runpy.run_path(str(PROGRAM), run_name="__main__")


def planted() -> None:
    """The same program with a mistake in it."""

    def open_up(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != "aws:kinesis/stream:Stream":
            return None
        props = {**args.props, "encryption_type": "NONE", "kms_key_id": None}
        return pulumi.ResourceTransformationResult(props, args.opts)

    pulumi.runtime.register_stack_transformation(open_up)
    program()


def main() -> None:
    """Serve until nobody holds the other end of the input."""
    with warnings.catch_warnings():
        # These modules warn of their own deprecated classes when first looked into.
        warnings.simplefilter("ignore", DeprecationWarning)
        _ = pulumi_aws.s3.Bucket, pulumi_aws.ec2.Vpc
    chosen = planted if PLANTED in sys.argv else program
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(chosen), server)
    sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
    sys.stdout.flush()
    server.start()
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
