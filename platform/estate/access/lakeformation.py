"""Lake Formation in hybrid access mode: people are governed by tags, jobs stay on IAM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field, field_validator

from estate.access import lakegrants
from estate.access.grants import objects, policy, use_keys
from estate.access.role import make_role
from estate.account import Account
from estate.settings import Settings
from estate.storage.keys import Keys
from estate.storage.lake import Lake
from lakehouse import naming
from lakehouse.contracts.model import OPEN_CLASSIFICATIONS, Contract
from lakehouse.naming import Layer
from lakehouse.tagging import UNCLASSIFIED

if TYPE_CHECKING:
    from estate.config import StackConfig

_Classification = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


class LakeFormationConfig(Settings):
    """Lake Formation."""

    classifications: Annotated[
        tuple[_Classification, ...], Field(strict=False, min_length=1, max_length=40)
    ] = ("confidential", "pii", "restricted")
    """What contracts may classify a property as, besides ``public`` and ``internal``. Take none
    out that a table still has: Lake Formation keeps a value that is in use."""

    @field_validator("classifications")
    @classmethod
    def _named_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        taken = {*OPEN_CLASSIFICATIONS, UNCLASSIFIED} & set(given)
        if taken or len(set(given)) < len(given):
            raise ValueError(
                f"{', '.join(given)}: each once, and none of public, internal and {UNCLASSIFIED}, "
                "which are there anyway"
            )
        return given


_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            # The documented trust of such a role names no account, and a condition on what the
            # call does not carry would refuse it.
            "Principal": {"Service": "lakeformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class LakeFormation(pulumi.ComponentResource):
    """Tags, the tags of the databases, and the layers' buckets in hybrid access mode."""

    def __init__(
        self,
        config: StackConfig,
        settings: LakeFormationConfig,
        account: pulumi.Output[Account],
        keys: Keys,
        lake: Lake,
        *,
        contracts: Sequence[Contract],
        after: pulumi.Resource,
    ) -> None:
        """``after``: the databases."""
        super().__init__("lakehouse:estate:LakeFormation", "lake-formation")
        lakegrants.check_classifications(contracts, settings.classifications)
        below = pulumi.ResourceOptions(parent=self)
        tags = [
            aws.lakeformation.LfTag(key, key=key, values=values, opts=below)
            for key, values in lakegrants.tags(settings.classifications).items()
        ]
        for layer in naming.LAYERS:
            aws.lakeformation.ResourceLfTags(
                layer,
                database={"name": layer},
                lf_tags=[
                    {"key": key, "value": value}
                    for key, value in lakegrants.database_tags(layer).items()
                ],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*tags, after]),
            )
        self._keys, self._account = keys, account
        role, reads = self._role(naming.job(config.prefix, "lake-formation"))
        self.locations: dict[Layer, pulumi.Output[str]] = {}
        for layer in naming.LAYERS:
            self.locations[layer] = lake[layer].arn
            aws.lakeformation.Resource(
                layer,
                arn=lake[layer].arn,
                role_arn=role.arn,
                hybrid_access_enabled=True,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[reads]),
            )
        self.register_outputs({})

    def _role(self, name: str) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """The role under which Lake Formation reads the layers, to hand out what it grants."""
        return make_role(
            "lake-formation",
            called=name,
            description="What Lake Formation hands out",
            trust=json.dumps(_TRUST),
            own=pulumi.Output.all(self._account, self._keys.arns()).apply(
                lambda known: policy(
                    name,
                    [
                        *(s for layer in naming.LAYERS for s in objects(known[0], layer)),
                        *use_keys(known[1], read=naming.LAYERS),
                    ],
                )
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
