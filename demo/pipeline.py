"""The main job: flights streamed, weather pulled, files dropped, promoted into marts, checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from demo import data, weather_api
from demo.actions import stop, wait_for_rows
from demo.airflow import Airflow
from demo.expect import Pull, expect
from demo.reconcile import Figure, reconcile
from demo.steps import Steps
from demo.trouble import Delivery, deliveries
from lakehouse.aws import Aws
from lakehouse.cli.drop import drop
from lakehouse.cli.produce import Record, produce
from lakehouse.cli.runs import JobRun
from lakehouse.contracts.odcs import load_contracts
from lakehouse.promotion.progress import read_state
from lakehouse.tables import load_table
from localaws.local import LocalEstate

CONTRACTS: Final = Path(__file__).parents[1] / "quality" / "contracts"


class Source(NamedTuple):
    """What goes in at one end."""

    flights: pd.DataFrame
    sent: list[Delivery]
    """Everything that is sent for the flights."""
    weather: pd.DataFrame
    registers: dict[str, pd.DataFrame]


class Outcome(NamedTuple):
    """What came out at the other."""

    figures: list[Figure]
    acknowledged: int


def read_source(months: Sequence[int], seed: int) -> Source:
    """The real data of some months, and the deliveries that seeded trouble makes of the flights."""
    flights = data.read_flights(months)
    return Source(
        flights,
        deliveries(flights, seed),
        data.read_weather(months),
        {name: data.read_csv(name) for name in data.FILES},
    )


def run(source: Source, estate: LocalEstate, python: Path, steps: Steps) -> Outcome:
    """Run everything on an estate that is up, with the Airflow of that Python.

    Raises EstateError when a part of the platform fails.
    """
    aws = Aws.from_env(estate.prefix)
    contracts = load_contracts(CONTRACTS)
    months = weather_api.by_month(source.weather)
    wrong = list(months)[min(1, len(months) - 1)]
    with ExitStack() as stack:
        api = stack.enter_context(weather_api.WeatherApi(months))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        connection = {"AIRFLOW_CONN_WEATHER_API": api.url}
        airflow = Airflow(python, estate.home / "airflow", estate.env | connection)
        stack.callback(airflow.close)

        with steps.step("Drop the files of airlines, airports and aircraft") as step:
            for name in data.FILES:
                drop(aws, contracts[name], [data.source_folder() / f"{name}.csv"])
            step.result = "3 files in the landing zone"

        # Airflow lands the first batch while the stream runs.
        api.serve_in_celsius({wrong})
        landing = pool.submit(_land, airflow, [wrong])
        with steps.step("Stream the flights into bronze") as step:
            acknowledged = _stream(aws, source.sent, step.say)
            step.result = _of_kinds(source.sent)
        with steps.step(f"Pull the weather of {wrong}, in the wrong unit, and land the files"):
            landing.result()
        with steps.step("Promote to silver") as step:
            airflow.run("promote")
            step.result = _set_aside(aws)

        api.serve_in_celsius(())
        with steps.step(f"Pull all the weather, {wrong} healed, and land it"):
            airflow.run("pull", "--conf", json.dumps({"months": list(months)}))
            airflow.run("land")
        with steps.step("Promote to silver again"):
            airflow.run("promote")
        with steps.step("Build the marts"):
            airflow.run("marts")
    with steps.step("Check every figure against pandas") as step:
        pulls = [Pull(int(wrong[5:]), in_celsius=True), *(Pull(int(month[5:])) for month in months)]
        expected = expect(source.flights, source.sent, source.weather, pulls, source.registers)
        figures = reconcile(aws, expected, acknowledged, set_aside=1)
        step.result = f"{sum(f.equal for f in figures)} of {len(figures)} figures agree"
    return Outcome(figures, acknowledged)


def _land(airflow: Airflow, months: Sequence[str]) -> None:
    airflow.prepare()
    airflow.run("pull", "--conf", json.dumps({"months": list(months)}))
    airflow.run("land")


def _stream(aws: Aws, sent: Sequence[Delivery], say: Callable[[str], None]) -> int:
    """Send while the streaming job runs; how many deliveries the stream acknowledged."""
    run = JobRun.start(aws, "ingest-main", {"--once": "false"})
    try:
        done = Counter[str]()

        def count(more: int) -> None:
            done["sent"] += more
            if done["sent"] % 20_000 < more:
                say(f"{done['sent']:,} of {len(sent):,} sent")

        records = (Record(delivery.key, delivery.payload) for delivery in sent)
        produced = produce(aws.client("kinesis"), aws.stream("flights"), records, count)
        wait_for_rows(aws, "flights", produced.acknowledged, run, say)
    finally:
        stop(run)
    return produced.acknowledged


def _of_kinds(sent: Sequence[Delivery]) -> str:
    kinds = Counter(delivery.kind for delivery in sent)
    return f"{len(sent):,} deliveries: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items())


def _set_aside(aws: Aws) -> str:
    table = load_table(aws, "silver", "weather")
    aside = read_state(table).set_aside if table else ()
    return "; ".join(f"weather load {entry.load} set aside: {entry.reason}" for entry in aside)
