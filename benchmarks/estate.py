"""What the contestants run against: Kinesis and S3 stood in for, Glue's catalog by the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import msgspec
import yaml

from benchmarks.data import Bids
from benchmarks.replay import SERVE
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import load_contracts
from localaws.emulator import ACCOUNT_KEYS, Emulator
from localaws.processes import Process, free_port

PREFIX = "bench"
CONTRACT = Path(__file__).with_name("contract") / "bids.yaml"


class Estate(msgspec.Struct, frozen=True):
    """The running stand-ins."""

    scratch: Path
    kinesis: str
    s3: str
    glue: str
    sessions: tuple[int, ...]
    """The processes that serve, each of which leads a session."""

    @property
    def env(self) -> dict[str, str]:
        """The environment of every client."""
        return {
            **ACCOUNT_KEYS,
            "AWS_ENDPOINT_URL": self.glue,
            "AWS_ENDPOINT_URL_GLUE": self.glue,
            "AWS_ENDPOINT_URL_S3": self.s3,
            "AWS_ENDPOINT_URL_KINESIS": self.kinesis,
        }

    @property
    def aws(self) -> Aws:
        """The deployment of this process; its environment points here already."""
        return Aws.from_env(PREFIX)

    def serve(self, dataset: str, bids: Bids, shards: int, share: tuple[int, int] = (0, 1)) -> None:
        """Make a stream of a dataset from one share of as many as there are."""
        number, shares = share
        asked = {
            "StreamName": naming.stream(PREFIX, dataset),
            "Folder": bids.folder,
            "First": bids.spec.records * number // shares,
            "Last": bids.spec.records * (number + 1) // shares,
            "Shards": shards,
        }
        answer = httpx.post(self.kinesis, headers={"X-Amz-Target": SERVE}, json=asked, timeout=60)
        answer.raise_for_status()

    def deploy(self, datasets: Sequence[str]) -> Path:
        """Empty buckets and databases; the folder with a contract for each dataset."""
        s3, glue = self.aws.client("s3"), self.aws.client("glue")
        for purpose in naming.BUCKETS:
            bucket = self.aws.bucket(purpose)
            s3.create_bucket(Bucket=bucket)
            s3.delete_bucket(Bucket=bucket)
            s3.create_bucket(Bucket=bucket)
        present = {item["Name"] for item in glue.get_databases()["DatabaseList"]}
        for layer in naming.LAYERS:
            if layer in present:
                for table in glue.get_tables(DatabaseName=layer)["TableList"]:
                    glue.delete_table(DatabaseName=layer, Name=table["Name"])
            else:
                glue.create_database(DatabaseInput={"Name": layer})
        folder = self.scratch / "contracts"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for dataset in datasets:
            document = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
            document["id"] = document["schema"][0]["name"] = dataset
            (folder / f"{dataset}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        return folder


def contract() -> Contract:
    """The contract of the bids."""
    return load_contracts(CONTRACT.parent)["bids"]


@contextmanager
def estate(scratch: Path) -> Iterator[Estate]:
    """The stand-ins, running; this process's environment points to them from now on."""
    scratch.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        emulator = Emulator(free_port(), scratch)
        stack.callback(emulator.stop)
        emulator.wait_ready()
        kinesis, replay = _server(stack, "benchmarks.replay")
        s3, objects = _server(stack, "benchmarks.objects")
        running = Estate(
            scratch, kinesis, s3, emulator.url, (emulator.process.pid, replay, objects)
        )
        for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT")]:
            del os.environ[name]
        os.environ.update(running.env)
        yield running


def _server(stack: ExitStack, module: str) -> tuple[str, int]:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    stack.enter_context(process)
    stack.callback(Process.of(process.pid).end_session, 5)
    assert process.stdout is not None  # noqa: S101 - asked for above
    return process.stdout.readline().strip(), process.pid
