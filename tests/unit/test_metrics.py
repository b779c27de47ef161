"""What operations see of a load, and of a query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from botocore.exceptions import EndpointConnectionError
from structlog.testing import capture_logs

from lakehouse.ingestion.loads import LoadReport
from lakehouse.metrics import Metrics

REPORT = LoadReport(
    dataset="flights", load=7, parts=2, good=90, rejected={"range": 3, "type": 7},
    payload_bytes=25_400, behind_ms={"shard-0": 0, "shard-1": 1500},
    through=datetime(2026, 1, 1, tzinfo=UTC), stage_seconds=1.5, publish_seconds=0.25, seconds=2.0,
)  # fmt: skip


class CloudWatch:
    def __init__(self, *, reachable: bool = True) -> None:
        self.sent: list[dict[str, Any]] = []
        self._reachable = reachable

    def put_metric_data(self, **request: Any) -> None:
        if not self._reachable:
            raise EndpointConnectionError(endpoint_url="monitoring")
        assert request["Namespace"] == "Lakehouse"
        self.sent += request["MetricData"]

    def figures(self) -> dict[tuple[str, ...], float]:
        return {
            (d["MetricName"], *(part["Value"] for part in d["Dimensions"])): d["Value"]
            for d in self.sent
        }


def test_a_load_is_one_log_line_and_its_figures() -> None:
    client = CloudWatch()
    metrics = Metrics(client)
    with capture_logs() as lines:
        metrics.load(REPORT)
        metrics.close()
    assert client.figures() == {
        ("Records", "flights"): 100,
        ("Rejects", "flights"): 10,
        ("Bytes", "flights"): 25_400,
        ("Lag", "flights"): 1500,
        ("StageSeconds", "flights"): 1.5,
        ("PublishSeconds", "flights"): 0.25,
        ("LoadSeconds", "flights"): 2.0,
        ("ShardLag", "flights", "shard-0"): 0,
        ("ShardLag", "flights", "shard-1"): 1500,
    }
    (line,) = lines
    assert (line["event"], line["dataset"], line["load"]) == ("load", "flights", 7)
    assert line["rejected"] == {"range": 3, "type": 7}


def test_a_query_tells_whether_it_runs_and_how_often_it_failed() -> None:
    client = CloudWatch()
    metrics = Metrics(client)
    metrics.running("flights", alive=False, failures=2)
    metrics.close()
    assert client.figures() == {("Running", "flights"): 0, ("Failures", "flights"): 2}


def test_metrics_that_cannot_be_sent_stop_nothing_and_are_said() -> None:
    metrics = Metrics(CloudWatch(reachable=False))
    with capture_logs() as lines:
        metrics.load(REPORT)
        metrics.close()
    assert [line["event"] for line in lines] == ["load", "metrics_not_sent"]


def test_a_publication_says_that_its_dataset_lives_and_a_hold_that_it_waits() -> None:
    client = CloudWatch()
    metrics = Metrics(client)
    metrics.promotion("flights", published=True, held=False)
    metrics.promotion("planes", published=False, held=True)
    metrics.close()
    assert client.figures() == {
        ("Held", "flights"): 0,
        ("Published", "flights"): 1,
        ("Held", "planes"): 1,
    }


def test_a_replay_is_no_delivery_and_reads_no_shard() -> None:
    client = CloudWatch()
    metrics = Metrics(client)
    metrics.load(msgspec.structs.replace(REPORT, replay=True))
    metrics.close()
    assert {name for name, *_ in client.figures()} == {
        "StageSeconds",
        "PublishSeconds",
        "LoadSeconds",
    }
