"""Plans and reads loads of objects in the landing zone: file drops and pulled pages.

What is to be landed is always the listing less what the ledger has, so a message that is lost or
comes twice changes nothing. Each version of an object is landed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import Reject, RowDecoder
from lakehouse.decoding.formats import FileRecord, file_records
from lakehouse.errors import DataLossError
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.ledger import Claim, Ledger, ObjectRef, Part, Plan
from lakehouse.naming import landing_prefix

_T = TypeVar("_T")
_PART_BYTES: Final = 64 * 1024 * 1024
_BATCH: Final = 20_000
"""Records decoded at a time."""


class LandingPlanner:
    """Plans one load of everything in a dataset's landing zone that no load covers yet."""

    def __init__(self, aws: Aws, ledger: Ledger) -> None:
        self._aws = aws
        self._ledger = ledger

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """See Planner."""
        del previous, claims
        landed = self._ledger.landed()
        fresh = [
            ref
            for ref in self._versions()
            if not self._ledger.has_landed(landed, ref.key, ref.version)
        ]
        if not fresh:
            return None
        fresh.sort(key=lambda ref: (ref.arrived_at, ref.key))
        return Plan(load=load, made_at=now, parts=tuple(into_parts(fresh)))

    def _versions(self) -> Iterator[ObjectRef]:
        pages = (
            self._aws.client("s3")
            .get_paginator("list_object_versions")
            .paginate(
                Bucket=self._aws.bucket("landing"), Prefix=landing_prefix(self._ledger.dataset)
            )
        )
        for page in pages:
            for item in page.get("Versions", []):
                if item["Key"].endswith("/"):
                    continue
                # Without versioning every object has the version "null"; its ETag tells them apart.
                known = item.get("VersionId", "null") != "null"
                yield ObjectRef(
                    key=item["Key"],
                    version=item["VersionId"] if known else f"etag-{item['ETag'].strip(chr(34))}",
                    size=item["Size"],
                    arrived_at=item["LastModified"],
                )


def into_parts(objects: Iterable[ObjectRef]) -> Iterator[Part]:
    """Objects in order, grouped so that no part reads much more than its share."""
    group: list[ObjectRef] = []
    for ref in objects:
        if group and sum(r.size for r in group) + ref.size > _PART_BYTES:
            yield Part(objects=tuple(group))
            group = []
        group.append(ref)
    if group:
        yield Part(objects=tuple(group))


class LandingAttempt:
    """One try at a part of a landing load; see ``loads.Attempt``."""

    def __init__(self, aws: Aws, table: Table, contract: Contract, plan: Plan, part: int) -> None:
        self._aws = aws
        self._contract = contract
        self._plan = plan
        self._part = part
        self._decoder = RowDecoder(contract)
        self._writer = BronzeWriter(table, contract, plan, part)

    def read(self) -> Claim:
        """Read every object of the part."""
        for ref in self._plan.parts[self._part].objects:
            records = file_records(self._fetch(ref), self._contract)
            row = 0
            for batch in _batches(records, _BATCH):
                self._add(ref, row, batch)
                row += len(batch)
        return self._writer.claim()

    def abort(self) -> None:
        """See Attempt."""
        self._writer.abort()

    def _fetch(self, ref: ObjectRef) -> bytes:
        s3 = self._aws.client("s3")
        bucket = self._aws.bucket("landing")
        which = {} if ref.version.startswith("etag-") else {"VersionId": ref.version}
        try:
            answer = s3.get_object(Bucket=bucket, Key=ref.key, **which)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "NoSuchVersion", "404"}:
                raise DataLossError(
                    f"s3://{bucket}/{ref.key} version {ref.version} is planned in load "
                    f"{self._plan.load} of {self._contract.dataset} and is gone; put that version "
                    "back, its load cannot be finished without it"
                ) from error
            raise
        body: bytes = answer["Body"].read()
        return body

    def _add(self, ref: ObjectRef, row: int, batch: Sequence[FileRecord]) -> None:
        payloads = [record.payload for record in batch]
        if any(record.values is not None for record in batch):
            values = [record.values or Reject("malformed", "no values") for record in batch]
            rows, rejects = self._decoder.text(values)
        else:
            rows, rejects = self._decoder.json(payloads)
        self._writer.add(
            columns=self._decoder.columns(rows, rejects),
            rejects=rejects,
            payloads=payloads,
            source=ref.key,
            sequences=ref.version,
            indexes=row,
            partition_keys=None,
            arrived_at=ref.arrived_at,
        )


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while batch := list(islice(items, size)):
        yield batch
