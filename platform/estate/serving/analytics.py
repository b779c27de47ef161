"""Athena: a workgroup an audience, bounded, encrypted, its settings binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.access.audiencepolicies import AUDIENCES, Audience
from estate.settings import Settings
from estate.storage.keys import Keys
from lakehouse import naming

if TYPE_CHECKING:
    from estate.config import StackConfig

_Gigabytes = Annotated[int, Field(ge=1, le=10_000)]


class ScanLimits(Settings):
    """Gigabytes; a query of an audience that has read more is cancelled."""

    engineer: _Gigabytes = 100
    analyst: _Gigabytes = 100
    auditor: _Gigabytes = 10


class AnalyticsConfig(Settings):
    """Athena."""

    scan_limit_gb: ScanLimits = ScanLimits()
    results_days: int = Field(default=7, ge=1, le=365)
    """Days for which query results are kept."""


class Analytics(pulumi.ComponentResource):
    """The workgroups ``<prefix>-<audience>``, each with its results below ``<audience>/``."""

    def __init__(self, config: StackConfig, keys: Keys) -> None:
        super().__init__("lakehouse:estate:Analytics", "analytics")
        self.workgroups = {
            audience: self._workgroup(audience, config, keys).name for audience in AUDIENCES
        }
        self.register_outputs({})

    def _workgroup(
        self, audience: Audience, config: StackConfig, keys: Keys
    ) -> aws.athena.Workgroup:
        limit: int = getattr(config.analytics.scan_limit_gb, audience)
        return aws.athena.Workgroup(
            audience,
            name=naming.workgroup(config.prefix, audience),
            description=f"Queries of {audience}s",
            force_destroy=config.disposable,
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": limit * 1024**3,
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
                "result_configuration": {
                    "output_location": (
                        f"s3://{naming.bucket(config.prefix, 'results')}/{audience}/"
                    ),
                    "encryption_configuration": {
                        "encryption_option": "SSE_KMS",
                        "kms_key_arn": keys.of_bucket("results"),
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
