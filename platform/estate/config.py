"""What a stack may decide, checked before anything is built.

A stack is its YAML file alone: ``Pulumi.<stack>.yaml``, key ``lakehouse:platform``.
"""

from __future__ import annotations

import difflib
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lakehouse.errors import EstateError

BatchWorker = Literal["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X"]
_BATCH_WORKERS = ("G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X")


_Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class _Part(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KeysConfig(_Part):
    """KMS keys."""

    deletion_days: int = Field(default=7, ge=7, le=30)
    """Days between the order to delete a key and its end."""


class LakeConfig(_Part):
    """Buckets."""

    noncurrent_days: int = Field(default=7, ge=1, le=365)
    """Days for which a replaced object can be brought back; what was erased ends only then."""


class NetworkConfig(_Part):
    """The network that jobs and Airflow run in."""

    cidr: str = "10.40.0.0/16"
    zones: int = Field(default=2, ge=2, le=3)
    egress: Literal["nat", "endpoints"] = "nat"
    """``nat`` reaches the internet, as pulls from APIs must; ``endpoints`` AWS alone."""
    nat_per_zone: bool = False
    """A NAT gateway in every zone, so that the loss of one takes no other with it."""
    flow_log_days: Literal[7, 14, 30, 60, 90, 180, 365] = 30

    @field_validator("cidr")
    @classmethod
    def _wide_enough(cls, cidr: str) -> str:
        try:
            network = ip_network(cidr)
        except ValueError:
            raise ValueError(f"{cidr} is no network, such as 10.40.0.0/16") from None
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 17:
            raise ValueError(f"{cidr} is no private /16 or /17 of IPv4, such as 10.40.0.0/16")
        return cidr

    @model_validator(mode="after")
    def _gateways_need_nat(self) -> NetworkConfig:
        if self.nat_per_zone and self.egress != "nat":
            raise ValueError("nat_per_zone is for egress nat; egress endpoints has no gateway")
        return self


class AirflowConfig(_Part):
    """Airflow on MWAA."""

    environment_class: Literal["mw1.micro", "mw1.small", "mw1.medium", "mw1.large"] = "mw1.small"
    min_workers: int = Field(default=1, ge=1, le=25)
    max_workers: int = Field(default=2, ge=1, le=25)
    webserver: Literal["PRIVATE_ONLY", "PUBLIC_ONLY"] = "PUBLIC_ONLY"
    """Who signs in by IAM reaches it from anywhere, or from within the network alone."""
    maintenance: str = Field(
        default="SUN:10:30", pattern=r"^(MON|TUE|WED|THU|FRI|SAT|SUN):([01]\d|2[0-3]):(00|30)$"
    )

    @model_validator(mode="after")
    def _workers_fit(self) -> AirflowConfig:
        if self.min_workers > self.max_workers:
            raise ValueError(
                f"min_workers {self.min_workers} is above max_workers {self.max_workers}"
            )
        if self.environment_class == "mw1.micro" and self.max_workers > 1:
            raise ValueError("mw1.micro has one worker; set max_workers: 1 or take mw1.small")
        return self


class AlertsConfig(_Part):
    """Who is told."""

    emails: Annotated[tuple[_Address, ...], Field(strict=False)] = ()
    """Addresses that confirm by a link before they are sent anything."""


class AuditConfig(_Part):
    """CloudTrail on the lake's objects."""

    days: int = Field(default=365, ge=30, le=3650)


class CostConfig(_Part):
    """What a stack may cost."""

    monthly_usd: int = Field(ge=1)
    anomaly_usd: int = Field(default=50, ge=1)


class StreamsConfig(_Part):
    """Kinesis streams."""

    mode: Literal["ON_DEMAND", "PROVISIONED"] = "ON_DEMAND"
    shards: int | None = Field(default=None, ge=1, le=200)
    """Shards of each stream; PROVISIONED only."""
    retention_hours: int = Field(default=24, ge=24, le=8760)
    max_record_kib: int = Field(default=1024, ge=1024, le=10_240)
    compatibility: Literal["BACKWARD", "BACKWARD_ALL", "FULL", "FULL_ALL"] = "BACKWARD"
    """Of the versions of a registered schema."""

    @model_validator(mode="after")
    def _shards_fit_mode(self) -> StreamsConfig:
        if (self.mode == "PROVISIONED") != (self.shards is not None):
            raise ValueError(
                "shards is for PROVISIONED streams, which need it; ON_DEMAND streams have none"
            )
        return self


class IngestConfig(_Part):
    """The ingest job of every group of streams."""

    continuous: bool = True
    """Whether it runs all the time; else scheduled runs drain the streams and end."""
    worker_type: Literal[BatchWorker, "G.025X"] = "G.1X"
    workers: int = Field(default=2, ge=2, le=100)
    timeout_minutes: int = Field(default=60, ge=5, le=2880)
    """Bound of a draining run. A continuous run has none: Glue would not restart it."""
    maintenance_window: str = Field(
        default="Sun:10", pattern=r"^(Sun|Mon|Tue|Wed|Thu|Fri|Sat):(1?\d|2[0-3])$"
    )
    """Day and hour, UTC, in which Glue may restart a continuous run."""
    every_minutes: int = Field(default=5, ge=1, le=1440)
    """How often a run is started: a draining one, or a continuous one that runs no more."""

    @model_validator(mode="after")
    def _worker_fits_mode(self) -> IngestConfig:
        if not self.continuous and self.worker_type not in _BATCH_WORKERS:
            raise ValueError(f"worker_type {self.worker_type} is for continuous jobs; take G.1X")
        return self


class BatchConfig(_Part):
    """A batch job."""

    worker_type: BatchWorker = "G.1X"
    workers: int = Field(default=2, ge=2, le=100)
    timeout_minutes: int = Field(default=60, ge=5, le=2880)
    execution_class: Literal["STANDARD", "FLEX"] = "STANDARD"

    @model_validator(mode="after")
    def _flex_fits_worker(self) -> BatchConfig:
        if self.execution_class == "FLEX" and self.worker_type not in {"G.1X", "G.2X"}:
            raise ValueError("execution_class FLEX runs on G.1X and G.2X workers only")
        return self


class JobsConfig(_Part):
    """Glue jobs."""

    python_requirements: str | None = None
    """Pinned requirements, a path in the repository, from which Glue makes the jobs' environment;
    without it the jobs find only what their machine has."""
    ingest: IngestConfig = IngestConfig()
    land: BatchConfig = BatchConfig()
    promote: BatchConfig = BatchConfig()
    marts: BatchConfig = BatchConfig()
    operate: BatchConfig = BatchConfig(timeout_minutes=480)
    """Replays and rebuilds, which read as much of bronze as they are told to."""
    maintain: BatchConfig = BatchConfig(timeout_minutes=240)


class AnalyticsConfig(_Part):
    """Athena."""

    scan_limit_gb: int = Field(default=100, ge=1, le=10_000)
    """A query that has read more is cancelled."""
    results_days: int = Field(default=7, ge=1, le=365)
    """Days for which query results are kept."""


class StackConfig(_Part):
    """Everything that distinguishes one stack from another."""

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
    """Start of every name, unlike any other in AWS, for bucket names are shared by all accounts."""
    disposable: bool = False
    """Whether ``pulumi destroy`` may delete data. Otherwise what holds data is protected."""
    keys: KeysConfig = KeysConfig()
    network: NetworkConfig | None = None
    """Without one, jobs run in Glue's own network."""
    lake: LakeConfig = LakeConfig()
    streams: StreamsConfig = StreamsConfig()
    jobs: JobsConfig = JobsConfig()
    analytics: AnalyticsConfig = AnalyticsConfig()
    airflow: AirflowConfig | None = None
    """Without one, the batch steps are started by hand or by another scheduler."""
    alerts: AlertsConfig = AlertsConfig()
    audit: AuditConfig | None = None
    """Without one, nobody notes who reads and writes the lake's objects."""
    cost: CostConfig | None = None
    """Without one, no budget is watched."""

    @model_validator(mode="after")
    def _airflow_has_a_network(self) -> StackConfig:
        if self.airflow is not None and self.network is None:
            raise ValueError("airflow runs in a network of the estate's own; add network: {}")
        return self

    @model_validator(mode="after")
    def _packages_can_be_fetched(self) -> StackConfig:
        if self.network is None or self.network.egress == "nat":
            return self
        wanting = "airflow" if self.airflow else "jobs.python_requirements"
        if self.airflow or self.jobs.python_requirements:
            raise ValueError(
                f"{wanting} fetches packages from an index that endpoints do not lead to; "
                "set network.egress: nat"
            )
        return self


def parse_config(raw: object) -> StackConfig:
    """The checked configuration; EstateError says in one line what is wrong with it."""
    try:
        return StackConfig.model_validate(raw)
    except ValidationError as error:
        reasons = "; ".join(_reason(detail) for detail in error.errors())
        raise EstateError(f"lakehouse:platform: {reasons}") from None


def _reason(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(detail["loc"][-1]), _KEYS, n=1)
        return f"unknown key {where!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    if detail["type"] == "missing":
        return f"no {where!r}; add it"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" + (
        "" if detail["type"] == "value_error" else f", got {detail['input']!r}"
    )


_KEYS = sorted({key for part in _Part.__subclasses__() for key in part.model_fields})
