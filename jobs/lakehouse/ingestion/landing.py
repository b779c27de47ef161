"""Plans and reads loads of objects in the landing zone: file drops and pulled pages.

What is to be landed is always the listing less what the ledger has, so a message that is lost or
comes twice changes nothing. Each version of an object is landed once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import structlog
from msgspec.structs import replace
from pyiceberg.table import Table

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.decoding.decode import RowDecoder
from lakehouse.decoding.formats import object_records
from lakehouse.decoding.records import FileRecord
from lakehouse.ingestion.bronze import BronzeWriter
from lakehouse.ingestion.ledger import Claim, Ledger, ObjectRef, Plan
from lakehouse.ingestion.manifest import (
    Listed,
    ManifestError,
    Waiting,
    is_manifest,
    lacking,
    read_manifest,
)
from lakehouse.ingestion.objects import ObjectSource, listed
from lakehouse.ingestion.splits import SPLIT_BYTES, into_parts
from lakehouse.naming import landing_prefix

log = structlog.get_logger(__name__)
LOAD_OBJECTS: Final = 10_000
"""Objects that one load takes, or one set more; the rest makes further loads."""
_BATCH_RECORDS: Final = 20_000
"""Records decoded at a time, or fewer."""
_BATCH_BYTES: Final = 32 * 1024 * 1024


class LandingPlanner:
    """Plans loads of what is in a dataset's landing zone that no load covers yet, oldest first."""

    def __init__(
        self, aws: Aws, contract: Contract, ledger: Ledger, split_bytes: int = SPLIT_BYTES
    ) -> None:
        self._aws = aws
        self._contract = contract
        self._ledger = ledger
        self._split_bytes = split_bytes
        self._prefix = landing_prefix(contract.dataset)

    def next_plan(
        self, load: int, previous: Plan | None, claims: Sequence[Claim], now: datetime
    ) -> Plan | None:
        """See Planner."""
        del previous, claims
        if self._contract.format.manifest is None:
            fresh = heapq.nsmallest(LOAD_OBJECTS, self._fresh(), key=_age)
        else:
            fresh, waiting = self._whole_sets(self._contract.format.manifest)
            for held in waiting:
                waited = round((now - held.since).total_seconds())
                log.warning(
                    "landing_waits",
                    dataset=self._contract.dataset,
                    key=held.key,
                    objects=held.objects,
                    seconds=waited,
                    why=held.why,
                )
        if not fresh:
            return None
        parts = into_parts(fresh, self._contract.format, self._split_bytes)
        return Plan(load=load, made_at=now, parts=tuple(parts))

    def waiting(self) -> list[Waiting]:
        """What has arrived and waits for the rest of its set, or for a manifest; oldest first."""
        pattern = self._contract.format.manifest
        return self._whole_sets(pattern)[1] if pattern is not None else []

    def _fresh(self) -> Iterator[ObjectRef]:
        current = self._contract.format.manifest is not None
        found = listed(self._aws, self._prefix, current=current)
        return self._ledger.not_landed(found)

    def _whole_sets(self, pattern: str) -> tuple[list[ObjectRef], list[Waiting]]:
        """The objects of whole sets, oldest manifest first, and what has to wait."""
        data: dict[str, ObjectRef] = {}
        manifests: list[ObjectRef] = []
        for ref in self._fresh():
            if is_manifest(ref.key, self._contract.dataset, pattern):
                manifests.append(ref)
            else:
                data[ref.key] = ref
        sets: list[tuple[ObjectRef, Mapping[str, Listed]]] = []
        waiting: list[Waiting] = []
        for ref in sorted(manifests, key=_age):
            try:
                sets.append((ref, read_manifest(self._aws, ref, self._contract.dataset)))
            except ManifestError as error:
                waiting.append(Waiting(ref.key, ref.arrived_at, f"{error}; send another one"))
        there = data | self._landed_before({key for _, files in sets for key in files} - set(data))
        taken: dict[str, ObjectRef] = {}
        for ref, files in sets:
            why = lacking(files, there)
            if why is not None:
                waiting.append(Waiting(ref.key, ref.arrived_at, why))
            elif len(taken) < LOAD_OBJECTS:
                mine = {k: replace(data[k], rows=e.rows) for k, e in files.items() if k in data}
                taken = mine | taken | {ref.key: replace(ref, manifest=True)}
        named = {key for _, files in sets for key in files}
        lone = sorted((ref for key, ref in data.items() if key not in named), key=_age)
        if lone:
            why = f"no manifest that is called {pattern} names it"
            waiting.append(Waiting(lone[0].key, lone[0].arrived_at, why, len(lone)))
        return list(taken.values()), sorted(waiting, key=lambda held: held.since)

    def _landed_before(self, keys: set[str]) -> dict[str, ObjectRef]:
        """Those of the objects that are there, though an earlier load covers them."""
        if not keys:
            return {}
        found = listed(self._aws, self._prefix, current=True)
        return {ref.key: ref for ref in found if ref.key in keys}


def _age(ref: ObjectRef) -> tuple[datetime, str, str]:
    return ref.arrived_at, ref.key, ref.version


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
        """Read every object of the part, or its split of one."""
        for ref in self._plan.parts[self._part].objects:
            if ref.manifest:
                continue
            source = ObjectSource(
                self._aws, ref, f"load {self._plan.load} of {self._contract.dataset}"
            )
            split = None if ref.last is None else (ref.first, ref.last)
            count = 0
            for batch in _batches(object_records(source, self._contract, split)):
                self._add(ref, batch)
                count += len(batch)
            if ref.rows is not None and split is None and count != ref.rows:
                log.warning(
                    "landing_rows_differ", dataset=self._contract.dataset, key=ref.key,
                    version=ref.version, load=self._plan.load, expected=ref.rows, got=count,
                )  # fmt: skip
        return self._writer.claim()

    def abort(self) -> None:
        """See Attempt."""
        self._writer.abort()

    def _add(self, ref: ObjectRef, batch: Sequence[FileRecord]) -> None:
        payloads = [record.payload for record in batch]
        bodies: list[Any] = [r.payload if r.values is None else r.values for r in batch]
        is_text = self._contract.format.type == "csv"
        rows, rejects = (self._decoder.text if is_text else self._decoder.json)(bodies)
        self._writer.add(
            columns=self._decoder.columns(rows, rejects),
            rejects=rejects,
            payloads=payloads,
            source=ref.key,
            sequences=ref.version,
            indexes=pa.array([record.place for record in batch], pa.int64()),
            partition_keys=None,
            arrived_at=ref.arrived_at,
        )


def _batches(records: Iterator[FileRecord]) -> Iterator[list[FileRecord]]:
    batch: list[FileRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.payload)
        if len(batch) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
