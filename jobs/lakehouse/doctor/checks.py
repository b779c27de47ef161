"""The checks, in the order in which they are asked and told."""

from __future__ import annotations

from typing import Final

from lakehouse.doctor import backend, billing, caller, lake, names, quotas, rights
from lakehouse.doctor.finding import Check

CHECKS: Final = (
    Check("credentials", caller.credentials),
    Check("region", caller.region),
    Check("services", caller.services),
    Check("glue version", caller.glue_version),
    Check("rights", rights.rights),
    Check("lake formation", lake.administrators),
    Check("default permissions", lake.defaults),
    Check("databases", lake.databases),
    Check("catalog", lake.catalog),
    Check("schema registry", lake.registry, lambda need: need.count("Registry") > 0),
    Check("buckets", names.buckets),
    Check("zones", quotas.zones, lambda need: need.zones > 0),
    Check("quotas", quotas.quotas),
    Check("quotas", quotas.kinesis, lambda need: need.shards + need.on_demand_streams > 0),
    Check("quotas", quotas.roles),
    Check("quotas", quotas.trails, lambda need: need.count("Trail") > 0),
    Check("cost tags", billing.cost_tags, lambda need: bool(need.cost_tags)),
    backend.backend_check(backend.backend_url),
)
