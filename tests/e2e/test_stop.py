"""A streaming job that is asked to stop ends between two loads."""

from __future__ import annotations

import json

from support.waiting import wait_for

from lakehouse.aws import Aws
from lakehouse.cli.produce import Record, produce
from lakehouse.contracts.model import Contracts
from lakehouse.ingestion import ingest
from localaws.local import LocalEstate


def flight(number: int) -> Record:
    record = {
        "event_id": f"{number:032x}", "flight_date": "2013-01-01",
        "scheduled_departure": "2013-01-01T10:15:00Z", "carrier": "UA", "flight": 1 + number,
        "origin": "EWR", "dest": "IAH", "distance": 1400,
    }  # fmt: skip
    return Record(str(number), json.dumps(record).encode())


def test_a_stopped_run_has_ended_its_queries_and_left_no_load_behind(
    local_estate: LocalEstate, contracts: Contracts
) -> None:
    aws = Aws.from_env(local_estate.prefix)
    glue, job = aws.client("glue"), aws.job("ingest-main")
    produce(aws.client("kinesis"), aws.stream("flights"), [flight(n) for n in range(500)])
    run = glue.start_job_run(JobName=job)["JobRunId"]
    loads = ingest.open_loads(aws, contracts["flights"])

    def stopped() -> bool:
        state: str = glue.get_job_run(JobName=job, RunId=run)["JobRun"]["JobRunState"]
        return state == "STOPPED"

    wait_for(lambda: loads.progress().next_load, timeout=200)
    glue.batch_stop_job_run(JobName=job, JobRunIds=[run])
    wait_for(stopped)
    (log,) = local_estate.home.rglob(f"{run}.log")
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"')]
    assert said[-1]["event"] == "ending"
    assert said[-1]["why"] == "asked to stop"
    assert loads.progress().pending is None
