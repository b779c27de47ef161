"""What silver makes of the deliveries of one key, and why: promotion's rule told in words. Pure.

The rule itself is SQL (:mod:`lakehouse.promotion.keep`); a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal, NamedTuple

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.promotion.history import state_columns
from lakehouse.promotion.loadlist import Fate, fate_of
from lakehouse.promotion.progress import State
from lakehouse.tables import is_chained

_EARLY = datetime(1, 1, 1, tzinfo=UTC)

Outcome = Literal[
    "kept", "superseded", "replaced", "rejected", "set aside", "held", "waiting", "taken in"
]


class Position(NamedTuple):
    """Where a delivery came from: ``_source``, ``_sequence``, ``_index``."""

    source: str
    sequence: str
    number: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of bronze; ``values`` are as they are there, classified ones too."""

    load: int
    attempt: int
    position: Position
    arrived_at: datetime
    values: Mapping[str, Any]
    code: str | None = None
    """Why it was rejected; None: it is good."""

    @property
    def arrival(self) -> tuple[int, str, int, str, int]:
        """What orders deliveries by their arrival."""
        source, sequence, number = self.position
        return self.load, source, len(sequence), sequence, number


class Decision(msgspec.Struct, frozen=True):
    """What became of a delivery, and why; ``by`` is the one that silver has in its place."""

    delivery: Delivery
    outcome: Outcome
    why: str
    by: Delivery | None = None


def decide(
    contract: Contract,
    key: Mapping[str, Any],
    deliveries: Iterable[Delivery],
    state: State | None,
) -> list[Decision]:
    """What became of all deliveries of a key, in order of arrival; ``state`` is silver's.

    Other attempts at their positions count too; of one that turned out to have another key nothing
    is told but that it replaced the earlier.
    """
    made: list[Decision] = []
    settled: list[Delivery] = []
    for delivery in deliveries:
        fate, why = fate_of(delivery.load, state)
        if fate == "promoted":
            settled.append(delivery)
        else:
            made.append(_not_in(delivery, fate, why))
    newest = _newest_attempts(settled)
    for delivery in settled:
        last = newest[delivery.position]
        if last is not delivery:
            why = f"load {last.load} replayed it as attempt {last.attempt}"
            made.append(Decision(delivery, "replaced", why, last))
        elif delivery.code is not None:
            made.append(Decision(delivery, "rejected", delivery.code))
    counting = [d for d in newest.values() if d.code is None and _has(d, key)]
    made += _kept(contract, counting)
    return sorted(made, key=lambda item: (item.delivery.arrival, item.delivery.attempt))


def _has(delivery: Delivery, key: Mapping[str, Any]) -> bool:
    return all(delivery.values.get(name) == value for name, value in key.items())


def _not_in(delivery: Delivery, fate: Fate, why: str) -> Decision:
    if fate == "set aside":
        return Decision(delivery, "set aside", f"load {delivery.load}: {why}")
    if fate == "held":
        return Decision(delivery, "held", f"load {delivery.load} waits for a person: {why}")
    if fate == "taken in":
        return Decision(delivery, "taken in", f"the next promotion tries it again: {why}")
    return Decision(delivery, "waiting", "for the next promotion")


def _newest_attempts(deliveries: Sequence[Delivery]) -> dict[Position, Delivery]:
    newest: dict[Position, Delivery] = {}
    for delivery in deliveries:
        known = newest.get(delivery.position)
        if known is None or delivery.attempt > known.attempt:
            newest[delivery.position] = delivery
    return newest


def _kept(contract: Contract, good: Sequence[Delivery]) -> Iterator[Decision]:
    rule = contract.deduplicate
    if not good:
        return
    if rule.history:
        yield from _versions(contract, good)
    elif is_chained(contract):
        yield from _chained(contract, good)
    else:
        yield from _one(contract, good, _of_all(contract, len(good)))


def _of_all(contract: Contract, number: int) -> str:
    if number == 1:
        return "the only good delivery of its key"
    return f"the {_first_word(contract)} of {number} good deliveries of its key"


def _first_word(contract: Contract) -> str:
    if contract.deduplicate.keep == "first":
        return "first to arrive"
    return f"latest by {contract.event_time or 'arrival'}"


def _one(contract: Contract, group: Sequence[Delivery], why: str) -> Iterator[Decision]:
    """One row of several deliveries."""
    best = _best(contract, group)
    deleted = _deleted(contract, best)
    yield Decision(best, "kept", f"{why}; it deletes the key" if deleted else why)
    for delivery in group:
        if delivery is not best:
            yield Decision(delivery, "superseded", _because(contract, delivery, best), best)


def _best(contract: Contract, group: Sequence[Delivery]) -> Delivery:
    if contract.deduplicate.keep == "first":
        return min(group, key=lambda delivery: delivery.arrival)
    return max(group, key=lambda d: (_event(contract, d) or _EARLY, d.arrival))


def _because(contract: Contract, delivery: Delivery, best: Delivery) -> str:
    if contract.deduplicate.keep == "first":
        return f"load {best.load} brought the key first"
    mine, its = _event(contract, delivery), _event(contract, best)
    if contract.event_time is None or mine == its:
        same = f"has the same {contract.event_time} and " if contract.event_time else ""
        return f"one of load {best.load} {same}arrived later"
    return f"one of load {best.load} has a later {contract.event_time}: {_said(its)}"


def _chained(contract: Contract, good: Sequence[Delivery]) -> Iterator[Decision]:
    """One row for each chain of deliveries that follow one another within the bound."""
    days = contract.deduplicate.within_days or 0
    chains = list(_chains(contract, good, timedelta(days=days)))
    for chain in chains:
        why = _of_all(contract, len(chain))
        if len(chains) > 1:
            timed = _event(contract, chain[0]) is not None
            gap = (
                f"more than {days} days apart from others"
                if timed
                else f"without {_time(contract)}"
            )
            why = f"{why}, {gap}"
        yield from _one(contract, chain, why)


def _chains(
    contract: Contract, good: Sequence[Delivery], bound: timedelta
) -> Iterator[list[Delivery]]:
    timed = [(at, d) for d in good if (at := _event(contract, d)) is not None]
    if timeless := [d for d in good if _event(contract, d) is None]:
        yield timeless
    chain: list[tuple[datetime, Delivery]] = []
    for at, delivery in sorted(timed, key=lambda item: (item[0], item[1].arrival)):
        if chain and at - chain[-1][0] > bound:
            yield [one for _, one in chain]
            chain = []
        chain.append((at, delivery))
    if chain:
        yield [one for _, one in chain]


def _versions(contract: Contract, good: Sequence[Delivery]) -> Iterator[Decision]:
    """One row for each run of deliveries that say the same; of one time the last arrival counts."""
    counting: list[Delivery] = []
    in_time = sorted(good, key=lambda d: (_since(contract, d), d.arrival))
    for since, group in groupby(in_time, key=lambda d: _since(contract, d)):
        *earlier, last = group
        counting.append(last)
        for delivery in earlier:
            why = f"load {last.load} brought another for the same time, {_said(since)}"
            yield Decision(delivery, "superseded", why, last)
    for _, run in groupby(counting, key=lambda d: _state(contract, d)):
        first, *same = run
        gone = "; it deletes the key" if _deleted(contract, first) else ""
        yield Decision(first, "kept", f"a version from {_said(_since(contract, first))} on{gone}")
        for delivery in same:
            why = f"says the same as the version from {_said(_since(contract, first))}"
            yield Decision(delivery, "superseded", why, first)


def _state(contract: Contract, delivery: Delivery) -> tuple[Any, ...]:
    if _deleted(contract, delivery):
        return (True,)
    named = (name for name in state_columns(contract) if name != "_tombstone")
    return (False, *(_same(delivery.values.get(name)) for name in named))


def _same(value: Any) -> Any:
    """SQL holds NaN equal to itself."""
    return "NaN" if isinstance(value, float) and value != value else value  # noqa: PLR0124


def _deleted(contract: Contract, delivery: Delivery) -> bool:
    rule = contract.deduplicate.deletes
    if rule is None:
        return False
    value = delivery.values.get(rule.field)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return value is not None and text in rule.values


def _event(contract: Contract, delivery: Delivery) -> datetime | None:
    if contract.event_time is None:
        return None
    found = delivery.values.get(contract.event_time)
    return found if isinstance(found, datetime) else None


def _since(contract: Contract, delivery: Delivery) -> datetime:
    return _event(contract, delivery) or delivery.arrived_at


def _time(contract: Contract) -> str:
    return contract.event_time or "time"


def _said(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "none"
