"""Airflow on MWAA: the environment, and what it reads from the artifacts bucket."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from estate.config import AirflowConfig, StackConfig
from estate.lake import Lake
from estate.network import Network
from estate.release import ROOT
from lakehouse.contracts.model import Contracts

VERSION: Final = "3.2.1"
FOLDER: Final = "airflow"
"""Key prefix in the artifacts bucket of all that the environment reads."""
SECRETS: Final = "airflow"
"""After the deployment's prefix, how names of secrets begin that hold connections."""


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
        logs: Any = {"enabled": True, "log_level": "INFO"}
        self.webserver = aws.mwaa.Environment(
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
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(objects.values())),
        ).webserver_url
        self.register_outputs({})


def options(prefix: str) -> dict[str, str]:
    """Airflow's configuration: connections come from Secrets Manager, nothing is an example."""
    patterns = {
        "connections_prefix": f"{prefix}/{SECRETS}/connections",
        "variables_prefix": f"{prefix}/{SECRETS}/variables",
    }
    return {
        "core.load_examples": "False",
        "secrets.backend": (
            "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
        ),
        "secrets.backend_kwargs": json.dumps(patterns),
    }


def content(contracts: Contracts) -> Mapping[str, bytes]:
    """What the environment reads, by key below its folder: DAGs, contracts, requirements."""
    dags = ROOT / "orchestration" / "dags"
    files = {
        f"dags/{path.relative_to(dags).as_posix()}": path.read_bytes()
        for path in sorted(dags.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return {
        **files,
        **{
            f"dags/contracts/{contract.dataset}.yaml": Path(contract.path).read_bytes()
            for contract in contracts.values()
        },
        "requirements.txt": (ROOT / "orchestration" / "requirements.txt").read_bytes(),
    }


def startup(prefix: str, topic: str) -> str:
    """The script that tells the DAGs their deployment and where alerts go, in base64."""
    lines = [
        "#!/bin/sh",
        f"export LAKEHOUSE_PREFIX={prefix}",
        f"export LAKEHOUSE_ALERT_TOPIC={topic}",
    ]
    return base64.b64encode("".join(f"{line}\n" for line in lines).encode()).decode()
