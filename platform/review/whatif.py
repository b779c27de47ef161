"""Prod with one thing changed at a time, by which the bill shows what scales with what."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from localaws.apply import CONTRACTS, Recorded, render, stack_config
from review.prices import Prices


def changes(
    prod: Sequence[Recorded], prices: Prices
) -> Iterator[tuple[str, Sequence[Recorded], Prices]]:
    """What is changed, the resources then, and the prices and assumptions then."""
    usage = prices.stacks["prod"]

    def used(**changed: float) -> Prices:
        stacks = prices.stacks | {"prod": usage.model_copy(update=changed)}
        return prices.model_copy(update={"stacks": stacks})

    events = usage.events_a_second
    more = used(events_a_second=events * 10)
    yield f"{events * 10:g} records a second, not {events:g}", prod, more
    yield "twice as much stored", prod, used(stored_gb=usage.stored_gb * 2)
    yield "twice as much scanned by queries", prod, used(scanned_tb=usage.scanned_tb * 2)
    yield "one more streamed dataset", _one_more(), prices
    for what, part, changed in (
        ("streams drained every 5 minutes", "jobs.ingest", {"every_minutes": 5}),
        ("streaming all the time on 2 G.1X", "jobs.ingest", {"continuous": True, "workers": 2}),
        (
            "streaming all the time on 2 G.025X, of 4 GB each (not tried)",
            "jobs.ingest",
            {"continuous": True, "worker_type": "G.025X", "workers": 2},
        ),
        ("promote and marts on 4 workers that stay", "jobs", {"promote": _FOUR, "marts": _FOUR}),
        ("a NAT gateway in each of three zones", "network", {"nat_per_zone": True}),
        ("Airflow on mw1.medium", "airflow", {"environment_class": "mw1.medium"}),
        ("Glue measures every run", "jobs", {"metrics": True}),
    ):
        yield what, declared(part, changed), prices


_FOUR: Final = {"workers": 4, "autoscaling": False}


def declared(part: str, changed: Mapping[str, Any]) -> list[Recorded]:
    """Prod with other settings in a part of its configuration, such as ``jobs.ingest``."""
    top, _, below = part.partition(".")
    settings = dict(stack_config("prod")["lakehouse:platform"][top])
    if below:
        settings[below] = {**settings[below], **changed}
    else:
        settings |= changed
    return render("prod", CONTRACTS, {top: settings})


def _one_more() -> list[Recorded]:
    """Prod with one more stream, a copy of the flights under another name."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "contracts"
        shutil.copytree(CONTRACTS, copied)
        text = (copied / "flights.yaml").read_text(encoding="utf-8")
        more = text.replace("id: flights\n", "id: more\n").replace(
            "name: flights\n", "name: more\n"
        )
        (copied / "more.yaml").write_text(more, encoding="utf-8")
        return render("prod", copied)
