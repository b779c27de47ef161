"""Which alarms a dataset has, from its contract alone: pure, a list of CloudWatch's settings.

Each dataset says that it lives; where nothing is said any more, the alarm goes off. So alarms
survive the loss of whoever was to raise them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from estate.compute.jobshapes import IngestConfig
from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.metrics import NAMESPACE

_HOUR: Final = 3600
_DAY_HOURS: Final = 24
"""CloudWatch looks back over a day at the most."""
_REJECT_SHARE: Final = 0.05
_BELOW: Final = {"comparison_operator": "LessThanThreshold", "threshold": 1}
_SILENCE_ALARMS: Final = {"treat_missing_data": "breaching"}
_SILENCE_IS_FINE: Final = {"treat_missing_data": "notBreaching"}


class Alarm(NamedTuple):
    """An alarm: its name without the deployment's prefix, what it says, CloudWatch's settings."""

    name: str
    says: str
    settings: dict[str, Any]


def dataset_alarms(prefix: str, contract: Contract, ingest: IngestConfig) -> Iterator[Alarm]:
    """The alarms of a dataset; ``ingest`` says when its stream, if it has one, is read."""
    if contract.sla.freshness_hours is not None:
        hours = min(math.ceil(contract.sla.freshness_hours), _DAY_HOURS)
        yield _own(
            contract,
            "freshness",
            f"nothing was published for {hours} h, within which its contract promises news",
            _metric("Published", "Sum", _HOUR, hours) | _BELOW | _SILENCE_ALARMS,
        )
    yield _own(
        contract,
        "held",
        "a load failed its gate and waits for a person: lakehouse loads list",
        _metric("Held", "Maximum", 900) | _SILENCE_IS_FINE,
    )
    if contract.source != "mart":
        yield _rejects(contract)
    if contract.source == "stream":
        yield from _stream(prefix, contract, ingest)


def _stream(prefix: str, contract: Contract, ingest: IngestConfig) -> Iterator[Alarm]:
    late, silent = ingest.late_minutes(), ingest.silent_minutes()
    yield _own(
        contract,
        "lag",
        f"ingestion is more than {late} minutes behind its stream",
        _metric("Lag", "Maximum", 300, 3) | {"threshold": late * 60_000} | _SILENCE_IS_FINE,
    )
    if silent is not None:
        periods = math.ceil(min(silent, _DAY_HOURS * 60) / 5)
        yield _own(
            contract,
            "absent",
            f"no ingest job has said for {periods * 5} minutes that it runs",
            _metric("Running", "Maximum", 300, periods) | _BELOW | _SILENCE_ALARMS,
        )
    if contract.stream.arn is None:
        yield _own(
            contract,
            "throttled",
            "producers are throttled: the stream has too few shards",
            {
                "namespace": "AWS/Kinesis",
                "metric_name": "WriteProvisionedThroughputExceeded",
                "dimensions": {"StreamName": naming.stream(prefix, contract.dataset)},
                "statistic": "Sum",
                "period": 300,
            }
            | _SILENCE_IS_FINE,
        )


def _rejects(contract: Contract) -> Alarm:
    sums = [
        {
            "id": metric.lower(),
            "metric": {
                "namespace": NAMESPACE,
                "metric_name": metric,
                "dimensions": {"Dataset": contract.dataset},
                "period": 900,
                "stat": "Sum",
            },
        }
        for metric in ("Rejects", "Records")
    ]
    share = {"id": "share", "expression": "rejects / records", "label": "share"}
    return _own(
        contract,
        "rejects",
        f"more than {_REJECT_SHARE:.0%} of its deliveries are rejected: lakehouse rejects list",
        {
            "metric_queries": [*sums, share | {"return_data": True}],
            "evaluation_periods": 3,
            "threshold": _REJECT_SHARE,
        }
        | _SILENCE_IS_FINE,
    )


def _own(contract: Contract, kind: str, says: str, settings: dict[str, Any]) -> Alarm:
    dataset = contract.dataset
    if settings.get("namespace") == NAMESPACE:
        settings |= {"dimensions": {"Dataset": dataset}}
    return Alarm(f"{dataset}-{kind}", f"{dataset} ({contract.owner}): {says}", settings)


def _metric(name: str, statistic: str, period: int, periods: int = 1) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "metric_name": name,
        "statistic": statistic,
        "period": period,
        "evaluation_periods": periods,
    }
