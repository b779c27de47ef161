"""KMS keys: one for what comes in, one a layer, one for the platform's own records."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Final, Literal, get_args

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.account import Account
from estate.settings import Settings
from estate.storage.keypolicies import key_policy
from lakehouse.naming import BucketPurpose

if TYPE_CHECKING:
    from estate.config import StackConfig

KeyName = Literal["inbound", "bronze", "silver", "gold", "operations"]
KEYS: Final[tuple[KeyName, ...]] = get_args(KeyName)
BUCKET_KEYS: Final[dict[BucketPurpose, KeyName]] = {
    "landing": "inbound",
    "bronze": "bronze",
    "silver": "silver",
    "gold": "gold",
    "results": "gold",
    "artifacts": "operations",
    "ledger": "operations",
    "verdicts": "operations",
}
"""Which key a bucket's objects are encrypted with. Streams use ``inbound``."""


class KeysConfig(Settings):
    """KMS keys."""

    deletion_days: int = Field(default=7, ge=7, le=30)
    """Days between the order to delete a key and its end."""


class Keys(pulumi.ComponentResource):
    """The keys and their aliases ``alias/<prefix>-<name>``."""

    def __init__(self, config: StackConfig, account: pulumi.Output[Account]) -> None:
        super().__init__("lakehouse:estate:Keys", "keys")
        self._arns: dict[KeyName, pulumi.Output[str]] = {}
        for name in KEYS:
            key = aws.kms.Key(
                f"key-{name}",
                description=f"{config.prefix}: {name}",
                enable_key_rotation=True,
                deletion_window_in_days=config.keys.deletion_days,
                policy=account.apply(functools.partial(_policy_text, name)),
                tags={"Name": f"{config.prefix}-{name}"},
                opts=config.holding(self),
            )
            aws.kms.Alias(
                f"alias-{name}",
                name=f"alias/{config.prefix}-{name}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self._arns[name] = key.arn
        self.register_outputs({})

    def __getitem__(self, name: KeyName) -> pulumi.Output[str]:
        """ARN of a key."""
        return self._arns[name]

    def of_bucket(self, purpose: BucketPurpose) -> pulumi.Output[str]:
        """ARN of the key of a bucket."""
        return self._arns[BUCKET_KEYS[purpose]]

    def arns(self) -> pulumi.Output[dict[KeyName, str]]:
        """All keys' ARNs by name."""
        return pulumi.Output.all(*self._arns.values()).apply(
            lambda arns: dict(zip(self._arns, arns, strict=True))
        )


def _policy_text(name: KeyName, account: Account) -> str:
    return json.dumps(key_policy(account, name))
