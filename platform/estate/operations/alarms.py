"""The alarms of every dataset, and the dashboard that shows what they look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from estate.account import Account
from estate.operations.alarmrules import Alarm, dataset_alarms
from lakehouse.contracts.model import Contract
from lakehouse.metrics import NAMESPACE

if TYPE_CHECKING:
    from estate.config import StackConfig

_WIDTH: Final = 12
"""Of a dashboard's 24 columns: two graphs stand side by side."""


class Alarms(pulumi.ComponentResource):
    """Every alarm goes to the topic, and again when it is over."""

    def __init__(
        self,
        config: StackConfig,
        contracts: Sequence[Contract],
        topic: pulumi.Output[str],
        account: pulumi.Output[Account],
    ) -> None:
        super().__init__("lakehouse:estate:Alarms", "alarms")
        self._config, self._topic = config, topic
        for contract in contracts:
            for alarm in dataset_alarms(config.prefix, contract, config.jobs.ingest):
                self._alarm(alarm, {"dataset": contract.dataset})
        self._alarm(dead_letters(config.prefix), {})
        aws.cloudwatch.Dashboard(
            "datasets",
            dashboard_name=config.prefix,
            dashboard_body=account.apply(
                lambda known: json.dumps(dashboard(known.region, contracts))
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

    def _alarm(self, alarm: Alarm, tags: Mapping[str, str]) -> None:
        defaults: dict[str, Any] = {
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "threshold": 0,
        }
        aws.cloudwatch.MetricAlarm(
            alarm.name,
            name=f"{self._config.prefix}-{alarm.name}",
            alarm_description=alarm.says,
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
            tags=tags,
            **defaults | alarm.settings,
            opts=pulumi.ResourceOptions(parent=self),
        )


def dead_letters(prefix: str) -> Alarm:
    """The alarm of arrivals that nobody could handle."""
    return Alarm(
        "dead-arrivals",
        "arrivals that could not be handled lie in the queue of dead letters; the sweep lands the "
        "objects all the same",
        {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": f"{prefix}-dead-arrivals"},
            "statistic": "Maximum",
            "period": 300,
            "treat_missing_data": "notBreaching",
        },
    )


def dashboard(region: str, contracts: Sequence[Contract]) -> dict[str, Any]:
    """Two graphs a dataset: what came and what of it was rejected, and how late it is."""
    widgets = []
    for row, contract in enumerate(contracts):
        late = "Lag" if contract.source == "stream" else "Published"
        for column, (title, metrics) in enumerate(
            (
                ("deliveries", ("Records", "Rejects")),
                ("behind" if late == "Lag" else "published", (late, "Held")),
            )
        ):
            widgets.append(
                {
                    "type": "metric",
                    "x": column * _WIDTH,
                    "y": row * 5,
                    "width": _WIDTH,
                    "height": 5,
                    "properties": {
                        "title": f"{contract.dataset}: {title}",
                        "region": region,
                        "stat": "Maximum" if late == "Lag" and column else "Sum",
                        "period": 300,
                        "metrics": [
                            [NAMESPACE, metric, "Dataset", contract.dataset] for metric in metrics
                        ],
                    },
                }
            )
    return {"widgets": widgets}
