"""What others do to the table in the very moment in which the job commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Final

from aiohttp import web
from faults.bench import Bench, Injected
from faults.points import commit
from faults.rules import Exchange, Rule
from pyiceberg.table import Table

_LOADS: Final = 20
"""How many of the newest loads a compaction rewrites."""


def touch(table: Table) -> None:
    """A commit that changes nothing of the rows."""
    with table.transaction() as transaction:
        transaction.set_properties({"touched": datetime.now(UTC).isoformat()})


def compact(table: Table) -> None:
    """The files of the newest loads become one."""
    since = int(table.properties.get("lakehouse.load", "0")) - _LOADS
    newest = f"_load >= {max(0, since)}"
    table.overwrite(table.scan(row_filter=newest).to_arrow(), overwrite_filter=newest)


def expire(table: Table) -> None:
    """Every snapshot but the present one is forgotten."""
    table.maintenance.expire_snapshots().older_than(datetime.now(UTC)).commit()


def _beside(change: Callable[[Table], None]) -> Callable[[Bench, Random], Injected]:
    def inject(bench: Bench, _: Random) -> Injected:
        def meddle() -> None:
            table = bench.table()
            assert table is not None
            change(table)

        async def act(exchange: Exchange) -> web.StreamResponse:
            await asyncio.to_thread(meddle)
            return await exchange.answer(await exchange.forward())

        return bench.armed(Rule(commit, act))

    return inject


meanwhile: Final = {
    "another commit": _beside(touch),
    "a compaction": _beside(compact),
    "an expiry of snapshots": _beside(expire),
}
"""By name."""
