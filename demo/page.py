"""The page at the end of the demo: one file that opens without a server or a network."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from demo.charts import charts
from demo.facts import STREAMED, DemoFacts
from demo.reconcile import Figure
from lakehouse.promotion.verdict import Check, Verdict

KINDS: Final = {
    "flight": "in time",
    "late": "late, up to 2 days",
    "repeat": "sent once more",
    "malformed": "not JSON",
    "rule": "against a rule",
}
"""What the sender did, in words."""
CODES: Final = {
    "malformed": "not a JSON document",
    "missing": "required, absent",
    "type": "of another type",
    "range": "out of range",
    "pattern": "not of the pattern",
    "enum": "not an allowed value",
    "format": "not a date or time",
}
"""What the code of a reason means."""
LAYERS: Final = ("bronze", "silver", "gold")


class Gate(NamedTuple):
    """The verdicts of a dataset as the page shows them."""

    name: str
    """Layer and dataset."""
    verdicts: Sequence[Verdict]

    @property
    def failed(self) -> bool:
        """Whether any candidate was turned away."""
        return not all(verdict.passed for verdict in self.verdicts)

    @property
    def checks(self) -> list[Check]:
        """All checks of all candidates."""
        return [check for verdict in self.verdicts for check in verdict.checks]


def render(facts: DemoFacts, path: Path) -> None:
    """Write the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    page = environment.get_template("page.html.j2").render(
        facts=facts,
        streamed=STREAMED,
        batch={name: n for name, n in facts.bronze.items() if name != STREAMED},
        period=period(facts.months),
        sources={name: sources(facts, name) for name in facts.gold},
        kinds=KINDS,
        codes=CODES,
        gates=gates(facts),
        outcomes=Counter(check.outcome for gate in gates(facts) for check in gate.checks),
        charts=charts(facts.gold),
        figures=by_table(facts.figures),
        seconds=sum(step.seconds for step in facts.steps),
        slowest=max((step.seconds for step in facts.steps), default=1.0),
        plotly=get_plotlyjs(),
    )
    path.write_text(page, encoding="utf-8")


def number(value: Any) -> str:
    """A number as people read it."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
    return "" if value is None else str(value)


def period(months: Sequence[int]) -> str:
    """Months of 2013 in words; they follow one another."""
    first, last = calendar.month_name[months[0]], calendar.month_name[months[-1]]
    return f"{first} 2013" if first == last else f"{first} to {last} 2013"


def gates(facts: DemoFacts) -> list[Gate]:
    """A gate for each dataset that has verdicts, what was turned away first, then by layer."""
    found = [
        Gate(f"{verdicts[0].layer}.{name}", verdicts)
        for name, verdicts in facts.verdicts.items()
        if verdicts
    ]
    return sorted(found, key=lambda gate: (not gate.failed, _layer(gate.name), gate.name))


def sources(facts: DemoFacts, mart: str) -> list[str]:
    """The datasets that a mart was last made from."""
    verdicts = facts.verdicts.get(mart)
    return [table.partition(".")[2] for table in sorted(verdicts[-1].inputs)] if verdicts else []


def by_table(figures: Sequence[Figure]) -> dict[str, list[tuple[str, Figure]]]:
    """Figures with what is said of each: a group for each bronze table and for each other layer."""
    groups: dict[str, list[tuple[str, Figure]]] = {}
    for figure in figures:
        table, _, what = figure.name.partition(": ")
        layer, _, dataset = table.partition(".")
        if layer not in LAYERS or not dataset:
            groups.setdefault("stream and loads", []).append((figure.name, figure))
        elif layer == "bronze":
            groups.setdefault(table, []).append((what, figure))
        else:
            said = f"{dataset}: {what}" if what else dataset
            groups.setdefault(layer, []).append((said, figure))
    return groups


def _layer(name: str) -> int:
    return LAYERS.index(name.partition(".")[0])
