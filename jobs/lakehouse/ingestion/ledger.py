"""The ledger of a dataset: which input each load covers, and which files hold it.

Every entry is written once and never changed. Two writers of one entry get the same answer: the
entry of the one who was first.

    <dataset>/ledger.json                 the ledger's identity
    <dataset>/plans/<load>.json           what a load covers, by part
    <dataset>/claims/<load>/<part>.json   what a part read, and the files that hold it
    <dataset>/landed/<key>/<version>      an object version that some load has covered
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lakehouse.errors import LedgerError, TransientError
from lakehouse.store import Store

_T = TypeVar("_T")


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a shard has been read.

    ``after``: everything up to and including ``sequence`` is read. The other kinds say where a
    shard begins that no load has read yet.
    """

    kind: Literal["after", "trim_horizon", "timestamp"]
    sequence: str = ""
    timestamp: datetime | None = None


class ShardStart(msgspec.Struct, frozen=True):
    """A shard and where a load begins to read it."""

    shard: str
    start: Position


class ShardEnd(msgspec.Struct, frozen=True):
    """How far a claim has read a shard; ``closed`` when it was read to its very end."""

    shard: str
    end: Position
    closed: bool
    behind_ms: int
    """MillisBehindLatest of the last answer."""


class ObjectRef(msgspec.Struct, frozen=True):
    """One version of an object in the landing zone."""

    key: str
    version: str
    size: int
    arrived_at: datetime


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task's share of a load: shards or objects."""

    shards: tuple[ShardStart, ...] = ()
    objects: tuple[ObjectRef, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """Where a part stops reading a stream, whichever comes first."""

    records: int = 1_000_000
    megabytes: int = 256
    seconds: float = 60.0


class StreamState(msgspec.Struct, frozen=True):
    """What is read of a stream before a load.

    ``positions`` of the open shards; ``finished`` shards as long as the stream may still list them;
    ``initial`` is where a shard begins that nobody has read; ``through`` is the time up to which
    everything that arrived was read, None while that is not known. It stands still while the state
    is ``childless``: a finished shard's children are not listed yet. ``began`` is when the first
    load was planned.
    """

    positions: Mapping[str, Position]
    finished: tuple[str, ...]
    initial: Position
    through: datetime | None = None
    childless: bool = False
    began: datetime | None = None


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a load covers. ``made_at`` is the ingestion time of all its records."""

    load: int
    made_at: datetime
    parts: tuple[Part, ...]
    limits: Limits = Limits()
    stream: StreamState | None = None
    accepted_loss: str = ""
    """What somebody let go, where the stream had lost it before it was planned."""


class ClaimedFile(msgspec.Struct, frozen=True):
    """A data file with the metrics that Iceberg keeps of it, by field id."""

    path: str
    size: int
    records: int
    day: int
    """Ingestion day as days since 1970-01-01: the file's partition."""
    column_sizes: dict[int, int]
    value_counts: dict[int, int]
    null_value_counts: dict[int, int]
    nan_value_counts: dict[int, int]
    lower_bounds: dict[int, bytes]
    upper_bounds: dict[int, bytes]
    split_offsets: list[int]


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a part read, where it is, and how much of it was good."""

    load: int
    part: int
    files: tuple[ClaimedFile, ...]
    good: int
    rejected: Mapping[str, int]
    """Rejects by reason code."""
    payload_bytes: int
    shards: tuple[ShardEnd, ...] = ()
    through: datetime | None = None
    """The time up to which everything that arrived was read; None: no later than before."""
    seconds: float = 0.0
    """How long reading and writing took."""
    accepted_loss: str = ""
    """What somebody let go, where the stream had lost it before it was read."""

    @property
    def records(self) -> int:
        """Deliveries read, good and rejected."""
        return self.good + sum(self.rejected.values())


class Ledger:
    """The ledger over a store; every method is safe to repeat and to race."""

    def __init__(
        self, store: Store, dataset: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._sleep = sleep
        self._identity: str | None = None
        self.dataset = dataset

    def identity(self) -> str:
        """The ledger's id, made at the first call by whoever comes first."""
        if self._identity is None:
            body = self._once(
                f"{self.dataset}/ledger.json", lambda: msgspec.json.encode({"id": uuid.uuid4().hex})
            )
            self._identity = str(msgspec.json.decode(body)["id"])
        return self._identity

    def plan(self, load: int) -> Plan | None:
        """The plan of a load, None when there is none yet."""
        return self._read(self._plan_key(load), Plan)

    def record_plan(self, plan: Plan) -> Plan:
        """The plan that holds: this one, or an earlier one of the same load."""
        body = self._once(self._plan_key(plan.load), lambda: msgspec.json.encode(plan))
        return msgspec.json.decode(body, type=Plan)

    def plans_after(self, load: int) -> list[int]:
        """The numbers of the planned loads above one, ascending."""
        after = self._plan_key(load) if load >= 0 else ""
        keys = self._store.list(f"{self.dataset}/plans/", after=after)
        return [int(key.rpartition("/")[2].removesuffix(".json")) for key in keys]

    def claim(self, load: int, part: int) -> Claim | None:
        """The claim of a part, None when nobody has made it yet."""
        return self._read(self._claim_key(load, part), Claim)

    def record_claim(self, claim: Claim) -> Claim:
        """The claim that holds: this one, or an earlier one of the same part."""
        key = self._claim_key(claim.load, claim.part)
        body = self._once(key, lambda: msgspec.json.encode(claim))
        return msgspec.json.decode(body, type=Claim)

    def claims(self, plan: Plan) -> list[Claim] | None:
        """The claims of a load by part, None while any part is without."""
        claims = [self.claim(plan.load, part) for part in range(len(plan.parts))]
        made = [claim for claim in claims if claim is not None]
        return made if len(made) == len(claims) else None

    def mark_landed(self, objects: tuple[ObjectRef, ...]) -> None:
        """Remember that some load covers these object versions."""
        for ref in objects:
            key = self._landed_key(ref.key, ref.version)
            self._once(key, lambda: b"{}")

    def landed(self) -> frozenset[tuple[str, str]]:
        """Key (quoted) and version (quoted) of each object version that some load covers."""
        prefix = f"{self.dataset}/landed/"
        pairs = (key.removeprefix(prefix).partition("/") for key in self._store.list(prefix))
        return frozenset((key, version) for key, _, version in pairs)

    def has_landed(self, landed: frozenset[tuple[str, str]], key: str, version: str) -> bool:
        """Whether an object version is among those of ``landed()``."""
        return (quote(key, safe=""), quote(version, safe="")) in landed

    def _plan_key(self, load: int) -> str:
        return f"{self.dataset}/plans/{load:012d}.json"

    def _claim_key(self, load: int, part: int) -> str:
        return f"{self.dataset}/claims/{load:012d}/{part:05d}.json"

    def _landed_key(self, key: str, version: str) -> str:
        return f"{self.dataset}/landed/{quote(key, safe='')}/{quote(version, safe='')}"

    def _read(self, key: str, kind: type[_T]) -> _T | None:
        body = self._store.get(key)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise LedgerError(
                f"ledger entry {key} is not a {kind.__name__.lower()} of this version: {error}; "
                "run the code version that wrote it, or a later one"
            ) from error

    def _once(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The first body ever put under the key; an open answer is settled by reading."""
        mine = make()
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            stop=stop_after_attempt(8),
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                try:
                    if self._store.put_if_absent(key, mine):
                        return mine
                except TransientError:
                    body = self._store.get(key)
                    if body is not None:
                        return body
                    raise
                body = self._store.get(key)
                if body is None:
                    raise LedgerError(
                        f"ledger entry {key} was refused as taken and is not there; "
                        "something deletes entries: check the bucket's lifecycle rules"
                    )
                return body
        raise AssertionError("unreachable: the last attempt raises")
