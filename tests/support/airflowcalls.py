"""What Airflow does besides its runs: take what arrived from the queue, tell of a failure."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from lakehouse_dags.alerts import notify
from lakehouse_dags.deployment import arrivals


async def arrived() -> None:
    (asset,) = arrivals()
    (watcher,) = asset.watchers
    await anext(aiter(watcher.trigger.run()))


if __name__ == "__main__":
    asyncio.run(arrived())
    notify(SimpleNamespace(dag_id="land", task_id="land", run_id="r", try_number=1), "failed", "x")
