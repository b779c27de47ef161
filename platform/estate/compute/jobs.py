"""The Glue jobs: one that ingests for every group of streams, and the batch jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from estate.accepted import accepted
from estate.access.roles import Access
from estate.compute.jobarguments import job_arguments
from estate.compute.joblogs import job_logs
from estate.compute.jobshapes import (
    BatchConfig,
    IngestConfig,
    batch_shape,
    ingest_shape,
    once,
    scaling,
)
from estate.compute.release import Release
from estate.settings import LogDays, Settings
from estate.storage.keys import Keys
from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig

GLUE_VERSION: Final = "6.0"
"""Spark 4.1, Python 3.13, Iceberg 1.11."""


class JobsConfig(Settings):
    """Glue jobs."""

    python_requirements: str | None = None
    """Pinned requirements, a path in the repository, from which Glue makes the jobs' environment;
    without it the jobs find only what their machine has."""
    log_days: LogDays = 365
    """Days for which the jobs' logs are kept."""
    metrics: bool = False
    """Whether Glue measures every run as well: a metric of its own for each figure, run and
    executor, all of them paid for. The platform's own figures are sent either way."""
    ingest: IngestConfig = IngestConfig()
    land: BatchConfig = BatchConfig()
    promote: BatchConfig = BatchConfig()
    marts: BatchConfig = BatchConfig()
    operate: BatchConfig = BatchConfig(timeout_minutes=480)
    """Replays and rebuilds, which read as much of bronze as they are told to."""
    maintain: BatchConfig = BatchConfig(timeout_minutes=240)

    def batch(self) -> dict[str, BatchConfig]:
        """The batch jobs by name."""
        return {
            "land": self.land,
            "promote": self.promote,
            "marts": self.marts,
            "operate": self.operate,
            "maintain": self.maintain,
        }


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
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("lakehouse:estate:Jobs", "jobs")
        self._config, self._access, self._release, self._after = config, access, release, after
        self._connections = [connection] if connection is not None else None
        self._key = key = keys["operations"]
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
                {"--group": group, **once(config.jobs.ingest), **scaling(config.jobs.ingest)},
                tags={"group": group},
                **ingest_shape(config.jobs.ingest),
            )
        for name, shape in config.jobs.batch().items():
            self._job(name, name, scaling(shape), **batch_shape(shape))
        self.register_outputs({})

    def _job(self, name: str, script: str, arguments: Mapping[str, str], **shape: Any) -> None:
        prefix = self._config.prefix
        artifacts = f"s3://{naming.bucket(prefix, 'artifacts')}"
        logs = job_logs(self._config, name, self._key, pulumi.ResourceOptions(parent=self))
        metrics = self._config.jobs.metrics
        job = aws.glue.Job(
            name,
            name=naming.job(prefix, name),
            role_arn=self._access.jobs[name].arn,
            glue_version=GLUE_VERSION,
            command={
                "name": shape.pop("command"),
                "python_version": "3",
                "script_location": f"{artifacts}/{self._release.scripts[script]}",
            },
            default_arguments={
                **job_arguments(
                    prefix,
                    name,
                    self._release,
                    metrics=metrics,
                    lake_formation=self._config.lake_formation is not None,
                ),
                **arguments,
            },
            security_configuration=self._security.name,
            connections=self._connections,
            # A run that waits in Glue's own queue is one that Airflow's retry does not know of.
            job_run_queuing_enabled=False,
            execution_property={"max_concurrent_runs": 1},
            max_retries=0,
            **shape,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *logs]),
        )
        if self._connections is None:
            accepted(job, CKV2_LAKE_1="the stack has no network: Glue's own, which nothing reaches")
