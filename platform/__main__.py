"""The estate, part by part: what ``pulumi up`` builds, and what is applied to the emulator."""

import os
from pathlib import Path

import pulumi

from estate.access import Access
from estate.account import Account
from estate.airflow import Airflow
from estate.alarms import Alarms
from estate.alerts import Alerts
from estate.analytics import Analytics
from estate.arrivals import Arrivals
from estate.artifacts import Artifacts, WantedRelease
from estate.audit import Audit
from estate.catalog import Catalog
from estate.config import parse_config
from estate.cost import Cost
from estate.jobs import Jobs
from estate.keys import Keys
from estate.lake import Lake
from estate.network import Network
from estate.registry import Registry
from estate.release import ROOT, make_release
from estate.streams import Streams
from estate.supervisor import Supervisor
from lakehouse import naming
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import LakehouseError


def build() -> None:
    """Build every part of the stack."""
    settings = pulumi.Config()
    config = parse_config(settings.require_object("platform"))
    folder = settings.get("contracts") or os.environ.get("LAKEHOUSE_CONTRACTS")
    contracts = load_contracts(ROOT / Path(folder or "quality/contracts"))
    streams = contracts.select((), "stream")
    release = make_release(contracts, config.jobs.python_requirements)
    account = Account.current(config.prefix)

    keys = Keys(config.prefix, config.keys, account, protect=not config.disposable)
    network = (
        Network(config, config.network, account, keys["operations"]) if config.network else None
    )
    lake = Lake(config, account, keys)
    arrivals = Arrivals(config, lake, keys["inbound"])
    Streams(config, streams, keys["inbound"])
    Registry(config, streams)
    Catalog(config)
    artifacts = Artifacts(release, lake["artifacts"])
    access = Access(config, account, keys, streams)
    jobs = Jobs(
        config,
        access,
        keys,
        release,
        connection=network.connection if network else None,
        after=artifacts,
    )
    ingests = [f"ingest-{group}" for group in access.groups]
    Supervisor(config, ingests, account, keys["operations"], after=jobs)
    WantedRelease(release, lake["artifacts"], after=jobs)
    analytics = Analytics(config, keys)
    alerts = Alerts(config, account, keys["operations"])
    Alarms(config, tuple(contracts.values()), access.jobs, alerts.topic, account)
    if config.audit:
        Audit(config, config.audit, account, lake, keys["operations"])
    if config.cost:
        Cost(config, config.cost, alerts.topic)
    if config.airflow and network:
        Airflow(
            config,
            config.airflow,
            network,
            lake,
            contracts=contracts,
            role=access.airflow,
            key=keys["operations"],
        )

    pulumi.export("prefix", config.prefix)
    pulumi.export("datasets", sorted(contracts))
    pulumi.export("buckets", {purpose: lake[purpose].bucket for purpose in naming.BUCKETS})
    pulumi.export("streams", {c.dataset: naming.stream(config.prefix, c.dataset) for c in streams})
    pulumi.export("jobs", {job: naming.job(config.prefix, job) for job in access.jobs})
    pulumi.export("workgroup", analytics.workgroup)
    pulumi.export(
        "contracts", f"s3://{naming.bucket(config.prefix, 'artifacts')}/{release.contracts}"
    )
    pulumi.export("airflow_role", access.airflow.arn)
    pulumi.export("arrivals", arrivals.queue.url)
    pulumi.export("alerts", alerts.topic)


try:
    build()
except LakehouseError as error:
    raise pulumi.RunError(str(error)) from None
