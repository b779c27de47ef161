"""The protocol with one step broken, each in a way that looks harmless until something crashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from unittest import mock

import msgspec
from model.deployment import Deployment, World
from model.lake import Commits
from model.schedule import Emphasis
from model.shards import Shards

from lakehouse.errors import PublishConflictError
from lakehouse.ingestion import replay, streamplan, streamread
from lakehouse.ingestion.kinesis import Page, Stream
from lakehouse.ingestion.ledger import Claim, ClaimedFile, Ledger, Plan, Position, StreamState
from lakehouse.ingestion.loads import Loads, LoadTable, Progress, TableState
from lakehouse.ingestion.replay import ReplayPlanner
from lakehouse.ingestion.streamplan import after_load, with_children


@dataclass(frozen=True)
class Variant:
    """What is broken, and the violation that it leads to sooner or later."""

    found: str
    """A pattern of the violation."""
    deployment: Callable[[World], Deployment] = Deployment
    patches: tuple[tuple[object, str, object], ...] = ()
    emphasis: Emphasis | None = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for target, name, broken in self.patches:
                stack.enter_context(mock.patch.object(target, name, broken))
            yield


def with_ledger(kind: type[Ledger]) -> type[Deployment]:
    class Varied(Deployment):
        ledger_type = kind

    return Varied


def with_loads(kind: type[Loads]) -> type[Deployment]:
    class Varied(Deployment):
        loads_type = kind

    return Varied


class OverwritingLedger(Ledger):
    def record_claim(self, claim: Claim) -> Claim:
        super().record_claim(claim)
        objects = self._store.objects  # type: ignore[attr-defined]  # the model's own store
        objects[self._claim_key(claim.load, claim.part)] = msgspec.json.encode(claim)
        return claim


class ForgetfulLedger(Ledger):
    """Records plans, and goes by its own all the same."""

    def record_plan(self, plan: Plan) -> Plan:
        super().record_plan(plan)
        return plan


class HastyLedger(Ledger):
    """Takes a load for complete by the claims that are there."""

    def claims(self, plan: Plan) -> list[Claim] | None:
        found = [self.claim(plan.load, part) for part in range(len(plan.parts))]
        return [claim for claim in found if claim is not None]


class BlindLoads(Loads):
    """Publishes a load without asking whether the table has it."""

    def _append(self, load: int, files: Sequence[ClaimedFile]) -> bool:
        for _ in range(self._attempts):
            seen = self._state()
            try:
                self._table.append(seen, files, TableState(load, self.ledger.identity()))
            except PublishConflictError:
                continue
            return True
        raise PublishConflictError("the table moved")


class SkippingLoads(Loads):
    """Takes an unclaimed load for an empty one: plans the next and publishes over it."""

    def progress(self) -> Progress:
        found = super().progress()
        if found.pending is None or self.ledger.claims(found.pending) is not None:
            return found
        return Progress(None, found.pending, (), found.pending.load + 1)

    def _check_between(self, published: int, load: int) -> None:
        del published, load


class UnclaimedOrphans(Deployment):
    """Removes what the table does not reference, claimed or not."""

    def orphan_ledger(self) -> Ledger:
        class NoClaims(Ledger):
            def claim(self, load: int, part: int) -> None:
                del load, part

        return NoClaims(self.world.store, "d", sleep=lambda _: None)


class YoungOrphans(Deployment):
    """Removes what is not claimed yet, however young it is."""

    orphan_age = timedelta(0)


class ProgressFirst(Commits):
    """Says which load the table holds in a commit of its own, before that of the files."""

    def append(self, seen: TableState, files: Sequence[ClaimedFile], becomes: TableState) -> None:
        super().append(seen, (), becomes)
        super().append(self.state(), files, becomes)


class ProgressOutside(Deployment):
    def commits(self) -> LoadTable:
        return ProgressFirst(self.world.table)


class Tip(Shards):
    """Begins at the tip of a shard where a start at an instant is asked for."""

    def iterator(self, shard: str, position: Position) -> str:
        if position.kind == "timestamp":
            position = Position("timestamp", timestamp=self._scheduler.now)
        return super().iterator(shard, position)


class LatestNotPinned(Deployment):
    def stream(self) -> Stream:
        self.world.stream.__class__ = Tip
        return super().stream()


def read_through_the_end(page: Page, asked: datetime, before: datetime | None) -> datetime:
    """Takes the end of a closed shard for the present."""
    del before
    return asked - timedelta(milliseconds=page.MillisBehindLatest)


def eager_children(state: StreamState, shards: streamplan.Shards) -> StreamState:
    """Begins every shard as soon as it is listed."""
    found = with_children(state, shards)
    new = dict.fromkeys(shards.keys() - found.positions.keys() - set(found.finished), state.initial)
    return msgspec.structs.replace(found, positions={**found.positions, **new})


def forgetful_children(state: StreamState, shards: streamplan.Shards) -> StreamState:
    """Forgets finished shards that a listing does not have, be it behind or not."""
    found = with_children(state, shards)
    parents = {parent for parents in shards.values() for parent in parents}
    kept = tuple(s for s in found.finished if s in shards or s in parents)
    return msgspec.structs.replace(found, finished=kept)


def unmoved_by_children(state: StreamState, shards: streamplan.Shards) -> StreamState:
    """Lets ``through`` move on while children are not listed."""
    return msgspec.structs.replace(with_children(state, shards), childless=False)


_LOST: Final = "is not in the table|trimmed unread"
_TWICE: Final = "in the table twice|adds files again"

VARIANTS: Final = {
    "a claim overwrites an earlier one": Variant(
        "changed|cannot be published before", with_ledger(OverwritingLedger)
    ),
    "a load is published without a look at the table's": Variant(
        f"{_TWICE}|went from load", with_loads(BlindLoads)
    ),
    "each driver goes by its own plan": Variant(
        f"{_LOST}|{_TWICE}|says that all was read",
        with_ledger(ForgetfulLedger),
        emphasis=Emphasis(weights={"driver": 12, "produce": 15, "time": 0}, start="latest"),
    ),
    "orphan removal ignores claims": Variant("deleted", UnclaimedOrphans),
    "orphan removal ignores age": Variant(
        "deleted", YoungOrphans, emphasis=Emphasis(weights={"maintenance": 10, "time": 0})
    ),
    "a child is read before its parents' end": Variant(
        "comes before", patches=((streamplan, "with_children", eager_children),)
    ),
    "a load is published with parts unclaimed": Variant(
        f"{_LOST}|{_TWICE}|says that all was read", with_ledger(HastyLedger)
    ),
    "an unclaimed load is taken for an empty one": Variant(
        f"{_LOST}|{_TWICE}|comes before", with_loads(SkippingLoads)
    ),
    "progress is committed before the files": Variant(
        f"{_LOST}|was to be replayed", ProgressOutside
    ),
    "LATEST is not pinned": Variant(_LOST, LatestNotPinned),
    "a waiting plan is read without a check for loss": Variant(
        "trimmed unread",
        patches=((streamread.StreamAttempt, "_check_loss", lambda *_: None),),
    ),
    "the end of a closed shard counts as the present": Variant(
        "says that all was read",
        patches=((streamread, "_read_through", read_through_the_end),),
    ),
    "a listing that is behind makes finished shards forgotten": Variant(
        f"{_TWICE}|comes before",
        patches=((streamplan, "with_children", forgetful_children),),
        emphasis=Emphasis(
            weights={"reshard": 3, "time": 0, "crash": 0, "maintenance": 0, "twin": 0},
            faults=("lagging",),
        ),
    ),
    "children that are not listed yet are not waited for": Variant(
        "says that all was read",
        patches=((streamplan, "with_children", unmoved_by_children),),
        emphasis=Emphasis(
            weights={"reshard": 3, "time": 0, "crash": 0, "maintenance": 0, "twin": 0},
            faults=("lagging",),
        ),
    ),
    "a replay forgets how far the stream is read": Variant(
        f"{_TWICE}|{_LOST}",
        patches=((replay, "carried", lambda *_: None),),
        emphasis=Emphasis(weights={"replay": 8}),
    ),
    "a replay takes the children of a shard for listed": Variant(
        "says that all was read",
        patches=((replay, "carried", after_load),),
        emphasis=Emphasis(weights={"replay": 8, "reshard": 4, "time": 0, "maintenance": 0}),
    ),
    "a replay goes by what it found before another": Variant(
        _TWICE,
        patches=((ReplayPlanner, "_is_replay", lambda *_: False),),
        emphasis=Emphasis(weights={"replay": 12, "crash": 0, "time": 0, "maintenance": 0}),
    ),
}
