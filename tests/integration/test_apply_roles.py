"""The roles of ingest and land suffice for the code that runs under them, by the emulator's IAM.

Three things the emulator cannot show. It speaks no TLS, so the buckets' TLS-only statements are
put aside. It does not know which table a Glue call and which stream a shard iterator names, so the
roles get those calls as a whole; the unit tests say what they may do there. And its policies do not
see whether a put is conditional.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse import naming
from localaws.apply import apply
from localaws.emulator import ACCOUNT_KEYS
from localaws.processes import free_port

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "quality" / "contracts"
PREFIX = "lakehouse-local"
STEP = """
import sys
from lakehouse.ingestion import ingest
from lakehouse.aws import Aws
from lakehouse.ingestion.kinesis import Stream
from lakehouse.contracts.odcs import load_contracts
from lakehouse.ingestion.streamplan import StreamPlanner

job, dataset, contracts = sys.argv[1:]
aws = Aws.from_env("lakehouse-local")
contract = load_contracts(contracts)[dataset]
execute = ingest.on_driver(aws, contract)
if job == "land":
    print(len(ingest.land(aws, contract, execute)))
else:
    planner = StreamPlanner(Stream.of(aws, contract))
    loads = ingest.open_loads(aws, contract)
    print(0 if loads.run(planner, execute) is None else 1)
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An emulator that enforces IAM, with the estate on it."""
    port = free_port()
    home = tmp_path_factory.mktemp("emulator")
    env = ACCOUNT_KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    settings = {
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "TMPDIR": str(home),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "PATH": os.environ["PATH"],
        "HOME": str(home),
    }
    with (home / "emulator.log").open("wb") as log:
        emulator = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=settings, stdout=log, stderr=log
        )
    try:
        _wait_ready(env["AWS_ENDPOINT_URL"])
        apply("local", CONTRACTS, env)
        _put_aside(env)
        yield env
    finally:
        emulator.terminate()
        emulator.wait()


@retry(
    stop=stop_after_delay(60), wait=wait_fixed(0.1), retry=retry_if_exception_type(httpx.HTTPError)
)
def _wait_ready(url: str) -> None:
    httpx.get(f"{url}/_ministack/ready", timeout=2).raise_for_status()


def _put_aside(env: dict[str, str]) -> None:
    s3, iam = client("s3", env), client("iam", env)
    for purpose in naming.BUCKETS:
        name = naming.bucket(PREFIX, purpose)
        policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
        rest = [s for s in policy["Statement"] if s["Sid"] != "TlsOnly"]
        s3.delete_bucket_policy(Bucket=name)
        if rest:
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy | {"Statement": rest}))
    for role in ("ingest-main", "land"):
        iam.update_assume_role_policy(
            RoleName=f"{PREFIX}-{role}", PolicyDocument=_statement(Principal={"AWS": "*"})
        )
        iam.put_role_policy(
            RoleName=f"{PREFIX}-{role}",
            PolicyName="put-aside",
            PolicyDocument=_statement(Action=["glue:*", "kinesis:GetRecords"], Resource="*"),
        )


def _statement(**parts: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole"} | parts
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def client(service: str, env: dict[str, str]) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
        service,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=env.get("AWS_SESSION_TOKEN"),
    )


def under(role: str, env: dict[str, str]) -> dict[str, str]:
    """The environment of a process that runs under a role."""
    taken = client("sts", env).assume_role(
        RoleArn=f"arn:aws:iam::000000000000:role/{PREFIX}-{role}", RoleSessionName="test"
    )["Credentials"]
    return env | {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }


def run(role: str, job: str, dataset: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STEP, job, dataset, str(CONTRACTS)],
        env=under(role, env) | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_are_landed_under_the_role_of_land(env: dict[str, str]) -> None:
    body = b"carrier,name\nUA,United Air Lines Inc.\n"
    landing = naming.bucket(PREFIX, "landing")
    client("s3", env).put_object(Bucket=landing, Key="airlines/1.csv", Body=body)

    done = run("land", "land", "airlines", env)

    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["1"]), done.stderr


def test_a_stream_is_ingested_under_the_role_of_its_group(env: dict[str, str]) -> None:
    client("kinesis", env).put_record(
        StreamName=f"{PREFIX}-flights", Data=b"not json", PartitionKey="a"
    )

    done = run("ingest-main", "ingest", "flights", env)

    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["1"]), done.stderr


@pytest.mark.parametrize(
    ("role", "purpose", "key"),
    [
        ("ingest-main", "bronze", "weather/data/x.parquet"),
        ("ingest-main", "silver", "flights/data/x.parquet"),
        ("ingest-main", "landing", "flights/x.json"),
        ("land", "gold", "x/y"),
        ("land", "artifacts", "code/x.zip"),
        ("land", "verdicts", "dataset=flights/1.json"),
    ],
)
def test_a_role_is_refused_elsewhere(
    role: str, purpose: naming.BucketPurpose, key: str, env: dict[str, str]
) -> None:
    s3 = client("s3", under(role, env))

    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.put_object(Bucket=naming.bucket(PREFIX, purpose), Key=key, Body=b"x", IfNoneMatch="*")


def test_a_claim_is_made_once_and_never_removed(env: dict[str, str]) -> None:
    s3 = client("s3", under("land", env))
    claim = {"Bucket": naming.bucket(PREFIX, "ledger"), "Key": "airlines/claims/9/0.json"}

    s3.put_object(**claim, Body=b"first", IfNoneMatch="*")

    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(**claim, Body=b"second", IfNoneMatch="*")
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(**claim)
    assert s3.get_object(**claim)["Body"].read() == b"first"
