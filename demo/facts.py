"""What the demo found out, gathered for the terminal and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from demo.reconcile import Figure
from demo.steps import Took
from lakehouse.aws import Aws
from lakehouse.contract import Contracts
from lakehouse.naming import Layer
from lakehouse.progress import SetAside, read_state
from lakehouse.tables import load_table
from lakehouse.verdict import Verdict, read_verdicts

STREAMED: Final = "flights"


class BronzeCount(NamedTuple):
    """The deliveries of a dataset in bronze."""

    good: int
    rejected: Mapping[str, int]
    """By reason code."""

    @property
    def total(self) -> int:
        """Good and rejected."""
        return self.good + sum(self.rejected.values())


class DemoFacts(NamedTuple):
    """Everything that is shown at the end."""

    flights: int
    """True flights that were sent."""
    acknowledged: int
    sent_by_kind: Mapping[str, int]
    bronze: Mapping[str, BronzeCount]
    silver: Mapping[str, int]
    set_aside: Mapping[str, Sequence[SetAside]]
    """By dataset, those with any."""
    verdicts: Mapping[str, Sequence[Verdict]]
    """By dataset, oldest first."""
    gold: Mapping[str, pd.DataFrame]
    figures: Sequence[Figure]
    steps: Sequence[Took]
    home: str

    @property
    def duplicates(self) -> int:
        """Good deliveries of flights that silver has already."""
        return self.bronze[STREAMED].good - self.silver[STREAMED]

    @property
    def wrong(self) -> list[Figure]:
        """Figures in which the platform and pandas differ."""
        return [figure for figure in self.figures if not figure.equal]


def gather(
    aws: Aws,
    contracts: Contracts,
    *,
    flights: int,
    acknowledged: int,
    sent_by_kind: Mapping[str, int],
    figures: Sequence[Figure],
    steps: Sequence[Took],
    home: str,
) -> DemoFacts:
    """The facts that the caller knows, and those that the tables and verdicts tell."""
    landed = [c for c in contracts.values() if c.source != "mart"]
    states = {
        contract.dataset: read_state(table)
        for contract in landed
        if (table := load_table(aws, "silver", contract.dataset))
    }
    return DemoFacts(
        flights=flights,
        acknowledged=acknowledged,
        sent_by_kind=sent_by_kind,
        bronze={c.dataset: _bronze(aws, c.dataset) for c in landed},
        silver={c.dataset: len(_rows(aws, "silver", c.dataset, "_load")) for c in landed},
        set_aside={name: state.set_aside for name, state in states.items() if state.set_aside},
        verdicts={name: read_verdicts(aws, name) for name in contracts},
        gold={
            c.dataset: _rows(aws, "gold", c.dataset, "*")
            for c in contracts.values()
            if c.source == "mart"
        },
        figures=figures,
        steps=steps,
        home=home,
    )


def _bronze(aws: Aws, dataset: str) -> BronzeCount:
    rejects = _rows(aws, "bronze", dataset, "_reject")["_reject"]
    codes = Counter(reject["code"] if reject else "" for reject in rejects)
    good = codes.pop("", 0)
    return BronzeCount(good, dict(sorted(codes.items())))


def _rows(aws: Aws, layer: Layer, dataset: str, column: str) -> pd.DataFrame:
    table = load_table(aws, layer, dataset)
    if table is None:
        return pd.DataFrame({column: []})
    return table.scan(selected_fields=(column,)).to_pandas()
