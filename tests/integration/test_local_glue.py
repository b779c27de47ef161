"""Glue's job-run calls, with real Spark behind them."""

from __future__ import annotations

import io
import textwrap
import uuid
import zipfile
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from lakehouse.spark import catalog_conf
from localaws.local import LocalEstate
from tests.support.waiting import wait_for

BUCKET = "lakehouse-local-silver"
ENDED = ("STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT")

LIBRARY = "def double(number):\n    return 2 * number\n"
MAKES_A_TABLE = f"""
    import sys
    from lakehouse import double
    from pyspark.sql import SparkSession

    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    spark = SparkSession.builder.getOrCreate()
    name = arguments["--TABLE"]
    spark.sql(f"CREATE TABLE lake.silver.{{name}} (id bigint, run string) USING iceberg"
              f" LOCATION 's3://{BUCKET}/{{name}}'")
    run = arguments["--JOB_RUN_ID"]
    spark.sql(f"INSERT INTO lake.silver.{{name}} VALUES ({{double(21)}}, '{{run}}')")
    row = spark.table(f"lake.silver.{{name}}").first()
    print(row["id"], spark.conf.get("spark.test.one"), spark.conf.get("spark.test.two"))
"""


@pytest.fixture(scope="module")
def glue(empty_estate: LocalEstate) -> Any:
    assert empty_estate.env["AWS_ENDPOINT_URL_GLUE"] == empty_estate.gateway_url
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    client = boto3.client("glue")
    client.create_database(DatabaseInput={"Name": "silver"})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lakehouse.py", LIBRARY)
    s3.put_object(Bucket=BUCKET, Key="lib.zip", Body=archive.getvalue())
    return client


def create_job(glue: Any, script: str, **settings: Any) -> str:
    name = f"job-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=f"{name}.py", Body=textwrap.dedent(script).encode()
    )
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/{name}.py"}
    glue.create_job(Name=name, Role="role", Command=command, **settings)
    return name


def run_of(glue: Any, job: str, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
    return run


def ended(glue: Any, job: str, run_id: str, timeout: float = 120) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        run = run_of(glue, job, run_id)
        return run if run["JobRunState"] in ENDED else None

    return wait_for(found, timeout)


def processes_of(run_id: str) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(run_id in part for part in process.info["cmdline"] or [])
    ]


def test_a_job_runs_the_deployed_library_and_writes_an_iceberg_table(
    glue: Any, empty_estate: LocalEstate
) -> None:
    confs = " --conf ".join(
        f"{key}={value}"
        for key, value in (
            catalog_conf("lakehouse-local") | {"spark.test.one": "1", "spark.test.two": "a b"}
        ).items()
    )
    job = create_job(
        glue,
        MAKES_A_TABLE,
        DefaultArguments={
            "--conf": confs,
            "--extra-py-files": f"s3://{BUCKET}/lib.zip",
            "--TABLE": "overridden",
        },
    )
    run_id = glue.start_job_run(JobName=job, Arguments={"--TABLE": "made"})["JobRunId"]
    assert run_of(glue, job, run_id)["JobRunState"] in ("STARTING", "RUNNING")

    run = ended(glue, job, run_id)

    log = (empty_estate.home / "runs" / f"{run_id}.log").read_text()
    assert run["JobRunState"] == "SUCCEEDED", log
    assert "42 1 a b" in log
    assert run["ExecutionTime"] > 0
    assert run["CompletedOn"] > run["StartedOn"]
    assert glue.get_table(DatabaseName="silver", Name="made")["Table"]["Parameters"][
        "metadata_location"
    ]
    assert [r["Id"] for r in glue.get_job_runs(JobName=job)["JobRuns"]] == [run_id]


def test_a_failed_job_says_why(glue: Any) -> None:
    job = create_job(glue, "raise ValueError('received 3, expected 2')")
    run = ended(glue, job, glue.start_job_run(JobName=job)["JobRunId"])
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"] == "ValueError: received 3, expected 2"


def test_a_second_run_is_refused_and_a_stopped_one_leaves_no_process(
    glue: Any, empty_estate: LocalEstate
) -> None:
    job = create_job(
        glue,
        """
        import time
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        def work(row):
            print("working", flush=True)
            time.sleep(600)
        spark.range(2).rdd.map(work).collect()
        """,
    )
    run_id = glue.start_job_run(JobName=job)["JobRunId"]
    with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
        glue.start_job_run(JobName=job)
    log = empty_estate.home / "runs" / f"{run_id}.log"
    wait_for(lambda: log.exists() and "working" in log.read_text())
    assert processes_of(run_id)

    answer = glue.batch_stop_job_run(JobName=job, JobRunIds=[run_id, "jr_unknown"])

    assert [one["JobRunId"] for one in answer["SuccessfulSubmissions"]] == [run_id]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert ended(glue, job, run_id)["JobRunState"] == "STOPPED"
    assert not processes_of(run_id)


def test_unknown_jobs_runs_and_operations_have_their_own_errors(glue: Any) -> None:
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.start_job_run(JobName="no-such-job")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_job_run(JobName="no-such-job", RunId="jr_0")
    with pytest.raises(ClientError, match=r"GetJobBookmark is not part of the local estate"):
        glue.get_job_bookmark(JobName="no-such-job")
    with pytest.raises(ClientError, match=r"StartCrawler is not part") as caught:
        glue.start_crawler(Name="x")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_missing_script_fails_the_run(glue: Any) -> None:
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/nowhere.py"}
    glue.create_job(Name="scriptless", Role="role", Command=command)
    run_id = glue.start_job_run(JobName="scriptless")["JobRunId"]
    run = ended(glue, "scriptless", run_id)
    assert run["JobRunState"] == "FAILED"
    assert "LAUNCH ERROR" in run["ErrorMessage"]
    assert "nowhere.py" in run["ErrorMessage"]
