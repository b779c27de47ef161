"""The whole chain on the local estate, every call of its roles recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import boto3
from support.recorder import Recorder
from support.waiting import wait_for

from demo.actions import rows
from demo.airflow import Airflow
from demo.weather_api import WeatherApi
from estate.orchestration.airflowfiles import options
from lakehouse.aws import Aws
from lakehouse.cli.produce import Record, produce
from lakehouse.cli.runs import under_way
from lakehouse.contracts.model import Contracts
from lakehouse.ingestion import ingest
from lakehouse.ingestion.kinesis import Stream
from lakehouse.ingestion.streamplan import StreamPlanner
from localaws.emulator import client
from localaws.glue import GlueRuns
from localaws.gluejob import Endpoints
from localaws.local import LocalEstate

ROOT: Final = Path(__file__).parents[2]
DAGS: Final = ROOT / "orchestration" / "dags"
FILES: Final = {
    "airlines": "carrier,name\nUA,United Air Lines Inc.\n",
    "planes": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
    "N10156,2004,Fixed wing,EMBRAER,EMB-145XR,2,55,NA,Turbo-fan\n",
    "airports": "faa,name,lat,lon,alt,tz,dst,tzone\nEWR,Newark,40.7,-74.2,18,-5,A,NA\n",
}
WEATHER: Final = [
    {"origin": "EWR", "time_hour": f"2013-01-01T0{hour}:00:00Z", "temp": 40.0, "dewp": 30.0}
    for hour in range(3)
]
_PATIENCE: Final = 900.0
"""Seconds that a step may take on a busy machine."""


def flight(number: int) -> Record:
    """A flight as its producer sends it."""
    event = {
        "event_id": f"{number:032x}",
        "flight_date": "2013-01-01",
        "scheduled_departure": f"2013-01-01T{number % 24:02}:15:00Z",
        "carrier": "UA",
        "flight": number,
        "origin": "EWR",
        "dest": "ORD",
        "distance": 719,
    }
    return Record(f"{number:032x}", json.dumps(event).encode())


class HalfWayError(Exception):
    """Ends a load half way."""


class Chain:
    """Does what jobs, DAGs and the supervisor do, one after the other."""

    def __init__(
        self, estate: LocalEstate, recorder: Recorder, airflow: Path, contracts: Contracts
    ) -> None:
        self.aws = Aws.from_env(estate.prefix)
        self._estate, self._recorder, self._contracts = estate, recorder, contracts
        self._python = airflow
        self._home = estate.home / "recorded" / "airflow"

    def env(self, role: str) -> dict[str, str]:
        """The environment of whatever calls as a role."""
        url = self._recorder.url
        return Endpoints(url, url, self._estate.prefix).env | {
            "AWS_ACCESS_KEY_ID": f"{self._estate.prefix}-{role}"
        }

    def as_role(self, role: str, service: str) -> Any:
        """A client that calls as a role."""
        return boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
            service,
            endpoint_url=self._recorder.url,
            region_name="us-east-1",
            aws_access_key_id=f"{self._estate.prefix}-{role}",
            aws_secret_access_key="test",
        )

    def ran(self, job: str, **arguments: str) -> dict[str, Any]:
        """Run a job as Airflow does, to its end; what it left as its result, if anything."""
        given = {f"--{name.replace('_', '-')}": value for name, value in arguments.items()}
        glue, name = self.as_role("airflow", "glue"), self.aws.job(job)
        run_id = glue.start_job_run(JobName=name, Arguments=given)["JobRunId"]
        answer = wait_for(lambda: _ended(glue, name, run_id), _PATIENCE, every=0.5)
        assert answer["JobRunState"] == "SUCCEEDED", answer
        key = f"operations/{run_id}.json"
        s3, verdicts = self.aws.client("s3"), self.aws.bucket("verdicts")
        if not s3.list_objects_v2(Bucket=verdicts, Prefix=key).get("Contents"):
            return {}
        found: dict[str, Any] = json.loads(s3.get_object(Bucket=verdicts, Key=key)["Body"].read())
        return found

    def ingest(self, *records: Record) -> None:
        """The supervisor starts the job that takes the records into bronze."""
        produce(self.aws.client("kinesis"), self.aws.stream("flights"), records, lambda _: None)
        schedule = boto3.client("scheduler").get_schedule(Name=self.aws.job("ingest-main"))
        asked = json.loads(schedule["Target"]["Input"])
        run_id = self.as_role("supervisor", "glue").start_job_run(**asked)["JobRunId"]
        glue = client("glue", self._recorder.url)

        def arrived() -> bool:
            assert _ended(glue, asked["JobName"], run_id) is None, "the job has ended"
            return rows(self.aws, "bronze", "flights") == len(records)

        wait_for(arrived, _PATIENCE, every=0.5)
        glue.batch_stop_job_run(JobName=asked["JobName"], JobRunIds=[run_id])
        wait_for(lambda: _ended(glue, asked["JobName"], run_id), _PATIENCE, every=0.5)

    def airflow(self, api: WeatherApi) -> tuple[Airflow, dict[str, str]]:
        """Airflow as on MWAA: connections come from Secrets Manager."""
        found = options(self._estate.prefix)
        names = json.loads(found["secrets.backend_kwargs"])
        secret = f"{names['connections_prefix']}/weather_api"
        boto3.client("secretsmanager").create_secret(Name=secret, SecretString=api.url)
        topic = f"arn:aws:sns:us-east-1:000000000000:{self._estate.prefix}-alerts"
        env = self.env("airflow") | {
            "AIRFLOW__SECRETS__BACKEND": found["secrets.backend"],
            "AIRFLOW__SECRETS__BACKEND_KWARGS": found["secrets.backend_kwargs"],
            "LAKEHOUSE_ALERT_TOPIC": topic,
        }
        return Airflow(self._python, self._home, env), env

    def beside_runs(self, env: Mapping[str, str]) -> None:
        """What Airflow does between runs."""
        name = f"{self._estate.prefix}-arrivals"
        sqs = boto3.client("sqs")
        queue = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody="{}")
        also = {
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "LAKEHOUSE_ARRIVALS_QUEUE": queue,
            "PYTHONPATH": str(DAGS),
        }
        done = subprocess.run(
            [str(self._python), str(Path(__file__).with_name("airflowcalls.py"))],
            env={**os.environ, **env, **also}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def finished(self) -> None:
        """What a replay carries out that finds a load unfinished, after it has waited for it."""
        self.left_behind(77)
        self.drop("airlines", "more.csv")
        with suppress(HalfWayError):
            ingest.land(self.aws, self._contracts["airlines"], _half_way)
        self.step("operate", "replay")

    def left_behind(self, number: int) -> None:
        """A load of a flight that was planned, and that nobody has carried out."""
        kinesis, stream = self.aws.client("kinesis"), self.aws.stream("flights")
        produce(kinesis, stream, [flight(number)], lambda _: None)
        contract = self._contracts["flights"]
        planner = StreamPlanner(Stream.of(self.aws, contract))
        with suppress(HalfWayError):
            ingest.open_loads(self.aws, contract).run(planner, _half_way)

    def removed(self) -> None:
        """What maintenance removes a month later, a file that no table has among it.

        It asks the loads that are not published yet for the files that they have claimed.
        """
        self.left_behind(78)
        self.aws.client("s3").put_object(
            Bucket=self.aws.bucket("bronze"), Key="flights/data/stray.parquet", Body=b"stray"
        )
        self.step("maintain", "maintain")

    def step(self, role: str, step: str) -> None:
        """One of the steps of ``stepcalls`` under a role."""
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("stepcalls.py")), step, self.aws.prefix],
            env={**os.environ, **self.env(role)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def drop(self, dataset: str, name: str, body: str = "") -> None:
        """Put a file into the landing zone, as a partner does."""
        self.aws.client("s3").put_object(
            Bucket=self.aws.bucket("landing"),
            Key=f"{dataset}/{name}",
            Body=(body or FILES[dataset]).encode(),
        )

    def run(self) -> None:
        """The chain."""
        with WeatherApi({"2013-01": WEATHER}) as api, ThreadPoolExecutor(1) as pool:
            airflow, env = self.airflow(api)
            try:
                for dataset in FILES:
                    self.drop(dataset, f"{dataset}.csv")
                # An earlier pull of the month: one page has changed since, one is there no more.
                for page in (1, 2):
                    self.drop("weather", f"2013-01/page-000{page}.json", "{}")
                ingesting = pool.submit(
                    self.ingest, *map(flight, range(1, 40)), Record("bad", b'{"event_id": 1}')
                )
                airflow.prepare()
                airflow.run("pull", "--conf", json.dumps({"months": ["2013-01"]}))
                airflow.run("land")
                self.beside_runs(env)
                ingesting.result()
                airflow.run("promote")
                airflow.run("marts")
                replay = {"operation": "replay", "datasets": ["flights"], "dry_run": False}
                airflow.run("operate", "--conf", json.dumps(replay))
                self.finished()
                self.rebuild()
                airflow.run("maintain")
                self.removed()
            finally:
                airflow.close()

    def rebuild(self) -> None:
        """Silver and gold rebuilt, dry and real; one published, one dropped."""
        asked = {"operation": "rebuild", "arguments": "{}"}
        tables = "flights,carrier_on_time"
        self.ran("operate", datasets=tables, dry_run="true", **asked)
        made = self.ran("operate", datasets=tables, dry_run="false", **asked)
        branch = {name: found["rebuild"]["branch"] for name, found in made["datasets"].items()}
        for operation, dataset, argument in (
            ("rebuild", "flights", "publish"),
            ("drop-branch", "carrier_on_time", "branch"),
        ):
            self.ran(
                "operate",
                operation=operation,
                datasets=dataset,
                dry_run="false",
                arguments=json.dumps({argument: branch[dataset]}),
            )


def _half_way(_plan: object) -> NoReturn:
    raise HalfWayError


def _ended(glue: Any, job: str, run_id: str) -> dict[str, Any] | None:
    """What Glue says of a run that has ended."""
    run: dict[str, Any] = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
    return None if under_way(run) else run


@contextmanager
def recording(estate: LocalEstate) -> Iterator[Recorder]:
    """A recorder before the estate, through which the runs of its jobs call."""
    with Recorder(estate.emulator_url, estate.gateway_url) as recorder:
        runs = GlueRuns(
            client("glue", estate.emulator_url),
            client("s3", estate.emulator_url),
            estate.home / "recorded",
            Endpoints(recorder.url, recorder.url, estate.prefix),
        )
        (estate.home / "recorded" / "runs").mkdir(parents=True)
        recorder.runs = runs.handle
        try:
            yield recorder
        finally:
            closing = threading.Thread(target=runs.close)
            closing.start()
            closing.join()
