"""The catalogue: every fault that is injected, by group."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from faults.actions import delay, kill, late, no_answer, refuse, reset, truncate
from faults.bench import Bench, Fault, Injected
from faults.beside import meanwhile
from faults.calls import Call
from faults.checkpoint import CHECKPOINT_FAULTS
from faults.points import (
    POINTS,
    Matches,
    Point,
    claim_put,
    commit,
    data_put,
    iterator,
    ledger_get,
    metadata_get,
    metadata_put,
    plan_put,
    probe,
    records,
    service,
    table_get,
)
from faults.rules import Action, Rule
from faults.twin import twin


def _at(point: Point, victims: Callable[[Bench], None]) -> Callable[[Bench, Random], Injected]:
    def inject(bench: Bench, random: Random) -> Injected:
        action = kill(bench.proxy, lambda: victims(bench), random.choice(point.moments))
        # Of a load's calls at a point the first or the second: another part, another file.
        nth = random.choice((1, 2)) if point.matches in _TWICE else 1
        return bench.armed(Rule(point.matches, action, nth=nth, answered=point.answered))

    return inject


def _late(name: str, matches: Matches) -> Fault:
    """A call of a dead driver that arrives when its successor has committed the load."""

    def inject(bench: Bench, _: Random) -> Injected:
        def concerned(call: Call) -> bool:
            return matches(call) or (rule.fired.is_set() and commit(call))

        action = late(bench.proxy, bench.kill_driver, commit)
        rule = Rule(concerned, action, times=_SOME)
        return bench.armed(rule)

    return Fault("driver killed", f"driver killed: its {name} arrives late", inject)


_SOME: Final = 6
"""Calls until a successor has surely planned, claimed and committed one load."""
_TWICE: Final[tuple[Matches, ...]] = (data_put, claim_put)


def _sometime(victims: Callable[[Bench], None]) -> Callable[[Bench, Random], Injected]:
    def inject(bench: Bench, random: Random) -> Injected:
        bench.traffic.send(bench.per_fault)
        time.sleep(random.uniform(0, 3))
        injected = bench.now()
        victims(bench)
        return injected

    return inject


def _call(name: str, matches: Matches, action: Action, times: int = 1) -> Fault:
    def inject(bench: Bench, _: Random) -> Injected:
        return bench.armed(Rule(matches, action, times=times))

    return Fault("call", f"{name}, {times} times" if times > 1 else name, inject)


def _away(name: str, seconds: float) -> Fault:
    """A service that answers nothing but 503 for a while."""

    def inject(bench: Bench, _: Random) -> Injected:
        return bench.armed(Rule(service(name), refuse(503, "ServiceUnavailable"), seconds=seconds))

    return Fault("outage", f"{name} away for {seconds:.0f} s", inject)


def _puts(name: str, matches: Matches) -> list[Fault]:
    return [
        _call(f"{name}: 409 conflict", matches, refuse(409, "ConditionalRequestConflict")),
        _call(f"{name}: 503 slow down", matches, refuse(503, "SlowDown"), times=3),
        _call(f"{name}: 500", matches, refuse(500, "InternalError"), times=3),
        _call(
            f"{name}: done, answered 500",
            matches,
            refuse(500, "InternalError", after_effect=True),
        ),
        _call(f"{name}: done, no answer", matches, no_answer(2, after_effect=True)),
        _call(f"{name}: lost, no answer", matches, no_answer(2, after_effect=False)),
        _call(f"{name}: connection reset", matches, reset, times=2),
    ]


def _driver(bench: Bench) -> None:
    bench.kill_driver()


def _workers(bench: Bench) -> None:
    bench.job.kill_workers()


def _source(bench: Bench) -> None:
    bench.job.kill_source()


_WORKER_POINTS: Final = ("reading", "file half written", "files written", "claimed")
_TIRING: Final = 9
"""Times in a row after which a client has given up: it tries eight times."""
THROTTLED: Final = refuse(400, "ProvisionedThroughputExceededException")

CATALOGUE: Final[tuple[Fault, ...]] = (
    *(Fault("driver killed", f"driver killed: {p.name}", _at(p, _driver)) for p in POINTS),
    Fault("driver killed", "driver killed: at any moment", _sometime(_driver)),
    _late("plan", plan_put), _late("claim", claim_put), _late("commit", commit),
    *(
        Fault("workers killed", f"workers killed: {p.name}", _at(p, _workers))
        for p in POINTS
        if p.name in _WORKER_POINTS
    ),
    Fault("workers killed", "workers killed: at any moment", _sometime(_workers)),
    Fault("workers killed", "planning process killed", _sometime(_source)),
    *_puts("plan", plan_put),
    *_puts("claim", claim_put),
    _call("claim: 500", claim_put, refuse(500, "InternalError"), times=_TIRING),
    _call("ledger read: 503 slow down", ledger_get, refuse(503, "SlowDown"), times=3),
    _call("ledger read: cut off", ledger_get, truncate),
    _call("ledger read: connection reset", ledger_get, reset, times=2),
    _call("GetRecords: throttled", records, THROTTLED, times=3),
    _call("GetRecords: 500", records, refuse(500, "InternalFailure"), times=3),
    _call("GetRecords: iterator expired", records, refuse(400, "ExpiredIteratorException")),
    _call("GetRecords: connection reset", records, reset),
    _call("GetRecords: cut off", records, truncate),
    _call("GetRecords: answered late", records, delay(5)),
    _call("GetRecords: no answer", records, no_answer(2, after_effect=True)),
    _call("look for records: throttled", probe, THROTTLED, times=_TIRING),
    _call("look for records: iterator expired", probe, refuse(400, "ExpiredIteratorException")),
    _call("GetShardIterator: throttled", iterator, THROTTLED, times=3),
    _call("data file: 503 slow down", data_put, refuse(503, "SlowDown"), times=3),
    _call("data file: connection reset", data_put, reset),
    _call("data file: done, no answer", data_put, no_answer(2, after_effect=True)),
    _call("table metadata: 503 slow down", metadata_put, refuse(503, "SlowDown"), times=3),
    _call("table metadata: connection reset", metadata_put, reset),
    _call("table metadata: done, no answer", metadata_put, no_answer(2, after_effect=True)),
    _call("table metadata: read cut off", metadata_get, truncate),
    _call(
        "UpdateTable: concurrent modification", commit,
        refuse(400, "ConcurrentModificationException"), times=2,
    ),
    _call("UpdateTable: 500", commit, refuse(500, "InternalServiceException"), times=3),
    _call(
        "UpdateTable: done, answered 500", commit,
        refuse(500, "InternalServiceException", after_effect=True),
    ),
    _call("UpdateTable: throttled", commit, refuse(400, "ThrottlingException"), times=3),
    _call("UpdateTable: done, no answer", commit, no_answer(2, after_effect=True)),
    _call("UpdateTable: done, never answered", commit, no_answer(65, after_effect=True)),
    _call("UpdateTable: lost, no answer", commit, no_answer(2, after_effect=False)),
    _call("UpdateTable: answer cut off", commit, truncate),
    _call("UpdateTable: connection reset", commit, reset),
    _call("GetTable: throttled", table_get, refuse(400, "ThrottlingException"), times=3),
    _call("GetTable: 500", table_get, refuse(500, "InternalServiceException"), times=_TIRING),
    _call("GetTable: connection reset", table_get, reset),
    _call("GetTable: cut off", table_get, truncate),
    _away("s3", 8), _away("kinesis", 8), _away("glue", 8),
    *CHECKPOINT_FAULTS,
    Fault("two drivers", "two drivers at once", twin),
    *(
        Fault("beside", f"{name} while a load is committed", inject)
        for name, inject in meanwhile.items()
    ),
)  # fmt: skip

SHARES: Final = {
    "driver killed": 0.18, "workers killed": 0.12, "call": 0.52, "outage": 0.04,
    "checkpoint": 0.05, "two drivers": 0.02, "beside": 0.07,
}  # fmt: skip
"""A driver takes 20 s to start, a call 2 s to go wrong: so much of the draw is each group's."""


def draw(count: int, seed: int, of: Sequence[Fault] = CATALOGUE) -> list[Fault]:
    """So many faults in the order of a seed; a group's faults all come before one comes again."""
    random = Random(seed)
    groups = [group for group in SHARES if any(fault.group == group for fault in of)]
    total = sum(SHARES[group] for group in groups)
    wanted = {group: int(count * SHARES[group] / total) for group in groups}
    for group in random.choices(
        groups, [SHARES[group] for group in groups], k=count - sum(wanted.values())
    ):
        wanted[group] += 1
    drawn: list[Fault] = []
    for group, number in wanted.items():
        deck = [fault for fault in of if fault.group == group]
        for start in range(0, number, len(deck)):
            drawn += random.sample(deck, min(len(deck), number - start))
    random.shuffle(drawn)
    return drawn
