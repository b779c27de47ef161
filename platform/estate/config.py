"""What a stack may decide, checked before anything is built.

A stack is its YAML file alone: ``Pulumi.<stack>.yaml``, key ``lakehouse:platform``.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, TypeVar

import pulumi
from pydantic import Field, ValidationError, model_validator

from estate.access.audiences import AudiencesConfig
from estate.access.lakeformation import LakeFormationConfig
from estate.access.producers import ProducersConfig
from estate.compute.jobs import JobsConfig
from estate.ingress.streams import StreamsConfig
from estate.network.vpc import NetworkConfig
from estate.operations.alerts import AlertsConfig
from estate.operations.audit import AuditConfig
from estate.operations.cost import CostConfig
from estate.orchestration.airflow import AirflowConfig
from estate.serving.analytics import AnalyticsConfig
from estate.settings import Settings
from estate.storage.keys import KeysConfig
from estate.storage.lake import LakeConfig
from lakehouse.errors import EstateError

_Config = TypeVar("_Config", bound=Settings)


class StackConfig(Settings):
    """Everything that distinguishes one stack from another."""

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
    """Start of every name, unlike any other in AWS, for bucket names are shared by all accounts."""
    disposable: bool = False
    """Whether ``pulumi destroy`` may delete data. Otherwise what holds data is protected, and the
    engine refuses to destroy the stack as a whole."""
    retain: bool = False
    """Whether what holds data outlives the stack even when its protection was lifted."""
    acceptance: Literal[1, 2] | None = None
    """Whether the stack has the datasets ``smoke_*`` by which it is accepted, and in which version;
    the acceptance itself goes from one to the other."""
    keys: KeysConfig = KeysConfig()
    network: NetworkConfig | None = None
    """Without one, jobs run in Glue's own network."""
    lake: LakeConfig = LakeConfig()
    streams: StreamsConfig = StreamsConfig()
    jobs: JobsConfig = JobsConfig()
    audiences: AudiencesConfig = AudiencesConfig()
    producers: ProducersConfig = Field(default_factory=dict)
    lake_formation: LakeFormationConfig | None = None
    """Without it, IAM alone decides who reads which table."""
    analytics: AnalyticsConfig = AnalyticsConfig()
    airflow: AirflowConfig | None = None
    """Without one, the batch steps are started by hand or by another scheduler."""
    alerts: AlertsConfig = AlertsConfig()
    audit: AuditConfig | None = None
    """Without one, nobody notes who reads and writes the lake's objects."""
    cost: CostConfig | None = None
    """Without one, no budget is watched."""

    def holding(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """The options of a resource that holds data, or without which data cannot be read."""
        return pulumi.ResourceOptions(
            parent=parent, protect=not self.disposable, retain_on_delete=self.retain
        )

    @model_validator(mode="after")
    def _retained_is_not_disposable(self) -> StackConfig:
        if self.retain and self.disposable:
            raise ValueError("a stack is disposable or its data is retained; take one of them out")
        return self

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
    return checked(StackConfig, raw, "lakehouse:platform")


def checked(model: type[_Config], raw: object, where: str) -> _Config:
    """A configuration of some kind, checked alike; ``where`` it stands."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        reasons = "; ".join(_reason(detail) for detail in error.errors())
        raise EstateError(f"{where}: {reasons}") from None


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


_KEYS = sorted({key for part in Settings.__subclasses__() for key in part.model_fields})
