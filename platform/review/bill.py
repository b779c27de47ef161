"""The monthly bill of every stack, computed from what it declares: ``docs/bill.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from localaws.apply import CONTRACTS, ROOT, Recorded, render
from review.month import Line, Month
from review.prices import Prices, load
from review.pricing import FREE, lines
from review.whatif import changes

PAGE: Final = ROOT / "docs" / "bill.md"
STACKS: Final = ("dev", "staging", "prod")
"""Those that run on AWS."""
_SHOWN: Final = 0.5
"""USD from which a line is shown by itself."""
_HEAD: Final = """\
# The bill

Computed by `python -m review` from the resources that each stack declares and from the dated prices
and assumptions of `platform/review/prices.yaml`; `nox -s golden` writes it anew, a test compares.
Prices are those of {region} as of {date}, without tax, discounts and free tiers.

**No stack was ever deployed, so no figure was compared with a bill of AWS.** What a stack holds,
and how often its schedules start something, is counted; how long a run takes is assumed.

USD a month, by component:
"""
_SCALES: Final = """\
Each line is `prod` with one thing changed, rendered and computed anew.

| change | what it changes | USD a month |
|---|---|---:|"""
_WHY: Final = """\
A job that streams all the time costs the same busy or idle, so `prod` drains its streams each
quarter of an hour; that is what keeps it below 900 USD. Airflow, the way to the internet and the
runs are paid by the hour or by the run, whatever comes.
"""
_MISSING: Final = """\
Not in it: secrets that Airflow reads, traffic out of AWS, support, and a rebuild of everything.
"""
_READ: Final = """\
*Read* says that the source has the figure in as many words; the others are known from elsewhere and
should be looked up before anybody relies on them.

| USD | a | read | source |
|---:|---|---|---|"""


def bill(stack: str, resources: Sequence[Recorded], prices: Prices) -> list[Line]:
    """The lines of a stack's month."""
    return lines(Month(stack, resources, prices))


def summed(found: Sequence[Line], prices: Prices, key: Callable[[Line], str]) -> dict[str, float]:
    """USD a month under each key of the lines."""
    sums: dict[str, float] = {}
    for line in found:
        usd = line.quantity * prices.prices[line.price].usd
        sums[key(line)] = sums.get(key(line), 0) + usd
    return sums


def total(found: Sequence[Line], prices: Prices) -> float:
    """USD a month."""
    return sum(summed(found, prices, lambda line: line.component).values())


def page(prices: Prices, stacks: Mapping[str, Sequence[Recorded]]) -> str:
    """The bill as Markdown."""
    bills = {stack: bill(stack, found, prices) for stack, found in stacks.items()}
    parts = [
        _HEAD.format(region=prices.region, date=prices.date),
        *_table(bills, prices, lambda line: line.component),
        f"\n## What it is spent on\n\nLines of {_SHOWN} USD or more in one of the stacks.\n",
        *_table(bills, prices, lambda line: f"{line.component}: {line.what}", _SHOWN),
        f"\n## What scales with what\n\n{_SCALES}",
        *_changed(stacks["prod"], bills["prod"], prices),
        f"\n{_WHY}\n## Assumptions\n",
        *_assumptions(prices),
        f"\n{_MISSING}\n## Prices\n\n{_READ}",
        *(
            f"| {price.usd:g} | {price.unit} | {'yes' if price.read else 'no'} | {price.source} |"
            for price in prices.prices.values()
        ),
        "\n## Free\n\n| type | why |\n|---|---|",
        *(f"| `{kind.rpartition(':')[2]}` | {why} |" for kind, why in sorted(FREE.items())),
    ]
    return "\n".join(parts) + "\n"


def write(path: Path = PAGE) -> Path:
    """Write the page."""
    stacks = {stack: render(stack, CONTRACTS) for stack in STACKS}
    path.write_text(page(load(), stacks), encoding="utf-8")
    return path


def _table(
    bills: Mapping[str, Sequence[Line]],
    prices: Prices,
    key: Callable[[Line], str],
    least: float = 0,
) -> list[str]:
    """A row a key, the most expensive of the last stack first, and the sums."""
    sums = [summed(found, prices, key) for found in bills.values()]
    rows = {row for found in sums for row, usd in found.items() if usd >= least}
    order = sorted(rows, key=lambda row: [*(-found.get(row, 0) for found in reversed(sums)), row])
    totals = [f"**{total(found, prices):,.0f}**" for found in bills.values()]
    return [
        _row("", *bills),
        _row("---", *["---:"] * len(bills)),
        *(_row(row, *(_usd(found.get(row, 0)) for found in sums)) for row in order),
        _row("**all**", *totals),
    ]


def _changed(prod: Sequence[Recorded], before: Sequence[Line], prices: Prices) -> list[str]:
    was = summed(before, prices, lambda line: line.component)
    rows = []
    for change, resources, changed in changes(prod, prices):
        now = summed(bill("prod", resources, changed), changed, lambda line: line.component)
        grown = {part: now.get(part, 0) - was.get(part, 0) for part in was | now}
        parts = ", ".join(sorted(part for part, usd in grown.items() if abs(usd) >= 1))
        rows.append(_row(change, parts, f"{sum(grown.values()):+,.0f}"))
    return rows


def _assumptions(prices: Prices) -> list[str]:
    usages = [prices.stacks[stack] for stack in STACKS]
    plain = [u.model_dump(exclude={"runs", "minutes"}) for u in usages]
    jobs = usages[-1].minutes
    return [
        _row("", *STACKS),
        _row("---", *["---:"] * len(STACKS)),
        *(_row(_words(key), *(f"{found[key]:,g}" for found in plain)) for key in plain[0]),
        *(
            _row(
                f"runs of {job}",
                *(f"{u.runs[job]:,g}" if job in u.runs else "by schedule" for u in usages),
            )
            for job in jobs
        ),
        *(
            _row(f"minutes of a run of {job}", *(f"{u.minutes[job]:g}" for u in usages))
            for job in jobs
        ),
        *(
            _row(_words(key), *[f"{value:g}"] * len(STACKS))
            for key, value in prices.everywhere.model_dump().items()
        ),
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _usd(usd: float) -> str:
    return f"{usd:,.2f}" if usd else ""


def _words(key: str) -> str:
    return " ".join(
        word.upper() if word in {"gb", "tb", "mb", "kb"} else word for word in key.split("_")
    )
