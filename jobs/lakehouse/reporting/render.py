"""The pages: one a run, an index a dataset and an index of all, each a file by itself.

Nothing but verdicts and approvals goes in, and no page loads anything. All text is escaped by the
template engine.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from lakehouse.promotion.verdict import GOOD, Check, LoadCounts
from lakehouse.reporting import chart
from lakehouse.reporting.history import History, Point, Run, identity, trends
from lakehouse.reporting.words import as_of, delivery, number, percent, ranges, utc

_SHOWN: Final = 40
"""Newest points of a trend that are drawn."""
_OUTCOMES: Final = ("fail", "not_evaluated", "warn", "pass")


class CheckLine(NamedTuple):
    """A check of a run beside what it was before."""

    check: Check
    change: str
    trend: chart.Line | None
    seen: int
    """Runs that had it, this one among them."""


class Reading(NamedTuple):
    """A check through all runs that were read."""

    last: Point
    broken: int
    """Runs in which it let nothing through."""
    trend: chart.Line | None
    points: Sequence[Point]


class Totals(NamedTuple):
    """What all the loads of a run brought to bronze."""

    good: int
    rejected: Mapping[str, int]

    @property
    def bad(self) -> int:
        """Rejects of every reason."""
        return sum(self.rejected.values())


def run_page(history: History, run: Run, *, index: str = "index.html") -> str:
    """The page of one run; ``history`` ends with it. ``index`` is the address of the dataset's."""
    verdict = run.verdict
    known = trends(history.runs)
    lines = [_line(known[identity(check)]) for check in verdict.checks]
    order = {outcome: number for number, outcome in enumerate(_OUTCOMES)}
    return _page(
        "run.html.j2",
        run=run,
        index=index,
        lines=sorted(lines, key=lambda item: order[item.check.outcome]),
        outcomes=Counter(check.outcome for check in verdict.checks),
        broken=[check for check in verdict.checks if check.outcome != "pass"],
        totals=totals(verdict.counts),
        earlier=len(history.runs) - 1,
        rows=rows_chart(history.runs),
        rejects=rejects_chart(history.runs),
    )


def dataset_page(history: History, *, overview: str | None = None) -> str:
    """The index of a dataset; ``overview`` is the address of the index of all, if there is one."""
    last = history.runs[-1]
    readings = [_reading(points) for points in trends(history.runs).values()]
    current = {identity(check) for check in last.verdict.checks}
    return _page(
        "dataset.html.j2",
        history=history,
        last=last,
        overview=overview,
        readings=sorted(readings, key=lambda found: identity(found.last.check) not in current),
        statuses=Counter(run.status for run in history.runs),
        rows=rows_chart(history.runs),
        rejects=rejects_chart(history.runs),
        loads=load_counts(history.runs),
    )


def overview_page(histories: Sequence[History], silent: Iterable[str] = ()) -> str:
    """The index of all datasets, those in need of a person first; ``silent`` have no verdict."""
    urgent = {"held": 0, "failed": 1, "set aside": 2}
    return _page(
        "overview.html.j2",
        histories=sorted(
            histories, key=lambda found: (urgent.get(found.runs[-1].status, 3), found.dataset)
        ),
        silent=sorted(silent),
        rows={found.dataset: rows_chart(found.runs, 180, 40) for found in histories},
    )


def totals(counts: Iterable[LoadCounts]) -> Totals:
    """Sums over loads."""
    good, rejected = 0, Counter[str]()
    for item in counts:
        good += item.good
        rejected.update(item.rejected)
    return Totals(good, dict(sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0]))))


def load_counts(runs: Sequence[Run]) -> list[LoadCounts]:
    """What each load of these runs brought, by load; one that was tried again counts once."""
    found = {item.load: item for run in runs for item in run.verdict.counts}
    return [found[load] for load in sorted(found)]


def rows_chart(runs: Sequence[Run], width: int = 560, height: int = 90) -> chart.Line | None:
    """The rows of each candidate."""
    shown = runs[-_SHOWN:]
    return chart.line(
        [
            chart.Value(
                float(run.verdict.rows),
                "",
                "pass" if run.status in {"passed", "approved"} else "fail",
                f"{utc(run.at)}: {number(run.verdict.rows)} rows, {run.status}",
            )
            for run in shown
        ],
        width,
        height,
    )


def rejects_chart(runs: Sequence[Run]) -> chart.Bars | None:
    """The share of rejects of each of the newest loads."""
    shown = load_counts(runs)[-_SHOWN:]
    found = []
    for item in shown:
        bad = sum(item.rejected.values())
        share = bad / (item.good + bad) if bad else 0.0
        said = f"load {item.load}: {number(bad)} of {number(item.good + bad)} rejected"
        found.append((share, f"{said} ({percent(share)})", bad > 0))
    return chart.bars(found)


def _line(points: Sequence[Point]) -> CheckLine:
    last = points[-1].check
    before = next((p.check.value for p in points[-2::-1] if p.check.value is not None), None)
    return CheckLine(last, _change(len(points), before, last.value), _trend(points), len(points))


def _change(seen: int, before: float | None, value: float | None) -> str:
    if seen == 1:
        return "first time"
    if value is None or before is None:
        return "nothing to compare"
    if value == before:
        return "none"
    return f"{'+' if value > before else ''}{number(value - before)}"


def _reading(points: Sequence[Point]) -> Reading:
    broken = sum(point.check.outcome not in GOOD for point in points)
    return Reading(points[-1], broken, _trend(points), points)


def _trend(points: Sequence[Point]) -> chart.Line | None:
    return chart.line(
        [
            chart.Value(
                point.check.value,
                point.check.threshold,
                point.check.outcome,
                f"{utc(point.run.at)}: {number(point.check.value)}, expected "
                f"{point.check.threshold or 'nothing'}",
            )
            for point in points[-_SHOWN:]
        ]
    )


def _page(template: str, **facts: Any) -> str:
    return _environment().get_template(template).render(**facts)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lakehouse.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "utc": utc, "ranges": ranges, "percent": percent}
    environment.globals |= {"delivery": delivery, "as_of": as_of}
    return environment
