"""A second driver beside the first."""

from __future__ import annotations

from random import Random
from typing import Final

from faults.bench import Bench, Injected, NotInjectedError
from faults.points import claim_put, plan_put
from faults.proxy import Proxy
from faults.rules import Rule
from support.waiting import until

_START: Final = 60.0
"""Seconds within which the second driver is to take part."""


def twin(bench: Bench, random: Random) -> Injected:
    """Both drivers work until the second has planned or claimed; then that one is gone."""
    with Proxy(bench.estate.emulator_url, bench.estate.gateway_url) as proxy:
        watch = Rule.watching(lambda call: plan_put(call) or claim_put(call))
        proxy.arm(watch)
        second = bench.another_job(f"twin-{bench.traffic.acknowledged}", proxy.url)
        second.start()

        def took_part() -> bool:
            bench.traffic.send(10)
            return watch.fired.is_set() or not second.alive()

        try:
            if not until(took_part, _START, every=0.3) or not second.alive():
                raise NotInjectedError(f"the second driver did nothing in {_START:.0f} s")
            injected = bench.now()
            bench.traffic.send(bench.per_fault)
            until(lambda: not second.alive(), random.uniform(1, 4))
        finally:
            second.kill()
    return injected
