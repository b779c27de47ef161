"""The Athena workgroup in which everybody queries: bounded, encrypted, its settings binding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.settings import Settings
from estate.storage.keys import Keys
from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig


class AnalyticsConfig(Settings):
    """Athena."""

    scan_limit_gb: int = Field(default=100, ge=1, le=10_000)
    """A query that has read more is cancelled."""
    results_days: int = Field(default=7, ge=1, le=365)
    """Days for which query results are kept."""


class Analytics(pulumi.ComponentResource):
    """The workgroup ``<prefix>``."""

    def __init__(self, config: StackConfig, keys: Keys) -> None:
        super().__init__("lakehouse:estate:Analytics", "analytics")
        workgroup = aws.athena.Workgroup(
            "analysts",
            name=config.prefix,
            description="Queries of analysts and dashboards",
            force_destroy=config.disposable,
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": config.analytics.scan_limit_gb * 1024**3,
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
                "result_configuration": {
                    "output_location": f"s3://{naming.bucket(config.prefix, 'results')}/",
                    "encryption_configuration": {
                        "encryption_option": "SSE_KMS",
                        "kms_key_arn": keys.of_bucket("results"),
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workgroup = workgroup.name
        self.register_outputs({})
