"""Which loads brought a table's rows, and what each of them covered, by the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby
from typing import Final, Literal

import msgspec

from lakehouse.ingestion.ledger import Claim, Ledger, LoadRange, ObjectRef, Plan, Position, Replay
from lakehouse.ingestion.loads import accepted_loss
from lakehouse.lineage.published import Published
from lakehouse.promotion.progress import State

Kind = Literal["stream", "files", "replay", "unknown"]
_THREADS: Final = 16


class ShardRead(msgspec.Struct, frozen=True):
    """What loads read of a shard: from ``start`` to ``end``, which is included."""

    shard: str
    start: Position
    end: Position
    closed: bool


class Replayed(msgspec.Struct, frozen=True):
    """A load that decoded rejects of others again, by a version of the contract."""

    load: int
    contract_version: str
    codes: tuple[str, ...]
    of: tuple[LoadRange, ...]


class LoadGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Loads that follow one another and have one kind of source; ``loads`` is their number.

    ``empty`` of them brought nothing. ``resolved`` is False where the ledger was not asked; then
    only their numbers are known. ``unknown``: the ledger has no plan, or not all claims.
    """

    first: int
    last: int
    loads: int
    kind: Kind
    resolved: bool
    empty: int = 0
    good: int = 0
    rejected: dict[str, int] = {}
    planned_from: datetime | None = None
    planned_to: datetime | None = None
    through: datetime | None = None
    """Everything that arrived up to then was read."""
    shards: tuple[ShardRead, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    replays: tuple[Replayed, ...] = ()
    accepted_loss: tuple[str, ...] = ()


class Brought(msgspec.Struct, frozen=True):
    """The loads that a publication's rows come from; ``left_out`` were not in it."""

    dataset: str
    loads: int
    groups: tuple[LoadGroup, ...]
    left_out: tuple[LoadRange, ...]
    exact: bool
    """Whether the table's list of publications reaches far enough to tell."""


def loads_up_to(published: Published, state: State) -> tuple[list[int], list[int], bool]:
    """The loads that a publication's rows can come from, those left out, and whether that is sure.

    Left out are loads that are set aside, wait for a person, or were taken in by a later
    publication.
    """
    up_to = [item for item in state.publications if _within(item.number, item.at, published)]
    # Made anew as a whole, the table has nothing of what was published before.
    anew = max((n for n, item in enumerate(up_to) if item.rebuilt), default=0)
    up_to = up_to[anew:]
    later = [item for item in state.publications if not _within(item.number, item.at, published)]
    had = {load for item in up_to for load in item.loads} | set(published.loads)
    if not had:
        return [], [], bool(state.publications)
    newest = max(had)
    aside = {item.load for item in state.set_aside} | {item.load for item in state.taken_in}
    if state.held is not None and state.held.load is not None:
        aside.add(state.held.load)
    aside |= {load for item in later if not item.rebuilt for load in item.loads}
    out = {load for load in aside if load <= newest} - had
    kept = [load for load in range(newest + 1) if load not in out]
    return kept, sorted(out), published.known == "list"


def resolve(ledger: Ledger, loads: Sequence[int], most: int | None) -> tuple[LoadGroup, ...]:
    """The loads in groups, oldest first, the newest ``most`` of them by the ledger; None: all."""
    cut = 0 if most is None else max(0, len(loads) - most)
    groups = [
        LoadGroup(
            first=span.first,
            last=span.last,
            loads=span.last - span.first + 1,
            kind="unknown",
            resolved=False,
        )
        for span in ranges(loads[:cut])
    ]
    with ThreadPoolExecutor(_THREADS) as threads:
        read = list(threads.map(lambda load: (load, *_read(ledger, load)), loads[cut:]))
    return (*groups, *(_group(run) for run in _runs(read)))


def ranges(loads: Iterable[int]) -> tuple[LoadRange, ...]:
    """Numbers as ranges."""
    found: list[LoadRange] = []
    for load in sorted(loads):
        if found and load == found[-1].last + 1:
            found[-1] = LoadRange(found[-1].first, load)
        else:
            found.append(LoadRange(load, load))
    return tuple(found)


_Read = tuple[int, Plan | None, list[Claim] | None]


def _within(number: int, at: str, published: Published) -> bool:
    return at <= published.at if published.number is None else number <= published.number


def _read(ledger: Ledger, load: int) -> tuple[Plan | None, list[Claim] | None]:
    plan = ledger.plan(load)
    return plan, None if plan is None else ledger.claims(plan)


def _kind(plan: Plan | None, claims: list[Claim] | None) -> Kind:
    if plan is None or claims is None:
        return "unknown"
    if plan.replay is not None:
        return "replay"
    return "files" if any(part.objects for part in plan.parts) else "stream"


def _runs(read: Sequence[_Read]) -> Iterator[list[_Read]]:
    """Loads that follow one another and are of one kind."""
    numbered = enumerate(read)
    for _, run in groupby(numbered, lambda item: (item[1][0] - item[0], _kind(*item[1][1:]))):
        yield [entry for _, entry in run]


def _group(run: Sequence[_Read]) -> LoadGroup:
    plans = [plan for _, plan, _ in run if plan is not None]
    claims = [claim for _, _, made in run for claim in made or ()]
    rejected: Counter[str] = Counter()
    for claim in claims:
        rejected.update(claim.rejected)
    through = [t for _, _, made in run if (t := _through(made or ())) is not None]
    lost = [accepted_loss(plan, made or ()) for _, plan, made in run if plan is not None]
    return LoadGroup(
        first=run[0][0],
        last=run[-1][0],
        loads=len(run),
        kind=_kind(*run[0][1:]),
        resolved=True,
        empty=sum(made is not None and not any(c.records for c in made) for _, _, made in run),
        good=sum(claim.good for claim in claims),
        rejected=dict(rejected.most_common()),
        planned_from=min((plan.made_at for plan in plans), default=None),
        planned_to=max((plan.made_at for plan in plans), default=None),
        through=max(through, default=None),
        shards=tuple(_shards(plans, claims)),
        objects=tuple(ref for plan in plans for part in plan.parts for ref in part.objects),
        replays=tuple(_replayed(plan, plan.replay) for plan in plans if plan.replay is not None),
        accepted_loss=tuple(text for text in lost if text),
    )


def _through(claims: Sequence[Claim]) -> datetime | None:
    return min((c.through for c in claims if c.through is not None), default=None)


def _shards(plans: Sequence[Plan], claims: Sequence[Claim]) -> Iterator[ShardRead]:
    starts: dict[str, Position] = {}
    for plan in plans:
        for part in plan.parts:
            for shard in part.shards:
                starts.setdefault(shard.shard, shard.start)
    ends = {end.shard: end for claim in claims for end in claim.shards}
    for name, end in sorted(ends.items()):
        yield ShardRead(name, starts.get(name, end.end), end.end, end.closed)


def _replayed(plan: Plan, replay: Replay) -> Replayed:
    of = tuple(part.rejects for part in plan.parts if part.rejects is not None)
    return Replayed(plan.load, replay.contract.version, replay.which.codes, of)
