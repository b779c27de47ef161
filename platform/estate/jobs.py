"""The Glue jobs: one that ingests for every group of streams, and the batch jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from estate.access import Access
from estate.config import BatchConfig, IngestConfig, JobsConfig, StackConfig
from estate.keys import Keys
from estate.release import Release
from lakehouse import naming
from lakehouse.spark import catalog_conf

GLUE_VERSION: Final = "6.0"
"""Spark 4.1, Python 3.13, Iceberg 1.11."""


class Jobs(pulumi.ComponentResource):
    """The jobs, encrypted by one security configuration, each under its own role."""

    def __init__(
        self,
        config: StackConfig,
        access: Access,
        keys: Keys,
        release: Release,
        *,
        connection: pulumi.Output[str] | None,
        after: pulumi.Resource,
    ) -> None:
        super().__init__("lakehouse:estate:Jobs", "jobs")
        self._config, self._access, self._release, self._after = config, access, release, after
        self._connections = [connection] if connection is not None else None
        key = keys["operations"]
        self._security = aws.glue.SecurityConfiguration(
            "jobs",
            name=config.prefix,
            encryption_configuration={
                "cloudwatch_encryption": {
                    "cloudwatch_encryption_mode": "SSE-KMS",
                    "kms_key_arn": key,
                },
                "job_bookmarks_encryption": {
                    "job_bookmarks_encryption_mode": "CSE-KMS",
                    "kms_key_arn": key,
                },
                "s3_encryption": {"s3_encryption_mode": "SSE-KMS", "kms_key_arn": key},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        for group in access.groups:
            self._job(
                f"ingest-{group}",
                "ingest",
                {"--group": group, **_once(config.jobs.ingest)},
                **_ingest_shape(config.jobs.ingest),
            )
        for name, shape in _batch(config.jobs).items():
            self._job(name, name, {}, **_batch_shape(shape))
        self.register_outputs({})

    def _job(self, name: str, script: str, arguments: Mapping[str, str], **shape: Any) -> None:
        prefix = self._config.prefix
        artifacts = f"s3://{naming.bucket(prefix, 'artifacts')}"
        aws.glue.Job(
            name,
            name=naming.job(prefix, name),
            role_arn=self._access.jobs[name].arn,
            glue_version=GLUE_VERSION,
            command={
                "name": shape.pop("command"),
                "python_version": "3",
                "script_location": f"{artifacts}/{self._release.scripts[script]}",
            },
            default_arguments=job_arguments(prefix, name, self._release) | dict(arguments),
            security_configuration=self._security.name,
            connections=self._connections,
            # A run that waits in Glue's own queue is one that Airflow's retry does not know of.
            job_run_queuing_enabled=False,
            execution_property={"max_concurrent_runs": 1},
            max_retries=0,
            **shape,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._after]),
        )


def job_arguments(prefix: str, job: str, release: Release) -> dict[str, str]:
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
        "--enable-metrics": "true",
        "--enable-observability-metrics": "true",
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


def _once(config: IngestConfig) -> dict[str, str]:
    return {"--once": "false" if config.continuous else "true"}


def _ingest_shape(config: IngestConfig) -> dict[str, Any]:
    size = {"worker_type": config.worker_type, "number_of_workers": config.workers}
    if config.continuous:
        # A streaming job with a timeout under seven days is not restarted in its window.
        return {
            "command": "gluestreaming",
            "maintenance_window": config.maintenance_window,
            **size,
        }
    return {"command": "glueetl", "timeout": config.timeout_minutes, **size}


def _batch(config: JobsConfig) -> dict[str, BatchConfig]:
    return {
        "land": config.land,
        "promote": config.promote,
        "marts": config.marts,
        "operate": config.operate,
        "maintain": config.maintain,
    }


def _batch_shape(config: BatchConfig) -> dict[str, Any]:
    return {
        "command": "glueetl",
        "worker_type": config.worker_type,
        "number_of_workers": config.workers,
        "timeout": config.timeout_minutes,
        "execution_class": config.execution_class,
    }
