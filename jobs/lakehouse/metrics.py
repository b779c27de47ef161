"""What operations see in CloudWatch: one datum a figure, by dataset.

Metrics stand in the namespace ``Lakehouse``. They are sent by a thread of their own and never stop
a load; what cannot be sent is said in the log, which has every figure too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.ingestion.loads import LoadReport, log_load

log = structlog.get_logger(__name__)

NAMESPACE: Final = "Lakehouse"


class Metrics:
    """Sends metrics in the background; ``close`` waits for what is on its way."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")

    def load(self, report: LoadReport) -> None:
        """Log a load that is done and send its figures."""
        log_load(report)
        self._send(load_data(report))

    def running(self, dataset: str, *, alive: bool, failures: int) -> None:
        """Say whether a dataset's query runs, and how often it failed since the last time."""
        self._send(
            [
                _datum(dataset, "Running", int(alive), "None"),
                _datum(dataset, "Failures", failures, "Count"),
            ]
        )

    def promotion(self, dataset: str, *, published: bool, held: bool) -> None:
        """Say that a dataset was published, which is what its freshness is told by, or is held."""
        data = [_datum(dataset, "Held", int(held), "None")]
        if published:
            data.append(_datum(dataset, "Published", 1, "Count"))
        self._send(data)

    def close(self) -> None:
        """Send what is left."""
        self._sender.shutdown(wait=True)

    def _send(self, data: Sequence[dict[str, Any]]) -> None:
        self._sender.submit(self._put, data)

    def _put(self, data: Sequence[dict[str, Any]]) -> None:
        try:
            for first in range(0, len(data), 1000):
                self._client.put_metric_data(
                    Namespace=NAMESPACE, MetricData=data[first : first + 1000]
                )
        except (ClientError, BotoCoreError) as error:
            log.warning("metrics_not_sent", why=str(error))


def load_data(report: LoadReport) -> list[dict[str, Any]]:
    """The figures of a load as CloudWatch takes them; lag by dataset and by shard.

    Of a replay its seconds alone: it brings no deliveries and reads no shard.
    """
    seconds = [
        _datum(report.dataset, "StageSeconds", report.stage_seconds, "Seconds"),
        _datum(report.dataset, "PublishSeconds", report.publish_seconds, "Seconds"),
        _datum(report.dataset, "LoadSeconds", report.seconds, "Seconds"),
    ]
    if report.replay:
        return seconds
    rejects = sum(report.rejected.values())
    dataset = report.dataset
    return [
        _datum(dataset, "Records", report.good + rejects, "Count"),
        _datum(dataset, "Rejects", rejects, "Count"),
        _datum(dataset, "Bytes", report.payload_bytes, "Bytes"),
        _datum(dataset, "Lag", max(report.behind_ms.values(), default=0), "Milliseconds"),
        *seconds,
        *(
            _datum(dataset, "ShardLag", lag, "Milliseconds", Shard=shard)
            for shard, lag in sorted(report.behind_ms.items())
        ),
    ]


def _datum(dataset: str, name: str, value: float, unit: str, **also: str) -> dict[str, Any]:
    dimensions = {"Dataset": dataset, **also}
    return {
        "MetricName": name,
        "Value": float(value),
        "Unit": unit,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
    }
