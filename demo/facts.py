"""What the demo found out, gathered for the terminal and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd
import pyarrow.compute as pc

from demo.reconcile import Figure
from demo.steps import Took
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts
from lakehouse.naming import Layer
from lakehouse.promotion.progress import SetAside, read_state
from lakehouse.promotion.verdict import Verdict, read_verdicts
from lakehouse.tables import load_table

STREAMED: Final = "flights"


class BronzeCount(NamedTuple):
    """The deliveries of a dataset in bronze."""

    loads: Mapping[int, int]
    """Good deliveries by load."""
    rejected: Mapping[str, int]
    """Rejected deliveries by the code of their reason."""

    @property
    def good(self) -> int:
        """Deliveries that keep every rule of the contract."""
        return sum(self.loads.values())

    @property
    def bad(self) -> int:
        """Rejected deliveries."""
        return sum(self.rejected.values())

    @property
    def total(self) -> int:
        """Good and rejected."""
        return self.good + self.bad


class DemoFacts(NamedTuple):
    """Everything that is shown at the end."""

    months: Sequence[int]
    seed: int
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

    def left_out(self, dataset: str) -> int:
        """Good deliveries in the loads that were set aside."""
        loads = self.bronze[dataset].loads
        return sum(loads.get(entry.load, 0) for entry in self.set_aside.get(dataset, ()))

    def duplicates(self, dataset: str) -> int:
        """Good deliveries of rows that silver has from another one."""
        return self.bronze[dataset].good - self.left_out(dataset) - self.silver[dataset]

    @property
    def wrong(self) -> list[Figure]:
        """Figures in which the platform and pandas differ."""
        return [figure for figure in self.figures if not figure.equal]


def gather(
    aws: Aws,
    contracts: Contracts,
    *,
    months: Sequence[int],
    seed: int,
    flights: int,
    acknowledged: int,
    sent_by_kind: Mapping[str, int],
    figures: Sequence[Figure],
    steps: Sequence[Took],
    home: str,
) -> DemoFacts:
    """The facts that the caller knows, and those that the tables and verdicts tell."""
    landed = [c.dataset for c in contracts.values() if c.source != "mart"]
    marts = [c.dataset for c in contracts.values() if c.source == "mart"]
    return DemoFacts(
        months=months,
        seed=seed,
        flights=flights,
        acknowledged=acknowledged,
        sent_by_kind=sent_by_kind,
        bronze={name: _bronze(aws, name) for name in landed},
        silver={name: len(_rows(aws, "silver", name, "_load")) for name in landed},
        set_aside={name: aside for name in landed if (aside := _set_aside(aws, name))},
        verdicts={name: read_verdicts(aws, name) for name in [*landed, *marts]},
        gold={name: _rows(aws, "gold", name, "*") for name in marts},
        figures=figures,
        steps=steps,
        home=home,
    )


def _bronze(aws: Aws, dataset: str) -> BronzeCount:
    table = load_table(aws, "bronze", dataset)
    if table is None:
        return BronzeCount({}, {})
    rows = table.scan(selected_fields=("_load", "_reject")).to_arrow()
    codes = pc.struct_field(rows["_reject"], "code").to_pylist()
    loads = rows["_load"].to_pylist()
    good = Counter(load for load, code in zip(loads, codes, strict=True) if code is None)
    rejected = Counter(code for code in codes if code is not None)
    return BronzeCount(dict(sorted(good.items())), dict(sorted(rejected.items())))


def _set_aside(aws: Aws, dataset: str) -> Sequence[SetAside]:
    table = load_table(aws, "silver", dataset)
    return read_state(table).set_aside if table else ()


def _rows(aws: Aws, layer: Layer, dataset: str, column: str) -> pd.DataFrame:
    table = load_table(aws, layer, dataset)
    if table is None:
        return pd.DataFrame({column: []})
    return table.scan(selected_fields=(column,)).to_pandas()
