"""What a run found, as a table and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from faults.bench import Outcome
from faults.reconcile import Finding
from rich.table import Table

_HEAD = (
    "fault",
    "injected",
    "lost",
    "repeated",
    "in order",
    "gave up",
    "median s",
    "max s",
    "flows s",
)

_LEGEND = (
    "median, max: seconds from the fault until everything acknowledged before it is visible; "
    "flows: the longest until what was sent after it is, too. gave up: drivers that ended by "
    "themselves."
)


class Report(msgspec.Struct, frozen=True):
    """A run."""

    seed: int
    began: str
    minutes: float
    events: int
    loads: int
    drivers: int
    """Started in all."""
    outcomes: Sequence[Outcome]
    last: Finding
    """Of the comparison of every row at the end."""

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, repeated or disordered, and everything recovered in time."""
        return self.last.clean and all(
            outcome.finding.clean and (outcome.seconds is not None or not outcome.injected)
            for outcome in self.outcomes
        )


def lines(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One line a fault, and one for all."""
    names = list(dict.fromkeys(o.name for o in sorted(outcomes, key=lambda o: (o.group, o.name))))
    made = [_line(name, [o for o in outcomes if o.name == name]) for name in names]
    return [*made, _line("all", outcomes)]


def _line(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    injected = [o for o in outcomes if o.injected]
    seconds = [o.seconds for o in injected if o.seconds is not None]
    again = [o.flows_again for o in injected if o.flows_again is not None]
    return (
        name,
        str(len(injected)),
        str(sum(o.finding.lost for o in outcomes)),
        str(sum(o.finding.repeated for o in outcomes)),
        "no" if any(o.finding.disordered or o.finding.strange for o in outcomes) else "yes",
        str(sum(o.gave_up for o in outcomes)),
        f"{median(seconds):.1f}" if seconds else "-",
        _longest(seconds, len(injected)),
        _longest(again, len(injected)),
    )


def _longest(seconds: Sequence[float], of: int) -> str:
    if not of:
        return "-"
    return f"{max(seconds):.1f}" if len(seconds) == of else "never"


def as_rich(report: Report) -> Table:
    """For the terminal."""
    table = Table(*_HEAD, title=_title(report), caption=_LEGEND)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for line in lines(report.outcomes):
        table.add_row(*line, style="bold" if line[0] == "all" else "")
    return table


def write(report: Report, folder: Path) -> Path:
    """As JSON with every fault in order, and as Markdown; the path of the latter."""
    stem = folder / f"{len(report.outcomes)}-seed-{report.seed}"
    return save(stem, report, _title(report), (_HEAD, *lines(report.outcomes)), 1, _LEGEND)


def save(  # noqa: PLR0917 - what a page is made of
    stem: Path,
    report: msgspec.Struct,
    title: str,
    rows: Sequence[Sequence[str]],
    words: int,
    legend: str,
) -> Path:
    """A report as JSON, and its rows, head first, in Markdown: ``words``, then figures."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    packed = msgspec.json.format(msgspec.json.encode(report), indent=1)
    stem.with_suffix(".json").write_bytes(packed + b"\n")
    table = ["| " + " | ".join(row) + " |" for row in rows]
    table.insert(1, "|---" * words + "|--:" * (len(rows[0]) - words) + "|")
    text = "\n".join([title, "", *table, "", legend, ""])
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    return stem.with_suffix(".md")


def _title(report: Report) -> str:
    verdict = "nothing lost, repeated or out of order" if report.clean else "NOT CLEAN"
    missed = sum(not outcome.injected for outcome in report.outcomes)
    return (
        f"{len(report.outcomes) - missed} faults"
        + (f" ({missed} more found no moment)" if missed else "")
        + f", seed {report.seed}: {verdict}; "
        f"{report.events:,} events in {report.loads:,} loads, {report.drivers} drivers, "
        f"{report.minutes:.0f} minutes"
    )
