"""The estate that is accepted: built by Pulumi on an account, or on this machine without it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

import yaml

from acceptance.datasets import Version
from acceptance.evidence import redacted
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.doctor.backend import INSTALL
from lakehouse.errors import EstateError
from localaws import local
from localaws.apply import ROOT, apply, stack_config

LOCAL: Final = local.STACK
Outputs = Mapping[str, Any]


class Estate(Protocol):
    """A stack that can be deployed again and again."""

    stack: str
    prefix: str
    region: str
    patience: float
    """Seconds that a run may take to start and do its work."""
    supervised: bool
    """Whether schedules start ingestion again by themselves."""
    enforces: bool
    """Whether IAM decides who may do what."""
    changes: Mapping[str, Any]
    """What is in force over the stack's file."""

    def up(self, version: Version, *, paused: bool = False) -> Outputs:
        """Deploy the stack with the acceptance's datasets in a version; its outputs."""

    def unchanged(self) -> str:
        """Deploy again what is there; in a few words, why that changes nothing.

        EstateError where it changes something.
        """

    def close(self) -> None:
        """Give back what only the acceptance needed."""


class LocalEstate:
    """The stack ``local``, in a home of its own."""

    stack = LOCAL
    patience = 240.0
    supervised = False
    enforces = False

    def __init__(self, home: Path, contracts: Path) -> None:
        """Starts the emulator and what runs jobs on it; nothing is built yet."""
        self._contracts = contracts
        self._home = home
        self.changes: Mapping[str, Any] = {}
        self._estate = local.up(
            home,
            contracts,
            lambda _: None,
            owner_pid=os.getpid(),
            build=lambda _contracts, _estate: None,
        )
        os.environ.update(self._estate.env)
        self.prefix = self._estate.prefix
        self.region = self._estate.env["AWS_REGION"]

    def up(self, version: Version, *, paused: bool = False) -> Outputs:
        """Apply the program."""
        self.changes = changed(self.stack, version, paused=paused)
        return apply(self.stack, self._contracts, self._estate.env, self.changes)

    def unchanged(self) -> str:
        """Apply it once more and compare what the emulator has, definition by definition."""
        before = _definitions(Aws.from_env(self.prefix))
        apply(self.stack, self._contracts, self._estate.env, self.changes)
        after = _definitions(Aws.from_env(self.prefix))
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        if changed:
            raise EstateError(
                f"applying the program again changes {', '.join(changed)}; mend their handlers in "
                "platform/localaws"
            )
        return f"{len(before)} definitions and objects are the same"

    def close(self) -> None:
        """Stop everything."""
        local.down(self._home)


class PulumiEstate:
    """A stack on an account, deployed by Pulumi's command line."""

    patience = 1_500.0
    supervised = True
    enforces = True

    def __init__(self, stack: str, logs: Path) -> None:
        """EstateError where Pulumi or the stack's datasets are missing; ``logs`` get its output."""
        config = stack_config(stack)
        platform = config["lakehouse:platform"]
        if not platform.get("acceptance"):
            raise EstateError(
                f"stack {stack} has no datasets to be accepted by; write 'acceptance: 1' below "
                f"lakehouse:platform in Pulumi.{stack}.yaml, which adds a stream and three tables"
            )
        pulumi = shutil.which("pulumi")
        if pulumi is None:
            raise EstateError(f"stack {stack} is deployed by Pulumi, which is not here; {INSTALL}")
        self._pulumi, self._logs = pulumi, logs
        self.stack = stack
        self.prefix = platform["prefix"]
        self.region = config.get("aws:region", "us-east-1")
        self.changes: Mapping[str, Any] = {}
        os.environ["AWS_REGION"] = self.region

    def up(self, version: Version, *, paused: bool = False) -> Outputs:
        """``pulumi up`` with a copy of the stack's file, in which only these settings differ."""
        self.changes = changed(self.stack, version, paused=paused)
        self._run("up", "--yes", "--skip-preview", "--config-file", str(self._config()))
        said = self._run("stack", "output", "--json")
        outputs: Outputs = json.loads(said)
        return outputs

    def unchanged(self) -> str:
        """A preview that fails where anything would change."""
        self._run("preview", "--expect-no-changes", "--config-file", str(self._config()))
        return "pulumi preview --expect-no-changes"

    def close(self) -> None:
        """The stack stays as it is."""

    def _config(self) -> Path:
        """The stack's file with the changes; what Pulumi itself noted in it stays."""
        source = ROOT / f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
        document["config"]["lakehouse:platform"] |= self.changes
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / source.name
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path.absolute()

    def _run(self, *arguments: str) -> str:
        """What a command of Pulumi prints; both of its outputs are kept beside the evidence."""
        command = [self._pulumi, *arguments, "--stack", self.stack, "--non-interactive"]
        self._logs.mkdir(parents=True, exist_ok=True)
        number = len(list(self._logs.glob("pulumi-*.log"))) + 1
        log = self._logs / f"pulumi-{number:02d}-{arguments[0]}.log"
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)  # noqa: S603 - the pulumi of PATH
            try:
                code = process.wait()
            except KeyboardInterrupt:
                # Pulumi was told too, and ends what is under way: killed, it would leave a lock,
                # and things that its state does not know.
                process.wait()
                raise
            finally:
                said, told = (_whole(stream) for stream in (out, err))
                log.write_text(redacted(said + told), encoding="utf-8")
        if code:
            words = (told.strip() or said.strip()).splitlines()
            raise EstateError(
                f"'pulumi {' '.join(arguments[:2])}' ended with code {code}: "
                f"{words[-1] if words else 'no output'}; read {log}, mend, and run again"
            )
        return said


def _whole(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()


def changed(stack: str, version: Version, *, paused: bool) -> dict[str, Any]:
    """The keys of a stack's ``platform`` that have to differ from its file, whole."""
    platform = stack_config(stack)["lakehouse:platform"]
    changes: dict[str, Any] = {}
    if platform.get("acceptance") != version:
        changes["acceptance"] = version
    jobs = platform.get("jobs", {})
    ingest = jobs.get("ingest", {})
    if ingest.get("paused", False) != paused:
        changes["jobs"] = jobs | {"ingest": ingest | {"paused": paused}}
    return changes


def _definitions(aws: Aws) -> dict[str, str]:
    """What a deployment consists of: a digest by the name of each object, job, stream, database."""
    found: dict[str, Any] = {}
    s3, glue, kinesis = (aws.client(name) for name in ("s3", "glue", "kinesis"))
    bucket = aws.bucket("artifacts")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            found[f"object {item['Key']}"] = item["ETag"]
    for page in glue.get_paginator("get_jobs").paginate():
        for job in page["Jobs"]:
            found[f"job {job['Name']}"] = {k: v for k, v in job.items() if not k.endswith("On")}
    for name in kinesis.list_streams()["StreamNames"]:
        shards = kinesis.list_shards(StreamName=name)["Shards"]
        found[f"stream {name}"] = [shard["ShardId"] for shard in shards]
    for layer in naming.LAYERS:
        database = glue.get_database(Name=layer)["Database"]
        found[f"database {layer}"] = database.get("LocationUri")
    return {name: _digest(value) for name, value in found.items()}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
