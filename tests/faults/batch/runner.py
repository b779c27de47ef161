"""Plays many stories, each with a fault, and says what came of them: ``nox -s faults -- batch``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
from faults.batch.death import counted
from faults.batch.stage import KINDS, Outcome, Stage, draw, short_claims
from faults.batch.story import write
from faults.table import save
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.spark import catalog_conf
from localaws import sparkenv
from localaws.emulator import ACCOUNT_KEYS, Emulator
from localaws.processes import free_port

_RESULTS = Path(__file__).parents[1] / "results"
_HEAD = (
    "fault",
    "in",
    "stories",
    "struck",
    "run again",
    "missing",
    "surplus",
    "mart rows wrong",
    "unaudited",
)
_LEGEND = (
    "missing, surplus: rows of silver against what the files say, worked out separately; "
    "unaudited: what a reader that polls main saw and should not have"
)


class Report(msgspec.Struct, frozen=True):
    """What a run found."""

    first: int
    began: str
    minutes: float
    outcomes: Sequence[Outcome]

    @property
    def clean(self) -> bool:
        """Whether every story ended as one clean run ends."""
        return all(outcome.clean for outcome in self.outcomes)


def run(aws: Aws, spark: SparkSession, seeds: Sequence[int], console: Console) -> Report:
    """Play the stories of the seeds, one after the other."""
    began = datetime.now(UTC)
    outcomes = []
    with counted(), short_claims():
        for seed in seeds:
            outcomes.append(Stage(aws, spark, write(seed), draw(seed)).play())
            console.print(_said(outcomes[-1], len(seeds)), highlight=False)
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    return Report(seeds[0], began.isoformat(timespec="seconds"), round(minutes, 1), outcomes)


def _said(outcome: Outcome, of: int) -> str:
    found = "as one clean run" if outcome.clean else f"[red]{msgspec.to_builtins(outcome)}[/]"
    where = outcome.struck or "[yellow]the step ended before[/]"
    fault = outcome.fault
    return (
        f"story {outcome.seed} of {of}: {fault.kind} in {fault.step}, {where}: {outcome.rows} rows "
        f"{found}, {outcome.seconds:.0f} s"
    )


def lines(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One line for each fault in each step, and one for all."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.fault.kind, outcome.fault.step), []).append(outcome)
    order = {kind: number for number, kind in enumerate(KINDS)}
    found = sorted(groups.items(), key=lambda item: (order.get(item[0][0], -1), item[0][1]))
    return [*(_line(*key, group) for key, group in found), _line("all", "", outcomes)]


def _line(kind: str, step: str, group: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        kind,
        step,
        str(len(group)),
        str(sum(bool(o.struck) for o in group)),
        str(sum(o.again for o in group)),
        str(sum(o.missing for o in group)),
        str(sum(o.surplus for o in group)),
        str(sum(o.mart_wrong for o in group)),
        str(sum(len(o.unaudited) for o in group)),
    )


def title(report: Report) -> str:
    """The result in one line."""
    rows = sum(outcome.rows for outcome in report.outcomes)
    looks = sum(outcome.looks for outcome in report.outcomes)
    verdict = "main is what one clean run gives" if report.clean else "NOT CLEAN"
    return (
        f"{len(report.outcomes)} stories from seed {report.first}: {verdict}; {rows:,} rows of "
        f"silver compared, {looks:,} looks at main, {report.minutes:.0f} minutes"
    )


def write_down(report: Report, folder: Path) -> Path:
    """As JSON with every story, and as Markdown; the path of the latter."""
    stem = folder / f"batch-{len(report.outcomes)}-seed-{report.first}"
    return save(stem, report, title(report), (_HEAD, *lines(report.outcomes)), 2, _LEGEND)


def as_rich(report: Report) -> Table:
    """For the terminal."""
    table = Table(*_HEAD, title=title(report), caption=_LEGEND)
    for column in table.columns[2:]:
        column.justify = "right"
    for line in lines(report.outcomes):
        table.add_row(*line, style="bold" if line[0] == "all" else "")
    return table


@contextmanager
def deployment(scratch: Path) -> Iterator[tuple[Aws, SparkSession]]:
    """An emulator with empty buckets and databases, and a Spark on it."""
    emulator = Emulator(free_port(), scratch)
    try:
        emulator.wait_ready()
        for name in [n for n in os.environ if n.startswith("AWS_") and n != "AWS_CA_BUNDLE"]:
            del os.environ[name]
        os.environ.update({**ACCOUNT_KEYS, "AWS_ENDPOINT_URL": emulator.url})
        os.environ.update(sparkenv.launch_env())
        aws = Aws.from_env("lakehouse-faults")
        for purpose in naming.BUCKETS:
            aws.client("s3").create_bucket(Bucket=aws.bucket(purpose))
        for layer in naming.LAYERS:
            aws.client("glue").create_database(DatabaseInput={"Name": layer})
        builder = SparkSession.builder.appName("faults")
        confs = catalog_conf(aws.prefix) | sparkenv.local_conf(emulator.url, emulator.url)
        for key, value in confs.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
        yield aws, spark
        spark.stop()
    finally:
        emulator.stop()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="nox -s faults -- batch", description=__doc__)
    parser.add_argument("--runs", type=int, default=21, help="how many stories")
    parser.add_argument("--seed", type=int, default=1, help="of the first")
    parser.add_argument("--results", type=Path, default=_RESULTS)
    asked = parser.parse_args()
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as scratch,
        deployment(Path(scratch)) as (aws, spark),
    ):
        seeds = range(asked.seed, asked.seed + asked.runs)
        report = run(aws, spark, seeds, console)
    console.print(as_rich(report))
    console.print(f"written to {write_down(report, asked.results)}")
    sys.exit(0 if report.clean else 1)


if __name__ == "__main__":
    main()
