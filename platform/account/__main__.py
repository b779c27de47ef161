"""What an AWS account has once, whatever is built in it: a Pulumi project of its own.

It outlives every estate, for these settings are replaced as a whole by whoever writes them last.
"""

from __future__ import annotations

from typing import Annotated, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.config import checked
from estate.settings import Settings
from lakehouse.errors import LakehouseError

_Principal = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/\S+$")]
BY_IAM: Final[aws.lakeformation.DataLakeSettingsCreateTableDefaultPermissionArgsDict] = {
    "permissions": ["ALL"],
    "principal": "IAM_ALLOWED_PRINCIPALS",
}
"""What a database or table is open to when it is made: whoever IAM lets in. Hybrid access mode
rests on it, for jobs read and write by IAM."""


class AccountConfig(Settings):
    """The account."""

    lake_administrators: Annotated[tuple[_Principal, ...], Field(strict=False, min_length=1)]
    """Who may tag, grant and opt in: the roles that run ``pulumi up``, and nobody who queries."""
    cost_tags: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Tags by which costs are told apart. In an organization, its management account's affair."""


def build() -> None:
    """Declare the account's settings."""
    raw = pulumi.Config().require_object("account")
    config = checked(AccountConfig, raw, "lakehouse-account:account")
    # Removed from here they stay: the provider would take all administrators away.
    stays = pulumi.ResourceOptions(protect=True, retain_on_delete=True)

    aws.lakeformation.DataLakeSettings(
        "lake",
        admins=list(config.lake_administrators),
        # Said, not left out: the provider cannot clear them, nor does it say what absence means.
        create_database_default_permissions=[{**BY_IAM}],
        create_table_default_permissions=[BY_IAM],
        opts=stays,
    )
    aws.s3.AccountPublicAccessBlock(
        "private",
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=stays,
    )
    for tag in config.cost_tags:
        aws.costexplorer.CostAllocationTag(tag, tag_key=tag, status="Active")


try:
    build()
except LakehouseError as error:
    raise pulumi.RunError(str(error)) from None
