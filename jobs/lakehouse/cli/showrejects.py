"""Prints rejects and what a replay makes of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from lakehouse.cli.show import count, new_table, print_table
from lakehouse.ingestion.rejectlist import RejectList, RejectRow
from lakehouse.ingestion.replay import ReplayReport
from lakehouse.ingestion.replayread import CUT, GOOD


def as_json(found: Any) -> None:
    """What was found as JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")


def by_dataset(out: Console, found: Sequence[RejectList]) -> None:
    """A line a dataset and reason, and a summary."""
    table = new_table()
    for name in ("dataset", "reason", "loads"):
        table.add_column(name, no_wrap=True)
    for name in ("rejects", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    rejects = 0
    for listed in found:
        for code, number in listed.by_reason.items():
            loads = [line.load for line in listed.loads if code in line.rejected]
            share = _share(number, listed.deliveries)
            table.add_row(listed.dataset, code, _span(loads), f"{number:,}", share)
            rejects += number
    if rejects:
        print_table(out, table)
    came = sum(listed.deliveries for listed in found)
    share = f", {_share(rejects, came)}" if rejects and came else ""
    out.print(f"{count(rejects, 'reject')} of {came:,} deliveries{share}", style="dim")


def by_load(out: Console, found: RejectList) -> None:
    """A line a load and reason, a total a reason, and what to do next."""
    table = new_table()
    table.add_column("load", justify="right", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    for name in ("rejects", "of deliveries", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.loads:
        came = f"{line.deliveries:,}" if line.deliveries else "replay"
        for code, number in line.rejected.items():
            share = _share(number, line.deliveries)
            table.add_row(f"{line.load:,}", code, f"{number:,}", came, share)
    reasons = found.by_reason
    for code, number in reasons.items() if len(found.loads) > 1 else ():
        table.add_row("all", code, f"{number:,}", f"{found.deliveries:,}", "", style="bold")
    if reasons:
        print_table(out, table)
    total = sum(reasons.values())
    out.print(
        f"{count(total, 'reject')} of {found.dataset}, {found.deliveries:,} deliveries came in all",
        style="dim",
    )
    if total:
        out.print(f"next: lakehouse rejects replay {found.dataset} --dry-run", style="dim")


def rows(out: Console, dataset: str, found: Sequence[RejectRow], total: int) -> None:
    """A block a reject: where it is, why, and the beginning of its payload."""
    for row in found:
        attempt = f", attempt {row.attempt}" if row.attempt else ""
        out.print(
            Text.assemble(
                (row.code, "yellow"),
                f"  load {row.load:,}  {row.source}  {row.sequence}  {row.index:,}",
                (f"  arrived {row.arrived_at:%Y-%m-%dT%H:%M:%SZ}{attempt}", "dim"),
            )
        )
        out.print(Text(f"  {row.detail}"))
        out.print(Text(f"  {row.payload or 'no bytes'}", "dim"))
    more = f" of {total:,}, newest load first: --limit shows more" if total > len(found) else ""
    out.print(f"{count(len(found), 'reject')} of {dataset}{more}", style="dim")


def replayed(out: Console, done: ReplayReport) -> None:
    """What became, or would become, of each reason, and a summary."""
    for load in done.others:
        out.print(f"load {load} was found unfinished and carried out before", style="dim")
    if not done.outcomes:
        out.print(f"no reject of {done.dataset} to replay; no row was added", style="dim")
        return
    table = new_table()
    table.add_column("reason", no_wrap=True)
    table.add_column("would be" if done.dry_run else "is now", no_wrap=True)
    table.add_column("rejects", justify="right", no_wrap=True)
    for before, after in done.outcomes.items():
        for outcome, number in sorted(after.items(), key=lambda item: (item[0] != GOOD, item[0])):
            colour = {GOOD: "green", before: "dim", CUT: "yellow"}.get(outcome, "")
            said = "as before" if outcome == before else outcome
            table.add_row(before, Text(said, colour), f"{number:,}")
    print_table(out, table)
    rejects = f"{done.good:,} of {count(done.rejects, 'reject')} of {done.dataset}"
    by = f"by contract {done.contract_version}"
    if done.dry_run:
        out.print(f"{rejects} would be good {by}; nothing was written")
    elif done.appended:
        out.print(f"{rejects} good {by}: load {done.load} added {count(done.appended, 'row')}")
        out.print(f"next: lakehouse run promote {done.dataset}", style="dim")
    else:
        out.print(f"{rejects} good {by}; load {done.load} is empty: nothing turned out differently")
    if any(CUT in after for after in done.outcomes.values()):
        out.print(
            "[yellow]![/] some kept the beginning of a file or record alone: drop those files again"
        )


def _share(number: int, of: int) -> str:
    return f"{number / of:.2%}" if of else ""


def _span(loads: Sequence[int]) -> str:
    low, high = min(loads), max(loads)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
