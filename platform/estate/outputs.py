"""What a stack says once it is up: all that an operator needs to go on, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pulumi

from estate.access.audiences import Audiences
from estate.access.producers import Producers
from estate.access.roles import Access
from estate.account import Account
from estate.compute.joblogs import log_folder
from estate.compute.release import Release
from estate.ingress.arrivals import Arrivals
from estate.network.vpc import Network
from estate.operations.alerts import Alerts
from estate.operations.audit import Audit
from estate.orchestration.airflow import Airflow
from estate.serving.analytics import Analytics
from estate.serving.governance import DATABASE, Governance
from estate.storage.keys import Keys
from estate.storage.lake import Lake
from lakehouse import naming
from lakehouse.contracts.model import Contracts

if TYPE_CHECKING:
    from estate.config import StackConfig


def outputs(
    config: StackConfig,
    contracts: Contracts,
    release: Release,
    account: pulumi.Output[Account],
    *,
    keys: Keys,
    lake: Lake,
    access: Access,
    audiences: Audiences,
    producers: Producers,
    governance: Governance,
    arrivals: Arrivals,
    analytics: Analytics,
    alerts: Alerts,
    network: Network | None,
    audit: Audit | None,
    airflow: Airflow | None,
) -> dict[str, Any]:
    """The outputs; of a part that the stack leaves out, none."""
    prefix = config.prefix
    streams = contracts.select((), "stream")
    artifacts = f"s3://{naming.bucket(prefix, 'artifacts')}"
    found: dict[str, Any] = {
        "prefix": prefix,
        "region": account.apply(lambda known: known.region),
        "account": account.apply(lambda known: known.id),
        "datasets": sorted(contracts),
        "buckets": {purpose: lake[purpose].bucket for purpose in naming.BUCKETS},
        "keys": keys.arns(),
        "streams": {c.dataset: c.stream.arn or naming.stream(prefix, c.dataset) for c in streams},
        "registry": prefix,
        "databases": [*naming.LAYERS, DATABASE],
        "history": governance.tables,
        "jobs": {job: naming.job(prefix, job) for job in access.jobs},
        "job_logs": {job: log_folder(prefix, job) for job in access.jobs},
        "job_roles": {job: role.arn for job, role in access.jobs.items()},
        "airflow_role": access.airflow.arn,
        "audiences": {name: role.arn for name, role in audiences.roles.items()},
        "producers": {name: role.arn for name, role in producers.roles.items()},
        "release": release.name,
        "contracts": f"{artifacts}/{release.contracts}",
        "workgroups": analytics.workgroups,
        "arrivals": arrivals.queue.url,
        "dead_arrivals": arrivals.dead.url,
        "alerts": alerts.topic,
        "dashboard": account.apply(console(f"cloudwatch/home#dashboards/dashboard/{prefix}")),
    }
    if config.cost:
        found["budget"] = f"{prefix}-monthly"
    if network:
        found["network"] = {
            "vpc": network.vpc.id,
            "private_subnets": [subnet.id for subnet in network.subnets],
            "security_group": network.members.id,
        }
    if audit:
        found["audit_bucket"] = audit.bucket
    if airflow:
        found["airflow"] = airflow.webserver
    return found


def console(page: str) -> Callable[[Account], str]:
    """The address of a page of the account's console, once the region is known."""
    return lambda known: f"https://{known.region}.console.aws.amazon.com/{page}"
