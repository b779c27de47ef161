from __future__ import annotations

import io
import subprocess
import sys

import msgspec
import pytest
from rich.console import Console

from benchmarks.growth import Age, Growth
from benchmarks.latency import Latency
from benchmarks.measure import Meter, Sample
from benchmarks.report import Report, ratio_to_bound
from benchmarks.throughput import Figures, Result


def figures(cpu: float) -> Figures:
    return Figures(2.0, 500.0, 0.1, cpu, 100.0, 1.0, 2.0, 0.1, 0.0, 1)


def result(name: str, *cpu: float, size: int = 254) -> Result:
    return Result(name, 1000, size, 4, 1, tuple(map(figures, cpu)))


def test_the_cost_of_children_is_counted_also_when_they_have_ended() -> None:
    child = "import time\nwhile time.process_time() < 0.4: pass"
    parent = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
        "print('ended', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ended\n"
        with Meter(process.pid, interval=0.02) as meter:
            pass
        process.communicate(b"\n")
    assert meter.samples[-1].cpu >= 0.35
    assert meter.samples[-1].memory > 5_000_000


def test_cost_is_interpolated_between_samples() -> None:
    meter = Meter()
    meter.samples = [Sample(10.0, 1.0, 7, 5.0), Sample(12.0, 3.0, 9, 9.0)]
    assert meter.cpu_between(10.5, 11.5) == pytest.approx(1.0)
    assert meter.machine_between(10.5, 11.5) == pytest.approx(2.0)
    assert meter.peak_between(10.5, 11.5) == 9


def test_medians_and_ratios_are_of_the_same_records() -> None:
    results = [
        result("ours", 9.0, 4.0, 5.0),
        result("bound", 4.0),
        result("bound", 1.0, size=1024),
    ]
    assert results[0].median.cpu_per_million == 5.0
    assert ratio_to_bound(results[0], results) == pytest.approx(1.25)
    assert ratio_to_bound(result("ours", 1.0, size=99), results) is None


def test_a_report_shows_and_keeps_everything() -> None:
    report = Report.new()
    report.throughput = [result("ours", 5.0), result("bound", 4.0)]
    report.shards = [result("ours", 6.0)]
    report.latency = Latency(60_000, 60, 1000, 1.25, 2.5, 3.75, 40)
    report.growth = Growth((Age(10, 0.2, 0.1, 11_560, 10),), 0.03)
    console = Console(width=80, file=io.StringIO())
    report.show(console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for shown in ("254 bytes", "1.25", "3.75", "11,560", "30.0 ms"):
        assert shown in text
    kept = msgspec.json.decode(report.json())
    assert kept["throughput"][0]["median"]["cpu_per_million"] == 5.0
    assert kept["growth"]["ages"][0]["manifests"] == 10
