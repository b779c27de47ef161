"""kill -9 of the running streaming job, and what a restart makes of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from lakehouse import ingest
from lakehouse.aws import Aws
from lakehouse.ledger import Ledger
from lakehouse.produce import Record, produce
from lakehouse.tables import load_table
from localaws.local import LocalEstate

EVENTS = 20_000


def event(number: int) -> Record:
    record = {
        "event_id": f"{number:032x}", "flight_date": "2013-01-01",
        "scheduled_departure": "2013-01-01T10:15:00Z", "carrier": "UA", "flight": 1 + number % 9000,
        "origin": "EWR", "dest": "IAH", "distance": 1400 if number % 50 else -1,
    }  # fmt: skip
    return Record(str(number), json.dumps(record).encode())


@pytest.fixture(scope="module")
def sent(local_estate: LocalEstate) -> list[bytes]:
    aws = Aws.from_env(local_estate.prefix)
    events = [event(number) for number in range(EVENTS)]
    produce(aws.client("kinesis"), aws.stream("flights"), events)
    return [record.payload for record in events]


def planned(ledger: Ledger, load: int) -> bool:
    return ledger.plan(load) is not None


def part_claimed(ledger: Ledger, load: int) -> bool:
    plan = ledger.plan(load)
    return plan is not None and ledger.claim(load, 0) is not None


@pytest.mark.parametrize("reached", [planned, part_claimed])
def test_killed_in_the_middle_nothing_is_lost_or_repeated(
    local_estate: LocalEstate, sent: list[bytes], reached: Callable[[Ledger, int], bool]
) -> None:
    aws = Aws.from_env(local_estate.prefix)
    glue = aws.client("glue")
    ledger = ingest.open_ledger(aws, "flights")
    load = len(ledger.plans_after(-1))
    produce(aws.client("kinesis"), aws.stream("flights"), [event(EVENTS + load)])
    sent.append(event(EVENTS + load).payload)

    run = start(glue, aws)
    until(lambda: reached(ledger, load), "the load to get that far")
    kill(run)
    until(lambda: state(glue, aws, run) == "FAILED", "the run to be seen as failed")

    again = start(glue, aws)
    until(lambda: state(glue, aws, again) == "SUCCEEDED", "the restarted run to end")
    table = load_table(aws, "bronze", "flights")
    assert table is not None
    rows = table.scan(selected_fields=("_payload", "_source", "_sequence")).to_arrow()
    assert Counter(rows["_payload"].to_pylist()) == Counter(sent)
    positions = set(zip(rows["_source"].to_pylist(), rows["_sequence"].to_pylist(), strict=True))
    assert len(positions) == len(sent)


def start(glue: Any, aws: Aws) -> str:
    run: str = glue.start_job_run(JobName=aws.job("ingest-main"), Arguments={"--once": "true"})[
        "JobRunId"
    ]
    return run


def state(glue: Any, aws: Aws, run: str) -> str:
    answer: str = glue.get_job_run(JobName=aws.job("ingest-main"), RunId=run)["JobRun"][
        "JobRunState"
    ]
    assert answer not in {"TIMEOUT", "ERROR"}
    return answer


def kill(run: str) -> None:
    """Kill every process of a run at once, as a lost machine would."""
    family = {
        child
        for process in psutil.process_iter(["cmdline"])
        if run in " ".join(process.info["cmdline"] or [])
        for child in [process, *process.children(recursive=True)]
    }
    assert family
    for process in family:
        process.kill()


def until(done: Callable[[], bool], what: str) -> None:
    @retry(
        retry=retry_if_result(lambda met: not met),
        wait=wait_fixed(0.02),
        stop=stop_after_delay(150),
    )
    def poll() -> bool:
        return done()

    assert poll(), what
