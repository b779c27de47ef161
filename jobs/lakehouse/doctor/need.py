"""What a stack would build, as far as an account has to have room for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from lakehouse import naming

LOCAL: Final = "local"
"""The stack that is built on an emulator, without Pulumi's engine."""


class Declared(Protocol):
    """A resource as the Pulumi program declares it."""

    @property
    def type(self) -> str:
        """Such as ``aws:s3/bucket:Bucket``."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Its inputs, with the provider's names."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Names and numbers of what a stack declares."""

    stack: str
    prefix: str
    region: str
    resources: Mapping[str, int] = {}
    """How many of each type, by its last part, such as ``Bucket``."""
    services: tuple[str, ...] = ()
    """Services of these types, by Pulumi's names."""
    buckets: tuple[str, ...] = ()
    databases: tuple[str, ...] = (*naming.LAYERS, "governance")
    zones: int = 0
    """Availability zones that its subnets lie in."""
    shards: int = 0
    on_demand_streams: int = 0
    dpus: int = 0
    """Data processing units of Glue when every job runs at once."""
    cost_tags: tuple[str, ...] = ()
    """Tags by which its budget counts."""

    def count(self, kind: str) -> int:
        """How many resources of a type."""
        return self.resources.get(kind, 0)

    def uses(self, service: str) -> bool:
        """Whether it declares anything of a service, such as ``lakeformation``."""
        return service in self.services


def need_of(stack: str, prefix: str, region: str, declared: Iterable[Declared]) -> Need:
    """What the resources of a stack need."""
    resources = list(declared)

    def inputs(kind: str) -> list[Mapping[str, Any]]:
        return [r.inputs for r in resources if r.type.endswith(f":{kind}")]

    streams = [_streams_mode(stream) for stream in inputs("Stream")]
    return Need(
        stack=stack,
        prefix=prefix,
        region=region,
        resources=dict(Counter(r.type.rpartition(":")[2] for r in resources)),
        services=tuple(sorted({r.type.split(":")[1].partition("/")[0] for r in resources})),
        buckets=tuple(sorted(str(bucket["bucket"]) for bucket in inputs("Bucket"))),
        databases=tuple(sorted(str(database["name"]) for database in inputs("CatalogDatabase"))),
        zones=len({subnet["availabilityZone"] for subnet in inputs("Subnet")}),
        shards=sum(shards for mode, shards in streams if mode == "PROVISIONED"),
        on_demand_streams=sum(mode == "ON_DEMAND" for mode, _ in streams),
        dpus=sum(_dpus(job) for job in inputs("Job")),
        cost_tags=tuple(sorted({tag for budget in inputs("Budget") for tag in _tags(budget)})),
    )


def _streams_mode(stream: Mapping[str, Any]) -> tuple[str, int]:
    mode = stream.get("streamModeDetails", {}).get("streamMode", "PROVISIONED")
    return mode, int(stream.get("shardCount") or 0)


def _dpus(job: Mapping[str, Any]) -> int:
    """DPUs of a run: a worker's size times their number; quarters count as a whole."""
    size = str(job.get("workerType", "G.1X")).rpartition(".")[2].removesuffix("X")
    # G.025X is a quarter.
    return -(-int(job.get("numberOfWorkers") or 2) * _SIZES.get(size, 1) // 4)


_SIZES: Final = {"025": 1, "1": 4, "2": 8, "4": 16, "8": 32}
"""Quarters of a DPU by a worker's size, for G and R alike."""


def _tags(budget: Mapping[str, Any]) -> Iterable[str]:
    """Tags in a budget's filters, which AWS writes as ``user:<tag>$<value>``."""
    for text in json.dumps(budget.get("costFilters", [])).split('"'):
        if text.startswith("user:") and "$" in text:
            yield text.removeprefix("user:").partition("$")[0]
