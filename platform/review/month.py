"""A month of a stack: what it declares, and how often that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from lakehouse.errors import EstateError
from localaws.apply import Recorded
from review.prices import Prices

_MINUTES: Final = {"minute": 1, "hour": 60, "day": 1440}


class Line(NamedTuple):
    """A line of the bill: what of a component, how much of it, and its price."""

    component: str
    what: str
    quantity: float
    price: str


@dataclass(frozen=True)
class Month:
    """A stack's resources and a month of their use."""

    stack: str
    resources: Sequence[Recorded]
    prices: Prices

    def of(self, kind: str) -> list[Recorded]:
        """The resources of a type such as ``Job``."""
        return [r for r in self.resources if r.type.endswith(f":{kind}")]

    def runs(self, job: Recorded) -> float:
        """How often a job runs: by its schedule if it has one, else as assumed."""
        if job.inputs["command"]["name"] == "gluestreaming":
            return 0
        started = [
            s
            for s in self.of("Schedule")
            if json.loads(s.inputs["target"]["input"])["JobName"] == job.inputs["name"]
        ]
        if not started:
            return self.prices.stacks[self.stack].runs[job.name]
        return self.starts(started[0])

    def starts(self, schedule: Recorded) -> float:
        """How often a schedule starts something."""
        if schedule.inputs["state"] != "ENABLED":
            return 0
        rate: str = schedule.inputs["scheduleExpression"]
        return self.prices.everywhere.hours * 60 / _minutes(rate)

    def all_runs(self) -> float:
        """Runs of all jobs; a streaming job counts as one that runs every ten minutes."""
        jobs = self.of("Job")
        streaming = len([j for j in jobs if j.inputs["command"]["name"] == "gluestreaming"])
        batch = sum(self.runs(job) for job in jobs)
        return batch + streaming * self.prices.everywhere.hours * 6


def _minutes(rate: str) -> float:
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", rate)
    if found is None:
        raise EstateError(f"schedule {rate!r} is no rate(<n> minutes); price it in {__name__}")
    return int(found[1]) * _MINUTES[found[2]]
