"""A Glue job's definition and arguments as the command line of spark-submit."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lakehouse.errors import EstateError
from localaws.sparkenv import launch_env, local_conf, spark_home

# Glue takes these itself; everything else reaches the script.
_TAKEN = ("--conf", "--extra-py-files", "--extra-jars", "--extra-files", "--python-virtual-env",
          "--additional-python-modules", "--datalake-formats", "--job-language")  # fmt: skip

Fetch = Callable[[str, Path], None]
"""Copies an ``s3://`` object to a local path."""


class Endpoints(msgspec.Struct, frozen=True):
    """Where a job finds the estate."""

    emulator: str
    gateway: str
    prefix: str
    region: str = "us-east-1"

    @property
    def env(self) -> dict[str, str]:
        """The environment of every client of the local estate."""
        return {
            "AWS_ENDPOINT_URL": self.emulator,
            "AWS_ENDPOINT_URL_GLUE": self.gateway,
            "AWS_ENDPOINT_URL_ATHENA": self.gateway,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LAKEHOUSE_PREFIX": self.prefix,
        }


class Command(msgspec.Struct, frozen=True):
    """A process to start."""

    arguments: list[str]
    env: dict[str, str]


def merged(job: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The arguments of a run: the job's, the run's over them, those that nobody may override."""
    return {
        **job.get("DefaultArguments", {}),
        **given,
        **job.get("NonOverridableArguments", {}),
    }


def confs(text: str) -> list[str]:
    """The confs in the one ``--conf`` argument that Glue has: ``a=b --conf c=d``."""
    return [part.strip() for part in re.split(r"\s+--conf\s+", text.strip()) if part.strip()]


def command(
    job: Mapping[str, Any],
    arguments: Mapping[str, str],
    folder: Path,
    *,
    run_id: str,
    endpoints: Endpoints,
    fetch: Fetch,
) -> Command:
    """Fetch script and libraries into ``folder``; how to run them.

    Raises EstateError for a kind of job that is not run here.
    """
    kind = job["Command"]["Name"]
    if kind not in ("glueetl", "gluestreaming"):
        raise EstateError(f"job command {kind!r} is not run here; it is glueetl or gluestreaming")
    folder.mkdir(parents=True, exist_ok=True)
    script = _fetched(job["Command"]["ScriptLocation"], folder, fetch)
    libraries = [
        _fetched(uri, folder, fetch)
        for uri in arguments.get("--extra-py-files", "").split(",")
        if uri.strip()
    ]
    # Ours come last: a conf given twice is the last one's, and the job's are those of AWS.
    every_conf = confs(arguments.get("--conf", ""))
    every_conf += [
        f"{key}={value}" for key, value in local_conf(endpoints.emulator, endpoints.gateway).items()
    ]
    passed = {k: v for k, v in arguments.items() if k not in _TAKEN}
    passed |= {"--JOB_NAME": job["Name"], "--JOB_RUN_ID": run_id}
    return Command(
        [
            str(spark_home() / "bin" / "spark-submit"),
            *(part for conf in every_conf for part in ("--conf", conf)),
            str(script),
            *(part for key, value in passed.items() for part in (key, value)),
        ],
        {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SPARK_"))},
            **launch_env(),
            **endpoints.env,
            # The emulator takes any; whose call it is can be told from it, as on AWS from a role.
            "AWS_ACCESS_KEY_ID": job["Name"],
            # Before anything that is installed, so that what was deployed is what runs.
            "PYTHONPATH": os.pathsep.join(str(path) for path in libraries),
            "PYTHONUNBUFFERED": "1",
        },
    )


def _fetched(uri: str, folder: Path, fetch: Fetch) -> Path:
    target = folder / Path(urlsplit(uri.strip()).path).name
    fetch(uri.strip(), target)
    return target
