"""What the steps of one acceptance share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from acceptance import jobs
from acceptance.datasets import EVENTS, Version, datasets
from acceptance.estates import Estate, Outputs
from acceptance.events import Delivery, Sent, event
from acceptance.steps import AcceptanceError
from acceptance.waiting import wait_until
from lakehouse.aws import Aws
from lakehouse.cli.produce import produce
from lakehouse.cli.query import Answer, query
from lakehouse.cli.runs import JobRun
from lakehouse.errors import LakehouseError
from lakehouse.naming import Layer
from lakehouse.tables import load_table

_PAUSE: Final = 0.2
"""Seconds between two batches of traffic."""


class Session:
    """One acceptance of one estate."""

    def __init__(self, estate: Estate, run: str, folder: Path, stack_contracts: Path) -> None:
        self.estate = estate
        self.run = run
        """Names what this acceptance sends, so that none meets another's."""
        self.folder = folder
        self.stack_contracts = stack_contracts
        self.aws = Aws(estate.prefix, estate.region)
        self.contracts = datasets()
        self.job = f"ingest-{self.contracts[EVENTS].group}"
        self.outputs: Outputs = {}
        self.sent = Sent()
        self.numbers = count()
        self.rows_before = 0
        """Of bronze, from earlier acceptances."""
        self.ingest: JobRun | None = None
        """The run that ingests."""
        self._started: JobRun | None = None
        self.bad_load: int | None = None

    @property
    def patience(self) -> float:
        """Seconds that a run may take to start and do its work."""
        return self.estate.patience

    def ingesting(self) -> JobRun:
        """The run that ingests: one that is under way and goes on, or one that is started now."""
        self.ingest, started = jobs.ingesting(self.aws, self.job, self.patience)
        if started:
            self._started = self.ingest
        return self.ingest

    def close(self) -> None:
        """Stop the run that was started here and would go on, which costs as long as it does."""
        if self._started is not None and self._started.under_way():
            self._started.stop()

    def send(self, deliveries: Iterable[Delivery], version: Version = 1) -> None:
        """Send, and note what was acknowledged: everything, or an error."""
        batch = list(deliveries)
        kinesis, stream = self.aws.client("kinesis"), self.aws.stream(EVENTS)
        produce(kinesis, stream, (delivery.record for delivery in batch))
        self.sent.add(batch, version)

    def events(self, number: int, version: Version = 1) -> list[Delivery]:
        """So many new good events."""
        return [event(self.run, next(self.numbers), version) for _ in range(number)]

    @contextmanager
    def traffic(self, version: Version = 1) -> Iterator[None]:
        """Sends all the while; what went wrong there is raised at the end."""
        stop = threading.Event()
        failed: list[LakehouseError] = []

        def send() -> None:
            try:
                while not stop.is_set():
                    self.send(self.events(5, version), version)
                    stop.wait(_PAUSE)
            except LakehouseError as error:
                failed.append(error)

        thread = threading.Thread(target=send, name="traffic")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def rows(self, layer: Layer, dataset: str) -> int:
        """How many rows a table has, by its metadata; 0 where it is not there."""
        table = load_table(self.aws, layer, dataset)
        snapshot = table.current_snapshot() if table else None
        summary = snapshot.summary if snapshot else None
        return int(summary["total-records"] or 0) if summary else 0

    def wait_for_bronze(self) -> float:
        """Wait until bronze has every delivery; the seconds it took.

        AcceptanceError where the run ends before, or bronze gets more.
        """
        began = time.monotonic()

        def arrived() -> bool:
            there = self.rows("bronze", EVENTS) - self.rows_before
            if there > self.sent.deliveries:
                raise AcceptanceError(
                    f"bronze.{EVENTS} has {there} deliveries of {self.sent.deliveries} that were "
                    "acknowledged: some are doubled; keep the ledger and the table as they are"
                )
            if there == self.sent.deliveries:
                return True
            if self.ingest is not None and not self.ingest.under_way():
                answer = self.ingest.answer()
                raise AcceptanceError(
                    f"run {self.ingest.run_id} ended as {answer['JobRunState']} with {there} of "
                    f"{self.sent.deliveries} deliveries in bronze: "
                    f"{answer.get('ErrorMessage') or 'no reason given'}; read its log"
                )
            return False

        wait_until(
            arrived,
            self.patience,
            lambda: (
                f"bronze.{EVENTS} has {self.rows('bronze', EVENTS) - self.rows_before} of "
                f"{self.sent.deliveries} deliveries; see 'lakehouse ingest status {EVENTS}'"
            ),
        )
        return round(time.monotonic() - began, 1)

    def ask(self, sql: str, limit: int = 100) -> Answer:
        """The answer of Athena in the deployment's workgroup."""
        return query(self.aws, sql, limit)

    def exactly_once(self) -> dict[str, Any]:
        """What bronze has of this run, asked of Athena; AcceptanceError unless it is all, once."""
        answer = self.ask(
            "SELECT count(*) AS deliveries, "
            "count(DISTINCT concat(_source, ' ', _sequence, ' ', CAST(_index AS varchar))) "
            "AS positions, "
            "count(DISTINCT CASE WHEN _reject IS NULL THEN event_id END) AS events, "
            "count_if(_reject IS NOT NULL) AS rejects "
            f"FROM bronze.{EVENTS} WHERE _partition_key LIKE '{self.run}-%'"
        )
        found = {
            name: int(value or 0)
            for name, value in zip(answer.columns, answer.rows[0], strict=True)
        }
        wanted = {
            "deliveries": self.sent.deliveries,
            "positions": self.sent.deliveries,
            "events": len(self.sent.good),
            "rejects": self.sent.rejects.total(),
        }
        return same("bronze", found, wanted)


def same(where: str, found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What was found, which has to be what was wanted; AcceptanceError names what differs."""
    differ = [
        f"{name} is {found.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if differ:
        raise AcceptanceError(f"{where}: {'; '.join(differ)}")
    return found
