"""What a Glue job is told, parsed once."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import ContractError, InputError
from lakehouse.ingestion.ledger import Limits


class Approved(msgspec.Struct, frozen=True):
    """A held candidate that a person has approved."""

    dataset: str
    snapshot_id: int


class JobArgs(msgspec.Struct, frozen=True):
    """The arguments of a job.

    ``datasets`` is empty for all; ``accept_loss`` names those that go on over records which their
    stream lost; ``release`` is the code's name, empty where nobody said it; ``marts`` maps a mart's
    name to its SELECT, from the ``marts`` folder beside the contracts, else from the repository's;
    ``full`` makes marts anew as a whole, whatever has changed; ``openlineage`` is where lineage
    events go, empty for nowhere.
    """

    aws: Aws
    contracts: Contracts
    datasets: tuple[str, ...]
    group: str
    once: bool
    trigger_seconds: float
    limits: Limits
    accept_loss: tuple[str, ...]
    release: str
    marts: Mapping[str, str]
    run_id: str
    publish: Approved | None = None
    by: str = ""
    reason: str = ""
    full: bool = False
    openlineage: str = ""

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> JobArgs:
        """From the command line; what Glue adds of its own is ignored."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--prefix", required=True)
        parser.add_argument("--contracts", required=True)
        parser.add_argument("--datasets", default="")
        parser.add_argument("--group", default="main")
        parser.add_argument("--once", default="false", choices=["true", "false"])
        parser.add_argument("--trigger-seconds", type=float, default=1.0)
        parser.add_argument("--load-records", type=int, default=Limits().records)
        parser.add_argument("--load-megabytes", type=int, default=Limits().megabytes)
        parser.add_argument("--load-seconds", type=float, default=Limits().seconds)
        parser.add_argument("--accept-loss", default="")
        parser.add_argument("--release", default="")
        parser.add_argument("--publish", default="")
        parser.add_argument("--by", default="")
        parser.add_argument("--reason", default="")
        parser.add_argument("--full", default="false", choices=["true", "false"])
        parser.add_argument("--openlineage-url", default="")
        parser.add_argument("--lake-formation", default="false", choices=["true", "false"])
        parser.add_argument("--JOB_RUN_ID", default="by_hand")
        known, _ = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
        aws = Aws.from_env(known.prefix, lake_formation=known.lake_formation == "true")
        folder = _local(aws, known.contracts)
        return cls(
            aws=aws,
            contracts=load_contracts(folder),
            datasets=_names(known.datasets),
            group=known.group,
            once=known.once == "true",
            trigger_seconds=known.trigger_seconds,
            limits=Limits(known.load_records, known.load_megabytes, known.load_seconds),
            accept_loss=_names(known.accept_loss),
            release=known.release,
            marts=_marts(folder),
            run_id=known.JOB_RUN_ID,
            publish=_approved(known.publish),
            by=known.by,
            reason=known.reason,
            full=known.full == "true",
            openlineage=known.openlineage_url,
        )

    def streams(self) -> list[Contract]:
        """The contracts of the streams that this job ingests: its group's, of those it is given."""
        selected = self.contracts.select(self.datasets, "stream")
        return [contract for contract in selected if contract.group == self.group]

    def accepts_loss(self, contract: Contract) -> bool:
        """Whether the dataset goes on over records that its stream lost."""
        return contract.dataset in self.accept_loss


def _approved(text: str) -> Approved | None:
    dataset, _, snapshot = text.partition(":")
    if not text:
        return None
    if not dataset or not snapshot.isdecimal():
        raise InputError(f"--publish {text!r}; expected dataset:snapshot, such as planes:123")
    return Approved(dataset, int(snapshot))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _local(aws: Aws, location: str) -> Path:
    """The contracts as a local folder: itself, or a copy of what is below an S3 URI."""
    if not location.startswith("s3://"):
        return Path(location)
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    folder = Path(tempfile.mkdtemp(prefix="contracts-"))
    s3 = aws.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [item["Key"] for page in pages for item in page.get("Contents", [])]
    if not found:
        raise ContractError(f"no contract below {location}; deploy the estate again")
    for key in found:
        target = folder / key.removeprefix(prefix).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return folder


def _marts(folder: Path) -> dict[str, str]:
    for root in (folder / "marts", Path(__file__).parents[1] / "marts"):
        if root.is_dir():
            return {path.stem: path.read_text(encoding="utf-8") for path in root.glob("*.sql")}
    return {}
