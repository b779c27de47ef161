"""The ledger of a dataset: which input each load covers, and which files hold it.

Every entry is written once and never changed. Two writers of one entry get the same answer: the
entry of the one who was first.

    <dataset>/ledger.json                 the ledger's identity
    <dataset>/plans/<load>.json           what a load covers, by part
    <dataset>/claims/<load>/<part>.json   what a part read, and the files that hold it
    <dataset>/landed/<key>!<version>      an object version that some load has covered
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Final, Literal, TypeVar
from urllib.parse import quote

import msgspec
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lakehouse.contracts.model import Contract
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


class ObjectRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of an object in the landing zone, or a split of it.

    A split are the records that begin from byte ``first`` to before ``last``; without ``last`` it
    is the whole object.
    """

    key: str
    version: str
    size: int
    arrived_at: datetime
    etag: str = ""
    first: int = 0
    last: int | None = None
    manifest: bool = False
    """Whether it only says which objects belong together; it is covered, and has no records."""
    rows: int | None = None
    """How many records its manifest says that it has."""


class RejectFilter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which rejects: those that meet every condition, by the row that says so now.

    ``codes`` are reasons, none for all; ``first`` to ``last`` the loads that brought the row, both
    included; ``since`` to before ``until`` when the record arrived.
    """

    codes: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Replay(msgspec.Struct, frozen=True):
    """What a replay covers: the rejects as of load ``upto``, decoded again by ``contract``.

    The contract stands here whole, as whoever carries the load out may know another one.
    """

    which: RejectFilter
    upto: int
    contract: Contract


class LoadRange(msgspec.Struct, frozen=True):
    """Loads from ``first`` to ``last``, both included."""

    first: int
    last: int


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task's share of a load: shards, objects, or the rejects that some loads brought."""

    shards: tuple[ShardStart, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    rejects: LoadRange | None = None


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
    replay: Replay | None = None


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
    outcomes: Mapping[str, Mapping[str, int]] = {}
    """Of a replay: how many rejects of a reason became what, also those that stay as they are."""

    @property
    def records(self) -> int:
        """Deliveries read, good and rejected."""
        return self.good + sum(self.rejected.values())


_NO_GROUP: Final[tuple[str | None, Iterator[tuple[str, str]]]] = (None, iter(()))
_AS_IT_IS: Final = frozenset(b"-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def ordered_name(key: str) -> str:
    """An object's key in the characters that suit a key of the ledger; sorted as the keys are.

    What is not kept becomes a character that sorts where it does, and its value; nothing sorts
    before ``!``.
    """
    return "".join(map(_ordered, key.encode()))


def _ordered(byte: int) -> str:
    if byte in _AS_IT_IS:
        return chr(byte)
    mark = "'" if byte < ord("-") else "=" if byte < ord("A") else "_" if byte < ord("a") else "~"
    return f"{mark}{byte:02x}"


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
        keys = list(dict.fromkeys(self._landed_key(ref.key, ref.version) for ref in objects))
        # They are marked in order, so where the last one is, all are.
        if len(keys) > 1 and self._store.get(keys[-1]) is not None:
            return
        for key in keys:
            self._once(key, lambda: b"{}")

    def not_landed(self, objects: Iterable[ObjectRef]) -> Iterator[ObjectRef]:
        """Those object versions that no load covers; ``objects`` come in the order of their keys.

        Both listings are gone through side by side. Raises LedgerError where one is out of order.
        """
        landed = groupby(self._landed(), key=lambda pair: pair[0])
        known, versions = next(landed, _NO_GROUP)
        last = ""
        for key, refs in groupby(objects, key=lambda ref: ref.key):
            if key < last:
                raise LedgerError(
                    f"the listing of {self.dataset}'s landing zone has {key!r} behind {last!r}; "
                    "expected the keys in order, without which what has landed cannot be told"
                )
            last, name = key, ordered_name(key)
            while known is not None and known < name:
                known, versions = next(landed, _NO_GROUP)
            covered = {version for _, version in versions} if known == name else set()
            yield from (ref for ref in refs if quote(ref.version, safe="") not in covered)

    def _landed(self) -> Iterator[tuple[str, str]]:
        prefix = f"{self.dataset}/landed/"
        for key in self._store.list(prefix):
            name, mark, version = key.removeprefix(prefix).rpartition("!")
            if not mark:
                raise LedgerError(
                    f"ledger entry {key} is not of this version, expected {prefix}<key>!<version>; "
                    "run the code version that wrote it: without it objects would land twice"
                )
            yield name, version

    def _plan_key(self, load: int) -> str:
        return f"{self.dataset}/plans/{load:012d}.json"

    def _claim_key(self, load: int, part: int) -> str:
        return f"{self.dataset}/claims/{load:012d}/{part:05d}.json"

    def _landed_key(self, key: str, version: str) -> str:
        return f"{self.dataset}/landed/{ordered_name(key)}!{quote(version, safe='')}"

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
