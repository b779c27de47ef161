"""The page at the end of the demo: one file that opens without a server or a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from demo.charts import charts
from demo.facts import STREAMED, DemoFacts
from lakehouse.verdict import Verdict


class Gate(NamedTuple):
    """The verdicts of a dataset as the page shows them."""

    dataset: str
    layer: str
    verdicts: Sequence[Verdict]
    passed: int
    failed: int


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
        streamed=facts.bronze[STREAMED],
        batch={name: count for name, count in facts.bronze.items() if name != STREAMED},
        gates=_gates(facts),
        charts=charts(facts.gold),
        plotly=get_plotlyjs(),
        checks=Counter(c.outcome for vs in facts.verdicts.values() for v in vs for c in v.checks),
        seconds=sum(step.seconds for step in facts.steps),
    )
    path.write_text(page, encoding="utf-8")


def number(value: Any) -> str:
    """A number as people read it."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return "" if value is None else str(value)


def _gates(facts: DemoFacts) -> list[Gate]:
    return [
        Gate(
            dataset=name,
            layer=verdicts[-1].layer,
            verdicts=verdicts,
            passed=sum(v.passed for v in verdicts),
            failed=sum(not v.passed for v in verdicts),
        )
        for name, verdicts in facts.verdicts.items()
        if verdicts
    ]
