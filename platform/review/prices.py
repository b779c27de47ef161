"""The dated prices and assumptions of ``prices.yaml``, checked as they are read."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE: Final = Path(__file__).parent / "prices.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Part):
    """What one unit costs, and who says so."""

    usd: float = Field(gt=0)
    unit: str
    read: bool
    source: str


class Everywhere(_Part):
    """What is taken to be so in every stack."""

    hours: float
    record_kb: float
    puts_a_run: float
    gets_a_run: float
    log_mb_a_run: float
    compressed: float
    glue_metrics_a_run: float
    scaled_workers: float
    metrics_a_dataset: float
    metrics_an_ingested: float
    metrics_a_stream: float


class Usage(_Part):
    """What a stack is taken to do in a month."""

    events_a_second: float
    """Records, in each stream."""
    stored_gb: float
    """In bronze, silver and gold, a third each."""
    scanned_tb: float
    metric_share: float
    """Of the hours in which a dataset sends its metrics."""
    nat_gb: float
    flow_log_gb: float
    airflow_log_gb: float
    airflow_gb: float
    worker_hours: float
    """Of workers beyond those that are always there."""
    kms_requests: float
    queue_requests: float
    mails: float
    runs: dict[str, float]
    minutes: dict[str, float]


class Prices(_Part):
    """The whole file."""

    region: str
    date: datetime.date
    prices: dict[str, Price]
    everywhere: Everywhere
    stacks: dict[str, Usage]


def load(path: Path = FILE) -> Prices:
    """The file; pydantic's ValidationError says what is missing or of another kind."""
    return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
