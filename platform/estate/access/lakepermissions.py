"""The grants of jobs and people in Lake Formation, and who is opted in to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from estate.access import lakegrants
from estate.access.audiencepolicies import Audience
from estate.access.lakeformation import LakeFormation, LakeFormationConfig
from estate.serving.governance import DATABASE as GOVERNANCE
from estate.serving.governance import Governance
from lakehouse import naming
from lakehouse.tagging import CLASSIFICATION


class LakePermissions(pulumi.ComponentResource):
    """What every job's role may make and change, and what every audience sees."""

    def __init__(
        self,
        settings: LakeFormationConfig,
        formation: LakeFormation,
        governance: Governance,
        *,
        jobs: Mapping[str, aws.iam.Role],
        people: Mapping[Audience, aws.iam.Role],
    ) -> None:
        super().__init__("lakehouse:estate:LakePermissions", "lake-permissions")
        self._formation = formation
        self._below = pulumi.ResourceOptions(parent=self, depends_on=[formation, governance])
        self._assignable = lakegrants.assignable(settings.classifications)
        for job, role in jobs.items():
            self._job(job, role)
        for audience, role in people.items():
            self._audience(audience, role)
        self.register_outputs({})

    def _job(self, job: str, role: aws.iam.Role) -> None:
        for grant in lakegrants.job_grants(job):
            name, layer = f"{job}-{grant.layer}", grant.layer
            # A table that is not there yet has no name to grant on, so it is all of a layer; which
            # of them, the policy of the role says.
            tables = {"database_name": layer, "wildcard": True}
            if grant.tags:
                database = {"name": layer}
                make = ["CREATE_TABLE"] if grant.makes else []
                self._grant(name, role, *make, "DESCRIBE", database=database)
            if grant.changes:
                where = {"arn": self._formation.locations[layer]}
                self._grant(f"{name}-location", role, "DATA_LOCATION_ACCESS", data_location=where)
            grantable = list(grant.tables) if grant.tags else None
            self._grant(
                f"{name}-tables",
                role,
                *grant.tables,
                table=tables,
                permissions_with_grant_options=grantable,
            )
        if lakegrants.tags_columns(job):
            tag = {"key": CLASSIFICATION, "values": self._assignable}
            self._grant(f"{job}-{CLASSIFICATION}", role, "ASSOCIATE", "DESCRIBE", lf_tag=tag)

    def _audience(self, audience: Audience, role: aws.iam.Role) -> None:
        for grant in lakegrants.audience_grants(audience):
            expressions = [{"key": k, "values": list(v)} for k, v in grant.expression.items()]
            self._grant(
                f"{audience}-{grant.kind.lower()}s",
                role,
                *grant.permissions,
                lf_tag_policy={"resource_type": grant.kind, "expressions": expressions},
            )
        if lakegrants.sees_history(audience):
            tables = {"database_name": GOVERNANCE, "wildcard": True}
            self._grant(f"{audience}-history", role, *lakegrants.TO_READ, table=tables)
        # Of every layer, so that where nothing is granted nothing is left to IAM.
        for layer in naming.LAYERS:
            self._opt_in(f"{audience}-{layer}", role, {"database": {"name": layer}})
            self._opt_in(
                f"{audience}-{layer}-tables",
                role,
                {"table": {"database_name": layer, "wildcard": True}},
            )

    def _grant(self, name: str, role: aws.iam.Role, *permissions: str, **where: Any) -> None:
        aws.lakeformation.Permissions(
            name, principal=role.arn, permissions=list(permissions), opts=self._below, **where
        )

    def _opt_in(
        self,
        name: str,
        role: aws.iam.Role,
        resource: aws.lakeformation.OptInResourceDataArgsDict,
    ) -> None:
        aws.lakeformation.OptIn(
            name,
            principals=[{"data_lake_principal_identifier": role.arn}],
            resource_datas=[resource],
            opts=self._below,
        )
