"""What the estate may cost: a budget that warns before it is spent, and an eye on sudden change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field

from estate.settings import Settings

if TYPE_CHECKING:
    from estate.config import StackConfig


TAGS: Final = ("dataset", "deployment", "group")
"""Streams and alarms carry their dataset, ingest jobs their group, everything its deployment."""


class CostConfig(Settings):
    """What a stack may cost."""

    monthly_usd: int = Field(ge=1)
    anomaly_usd: int = Field(default=50, ge=1)
    activate_tags: bool = False
    """Whether costs are told apart by dataset, group and deployment. AWS refuses it before billing
    has seen these tags, a day after the first deployment, and takes it from the paying account."""


class Cost(pulumi.ComponentResource):
    """A monthly budget over what is tagged as this stage's, and anomaly detection."""

    def __init__(self, stack: StackConfig, config: CostConfig, topic: pulumi.Output[str]) -> None:
        super().__init__("lakehouse:estate:Cost", "cost")
        below = pulumi.ResourceOptions(parent=self)
        aws.budgets.Budget(
            "monthly",
            name=f"{stack.prefix}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(config.monthly_usd),
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:deployment${stack.prefix}"]}],
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "threshold": threshold,
                    "threshold_type": "PERCENTAGE",
                    "notification_type": kind,
                    "subscriber_sns_topic_arns": [topic],
                }
                for kind, threshold in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
            ],
            opts=below,
        )
        monitor = aws.costexplorer.AnomalyMonitor(
            "anomalies",
            name=f"{stack.prefix}-anomalies",
            monitor_type="CUSTOM",
            monitor_specification=pulumi.Output.json_dumps(
                {
                    "Tags": {
                        "Key": "deployment",
                        "Values": [stack.prefix],
                        "MatchOptions": ["EQUALS"],
                    }
                }
            ),
            opts=below,
        )
        aws.costexplorer.AnomalySubscription(
            "anomalies",
            name=f"{stack.prefix}-anomalies",
            # Anomalies reach a topic at once; a summary could only go by mail.
            frequency="IMMEDIATE",
            monitor_arn_lists=[monitor.arn],
            subscribers=[{"type": "SNS", "address": topic}],
            threshold_expression={
                "dimension": {
                    "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                    "match_options": ["GREATER_THAN_OR_EQUAL"],
                    "values": [str(config.anomaly_usd)],
                }
            },
            opts=below,
        )
        for tag in TAGS if config.activate_tags else ():
            aws.costexplorer.CostAllocationTag(tag, tag_key=tag, status="Active", opts=below)
        self.register_outputs({})
