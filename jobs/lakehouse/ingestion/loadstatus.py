"""How a dataset's loads stand: read from the ledger and the table's properties, without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.icetable import LOAD
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.ingestion.ledger import Claim, Ledger, Plan, Position
from lakehouse.ingestion.loads import accepted_loss
from lakehouse.ingestion.streamplan import after_load
from lakehouse.tables import load_table


class LoadLine(msgspec.Struct, frozen=True):
    """One load. ``good``, ``rejected`` and the like are of the parts that are claimed."""

    load: int
    planned_at: datetime
    state: Literal["published", "empty", "claimed", "working"]
    parts: int
    claimed: int
    good: int
    rejected: Mapping[str, int]
    payload_bytes: int
    stage_seconds: float
    accepted_loss: str


class ShardLine(msgspec.Struct, frozen=True):
    """How far a shard is read: after the last load whose every part is claimed."""

    shard: str
    position: Position
    behind_ms: int | None
    """MillisBehindLatest when it was last read; None when no load has read it yet."""


class LoadStatus(msgspec.Struct, frozen=True):
    """A dataset's last loads, newest last, and its open shards."""

    dataset: str
    published: int
    """The last load in the table, -1 when there is none."""
    planned: int
    """How many loads were ever planned."""
    through: datetime | None
    """Everything that arrived up to then was read."""
    loads: tuple[LoadLine, ...]
    shards: tuple[ShardLine, ...]

    @property
    def worst_ms(self) -> int | None:
        """The worst lag of all shards."""
        return max((s.behind_ms for s in self.shards if s.behind_ms is not None), default=None)


def load_status(aws: Aws, contract: Contract, last: int) -> LoadStatus:
    """How the last loads of a stream stand."""
    table = load_table(aws, "bronze", contract.dataset)
    published = int(table.properties.get(LOAD, "-1")) if table else -1
    return ledger_status(open_ledger(aws, contract.dataset), published, last)


def ledger_status(ledger: Ledger, published: int, last: int) -> LoadStatus:
    """The same, of a ledger whose table holds the load ``published``."""
    newest = max([published, *ledger.plans_after(published)])
    lines: list[LoadLine] = []
    done: tuple[Plan, list[Claim]] | None = None
    for load in range(max(0, newest - last + 1), newest + 1):
        plan = ledger.plan(load)
        if plan is None:
            continue
        made = [ledger.claim(load, part) for part in range(len(plan.parts))]
        claims = [claim for claim in made if claim is not None]
        lines.append(_line(plan, claims, published))
        # A replay reads no shard; what the load before it read stands.
        if len(claims) == len(plan.parts) and plan.replay is None:
            done = plan, claims
    state = after_load(done[0].stream, done[1]) if done and done[0].stream else None
    behind = {end.shard: end.behind_ms for c in (done[1] if done else ()) for end in c.shards}
    return LoadStatus(
        dataset=ledger.dataset,
        published=published,
        planned=newest + 1,
        through=state.through if state else None,
        loads=tuple(lines),
        shards=tuple(
            ShardLine(shard, position, behind.get(shard))
            for shard, position in sorted(state.positions.items() if state else ())
        ),
    )


def _line(plan: Plan, claims: list[Claim], published: int) -> LoadLine:
    rejected: Counter[str] = Counter()
    for claim in claims:
        rejected.update(claim.rejected)
    good = sum(claim.good for claim in claims)
    state: Literal["published", "empty", "claimed", "working"] = "working"
    if len(claims) == len(plan.parts):
        has_records = bool(good or rejected)
        state = "empty" if not has_records else "claimed"
        if has_records and plan.load <= published:
            state = "published"
    return LoadLine(
        load=plan.load,
        planned_at=plan.made_at,
        state=state,
        parts=len(plan.parts),
        claimed=len(claims),
        good=good,
        rejected=dict(rejected),
        payload_bytes=sum(claim.payload_bytes for claim in claims),
        stage_seconds=max((claim.seconds for claim in claims), default=0.0),
        accepted_loss=accepted_loss(plan, claims),
    )
