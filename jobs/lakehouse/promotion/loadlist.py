"""What became of each load: in silver, set aside, held, waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from lakehouse.ingestion.ledger import Ledger, Plan
from lakehouse.promotion.progress import State

Fate = Literal["promoted", "set aside", "taken in", "held", "waiting", "unfinished"]


class LoadLine(msgspec.Struct, frozen=True):
    """One load of a dataset: what it brought to bronze and what silver made of it."""

    load: int
    planned_at: datetime
    kind: Literal["stream", "files", "replay"]
    good: int
    rejected: Mapping[str, int]
    """Rejects by reason code."""
    fate: Fate
    why: str = ""
    """The reason of a load that is not simply promoted or waiting."""


def load_lines(ledger: Ledger, published: int, state: State | None, last: int) -> list[LoadLine]:
    """The newest ``last`` loads, oldest first, and all older ones that wait for a person.

    ``published`` is the newest load in bronze, ``state`` silver's, None where it has none yet.
    """
    planned = ledger.plans_after(max(published - last, -1))[-last:]
    open_ones = {item.load for item in state.set_aside + state.taken_in} if state else set()
    if state is not None and state.held is not None and state.held.load is not None:
        open_ones.add(state.held.load)
    numbers = sorted({*planned, *open_ones})
    plans = [(number, ledger.plan(number)) for number in numbers]
    return [_line(ledger, plan, published, state) for _, plan in plans if plan is not None]


def _line(ledger: Ledger, plan: Plan, published: int, state: State | None) -> LoadLine:
    claims = ledger.claims(plan)
    rejected: Counter[str] = Counter()
    for claim in claims or ():
        rejected.update(claim.rejected)
    parts = plan.parts
    streams = any(part.shards for part in parts)
    objects = any(part.objects for part in parts)
    # A load without records changes nothing in bronze, which stays behind it.
    done = claims is not None and (plan.load <= published or not any(c.records for c in claims))
    fate, why = fate_of(plan.load, state) if done else ("unfinished", "")
    return LoadLine(
        load=plan.load,
        planned_at=plan.made_at,
        kind="stream" if streams else "files" if objects else "replay",
        good=sum(claim.good for claim in claims or ()),
        rejected=dict(rejected),
        fate=fate,
        why=why,
    )


def fate_of(load: int, state: State | None) -> tuple[Fate, str]:
    """What became of a load that is in bronze, and why where that needs a word."""
    if state is None:
        return "waiting", ""
    if state.held is not None and state.held.load == load:
        return "held", state.held.reason
    for item in state.set_aside:
        if item.load == load:
            return "set aside", item.reason
    for again in state.taken_in:
        if again.load == load:
            return "taken in", f"{again.reason} (by {again.by})"
    return ("promoted", "") if load <= state.promoted else ("waiting", "")
