"""The house rules for ``pulumi preview --policy-pack platform/policies``."""

from pulumi_policy import EnforcementLevel, PolicyPack

from policies.pack import policies

PolicyPack(
    "lakehouse-house-rules",
    policies=policies(),
    enforcement_level=EnforcementLevel.MANDATORY,
)
