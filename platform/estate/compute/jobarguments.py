"""What a Glue job is told at its start, unless a run says otherwise."""

from __future__ import annotations

from typing import Final

from estate.compute.release import Release
from lakehouse import naming
from lakehouse.spark import catalog_conf

_METRICS: Final = {"--enable-metrics": "true", "--enable-observability-metrics": "true"}


def job_arguments(
    prefix: str, job: str, release: Release, *, metrics: bool, lake_formation: bool
) -> dict[str, str]:
    """The default arguments of a job. No ``--datasets``: all that the job has to do with."""
    artifacts = f"s3://{naming.bucket(prefix, 'artifacts')}"
    return {
        "--prefix": prefix,
        "--contracts": f"{artifacts}/{release.contracts}",
        "--release": release.name,
        "--extra-py-files": f"{artifacts}/{release.library}",
        # Glue has one --conf; further ones stand inside its value.
        "--conf": " --conf ".join(f"{k}={v}" for k, v in catalog_conf(prefix).items()),
        "--datalake-formats": "iceberg",
        **(_METRICS if metrics else {}),
        **({"--lake-formation": "true"} if lake_formation else {}),
        **_environment(artifacts, job, release),
    }


def _environment(artifacts: str, job: str, release: Release) -> dict[str, str]:
    """Glue builds the environment at the first run and keeps it, each job its own."""
    if release.requirements is None:
        return {}
    return {
        "--additional-python-modules": f"{artifacts}/{release.requirements}",
        # The list is complete; a resolver would add a second Spark to Glue's.
        "--python-modules-installer-option": "--no-deps -r",
        "--python-virtual-env-storage-prefix": f"{artifacts}/environments/{job}/",
    }
