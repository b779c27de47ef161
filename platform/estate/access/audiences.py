"""Who asks: a role each for engineers, analysts and auditors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.access import audiencepolicies
from estate.access.audiencepolicies import AUDIENCES, Audience
from estate.access.people import Principals, role
from estate.access.role import Rules
from estate.account import Account
from estate.settings import Settings
from estate.storage.keys import Keys
from lakehouse.contracts.model import Contract

if TYPE_CHECKING:
    from estate.config import StackConfig


class AudiencesConfig(Settings):
    """Who belongs to an audience: roles or users that may take its role. By default nobody."""

    engineer: Principals = ()
    analyst: Principals = ()
    auditor: Principals = ()


class Audiences(pulumi.ComponentResource):
    """The roles ``<prefix>-engineer``, ``-analyst`` and ``-auditor``."""

    def __init__(
        self,
        config: StackConfig,
        account: pulumi.Output[Account],
        keys: Keys,
        contracts: Sequence[Contract],
        *,
        governed: bool,
    ) -> None:
        """``governed``: Lake Formation decides which tables an audience may read."""
        super().__init__("lakehouse:estate:Audiences", "audiences")
        rules: dict[Audience, Rules] = {
            "engineer": lambda a, k: audiencepolicies.engineer(a, k, governed=governed),
            "analyst": lambda a, k: audiencepolicies.analyst(a, k, contracts, governed=governed),
            "auditor": lambda a, k: audiencepolicies.auditor(
                a, k, governed=governed, trail=config.audit is not None
            ),
        }
        self.roles: dict[Audience, aws.iam.Role] = {
            audience: role(
                self,
                audience,
                config.prefix,
                getattr(config.audiences, audience),
                rules[audience],
                account=account,
                keys=keys,
            )
            for audience in AUDIENCES
        }
        self.register_outputs({})
