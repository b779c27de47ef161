"""Airflow on MWAA: the environment, and what it reads from the artifacts bucket."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import pulumi
import pulumi_aws as aws
from pydantic import Field, model_validator

from estate.accepted import accepted
from estate.network.vpc import Network
from estate.orchestration.airflowfiles import content, options, startup
from estate.settings import LogDays, Settings
from estate.storage.lake import Lake
from lakehouse.contracts.model import Contracts

if TYPE_CHECKING:
    from estate.config import StackConfig

VERSION: Final = "3.2.1"
FOLDER: Final = "airflow"
"""Key prefix in the artifacts bucket of all that the environment reads."""


class AirflowConfig(Settings):
    """Airflow on MWAA."""

    environment_class: Literal["mw1.micro", "mw1.small", "mw1.medium", "mw1.large"] = "mw1.small"
    min_workers: int = Field(default=1, ge=1, le=25)
    max_workers: int = Field(default=2, ge=1, le=25)
    webserver: Literal["PRIVATE_ONLY", "PUBLIC_ONLY"] = "PUBLIC_ONLY"
    """Who signs in by IAM reaches it from anywhere, or from within the network alone."""
    maintenance: str = Field(
        default="SUN:10:30", pattern=r"^(MON|TUE|WED|THU|FRI|SAT|SUN):([01]\d|2[0-3]):(00|30)$"
    )
    log_days: LogDays = 365
    """Days for which Airflow's logs are kept."""

    @model_validator(mode="after")
    def _workers_fit(self) -> AirflowConfig:
        if self.min_workers > self.max_workers:
            raise ValueError(
                f"min_workers {self.min_workers} is above max_workers {self.max_workers}"
            )
        if self.environment_class == "mw1.micro" and self.max_workers > 1:
            raise ValueError("mw1.micro has one worker; set max_workers: 1 or take mw1.small")
        return self


class Airflow(pulumi.ComponentResource):
    """The environment ``<prefix>``, in private subnets, its logs and queues encrypted."""

    def __init__(
        self,
        stack: StackConfig,
        config: AirflowConfig,
        network: Network,
        lake: Lake,
        *,
        contracts: Contracts,
        role: aws.iam.Role,
        key: pulumi.Output[str],
        topic: pulumi.Output[str],
    ) -> None:
        super().__init__("lakehouse:estate:Airflow", "airflow")
        bucket = lake["artifacts"]
        uploads: Mapping[str, pulumi.Input[str]] = {
            name: base64.b64encode(body).decode() for name, body in content(contracts).items()
        } | {"startup.sh": topic.apply(lambda arn: startup(stack.prefix, arn))}
        objects = {
            name: aws.s3.BucketObjectv2(
                f"airflow/{name}",
                bucket=bucket.bucket,
                key=f"{FOLDER}/{name}",
                content_base64=body,
                content_type="text/plain",
                opts=pulumi.ResourceOptions(parent=self),
            )
            for name, body in uploads.items()
        }
        # MWAA would make its groups itself, and keep them for ever.
        groups = [
            aws.cloudwatch.LogGroup(
                f"airflow-{kind.lower()}",
                name=f"airflow-{stack.prefix}-{kind}",
                kms_key_id=key,
                retention_in_days=config.log_days,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for kind in ("DAGProcessing", "Scheduler", "Task", "WebServer", "Worker")
        ]
        logs: Any = {"enabled": True, "log_level": "INFO"}
        environment = aws.mwaa.Environment(
            "airflow",
            name=stack.prefix,
            airflow_version=VERSION,
            environment_class=config.environment_class,
            min_workers=config.min_workers,
            max_workers=config.max_workers,
            execution_role_arn=role.arn,
            kms_key=key,
            source_bucket_arn=bucket.arn,
            dag_s3_path=f"{FOLDER}/dags",
            requirements_s3_path=f"{FOLDER}/requirements.txt",
            requirements_s3_object_version=objects["requirements.txt"].version_id,
            startup_script_s3_path=f"{FOLDER}/startup.sh",
            startup_script_s3_object_version=objects["startup.sh"].version_id,
            webserver_access_mode=config.webserver,
            weekly_maintenance_window_start=config.maintenance,
            network_configuration={
                # Two subnets, no more: MWAA takes just as many.
                "subnet_ids": [subnet.id for subnet in network.subnets[:2]],
                "security_group_ids": [network.members.id],
            },
            logging_configuration={
                "dag_processing_logs": logs,
                "scheduler_logs": logs,
                "task_logs": logs,
                "webserver_logs": logs,
                "worker_logs": logs,
            },
            airflow_configuration_options=options(stack.prefix),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*objects.values(), *groups]),
        )
        self.webserver = accepted(
            environment, CKV2_AWS_66="IAM decides who signs in; no stack has a way into its network"
        ).webserver_url
        self.register_outputs({})
