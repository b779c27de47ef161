"""What was measured, as tables and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.growth import Growth
from benchmarks.increment import INCREMENT, Increments
from benchmarks.latency import Latency
from benchmarks.throughput import Figures, Result


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    cpu: str
    cores: int
    memory_gigabytes: float
    python: str

    @classmethod
    def here(cls) -> Machine:
        """The machine that this runs on."""
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a path of ours
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
        return cls(
            cpu=names[0] if names else platform.machine(),
            cores=os.cpu_count() or 1,
            memory_gigabytes=round(psutil.virtual_memory().total / 1e9, 1),
            python=platform.python_version(),
        )


class Report(msgspec.Struct):
    """Everything that was measured in one go."""

    machine: Machine
    began: datetime
    throughput: list[Result] = []
    shards: list[Result] = []
    latency: Latency | None = None
    growth: Growth | None = None
    increments: list[Increments] = []

    @classmethod
    def new(cls) -> Report:
        """An empty report of this machine."""
        return cls(Machine.here(), datetime.now(UTC))

    def json(self) -> bytes:
        """The report as an indented JSON document, with medians beside the runs."""
        document = msgspec.to_builtins(self)
        for name in ("throughput", "shards"):
            for built, result in zip(document[name], getattr(self, name), strict=True):
                built["median"] = msgspec.to_builtins(result.median)
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"

    def show(self, console: Console) -> None:
        """Print what was measured."""
        for size in dict.fromkeys(result.record_bytes for result in self.throughput):
            chosen = [result for result in self.throughput if result.record_bytes == size]
            console.print(_throughput(chosen, "contestant", [r.contestant for r in chosen]))
        if self.shards:
            labels = [f"{result.shards}, {result.datasets}" for result in self.shards]
            console.print(_throughput(self.shards, "shards, datasets", labels))
        if self.latency is not None:
            console.print(_latency(self.latency))
        if self.growth is not None:
            console.print(_growth(self.growth))
        if self.increments:
            console.print(_increments(self.increments))


def ratio_to_bound(result: Result, results: Sequence[Result]) -> float | None:
    """How many times the bound's CPU seconds a contestant takes for the same records."""
    for other in results:
        same = (other.records, other.record_bytes) == (result.records, result.record_bytes)
        if other.contestant == "bound" and same:
            return result.median.cpu_per_million / other.median.cpu_per_million
    return None


def _throughput(results: Sequence[Result], label: str, labels: Sequence[str]) -> Table:
    first = results[0]
    table = Table(
        title=f"{first.records:,} records of {first.record_bytes:,} bytes, "
        f"medians of {len(first.runs)}",
        caption="CPU: seconds per million records; ratio: to the bound's; others: share of the "
        "cores that was busy with something else",
    )
    table.add_column(label, no_wrap=True)
    for name in ("records/s", "MB/s", "CPU", "ratio", "peak MB", "start s", "others"):
        table.add_column(name, justify="right")
    for name, result in zip(labels, results, strict=True):
        figures: Figures = result.median
        ratio = ratio_to_bound(result, results)
        table.add_row(
            name,
            f"{figures.records_per_second:,.0f}",
            f"{figures.megabytes_per_second:.1f}",
            f"{figures.cpu_per_million:.2f}",
            "" if ratio is None else f"{ratio:.2f}",
            f"{figures.peak_megabytes:,.0f}",
            f"{figures.startup_seconds:.1f}",
            f"{figures.others_share:.0%}",
        )
    return table


def _latency(latency: Latency) -> Table:
    table = Table(title=f"Seconds from arrival to visible at {latency.rate:,.0f} records/s")
    for name in ("records", "over s", "commits", "median", "p95", "most"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{latency.records:,}",
        f"{latency.seconds:.0f}",
        str(latency.commits),
        f"{latency.median:.2f}",
        f"{latency.p95:.2f}",
        f"{latency.most:.2f}",
    )
    return table


def _growth(growth: Growth) -> Table:
    table = Table(
        title="A small load as the table grows older",
        caption=f"with nothing to read: {growth.idle_seconds * 1000:.1f} ms, no commit",
    )
    for name in ("commits", "load ms", "of it publish ms", "metadata.json bytes", "manifests"):
        table.add_column(name, justify="right")
    for age in growth.ages:
        table.add_row(
            f"{age.commits:,}",
            f"{age.load_seconds * 1000:.0f}",
            f"{age.publish_seconds * 1000:.0f}",
            f"{age.metadata_bytes:,}",
            f"{age.manifests:,}",
        )
    return table


def _increments(found: Sequence[Increments]) -> Table:
    least = found[0].seconds
    table = Table(
        title=f"{INCREMENT:,} deliveries from bronze to silver, medians of {len(found[0].steps)}",
        caption="files in scope: those that MERGE and gate may read",
    )
    for name in ("rows in silver", "seconds", "ratio", "files", "in scope", "written"):
        table.add_column(name, justify="right")
    for item in found:
        last = item.steps[-1]
        table.add_row(
            f"{item.rows:,}",
            f"{item.seconds:.2f}",
            f"{item.seconds / least:.2f}",
            f"{last.files:,}",
            f"{last.files_in_scope:,}",
            f"{last.files_written:,}",
        )
    return table
