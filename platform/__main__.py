"""The estate, part by part: what ``pulumi up`` builds, and what is applied to the emulator."""

import os
from pathlib import Path

import pulumi

from acceptance.datasets import with_acceptance
from estate.access.audiences import Audiences
from estate.access.lakeformation import LakeFormation
from estate.access.lakepermissions import LakePermissions
from estate.access.producers import Producers
from estate.access.roles import Access
from estate.account import Account
from estate.compute.artifacts import Artifacts, WantedRelease
from estate.compute.jobs import Jobs
from estate.compute.release import ROOT, make_release
from estate.compute.supervisor import Supervisor
from estate.config import parse_config
from estate.ingress.arrivals import Arrivals
from estate.ingress.registry import Registry
from estate.ingress.streams import Streams
from estate.network.vpc import Network
from estate.operations.alarms import Alarms
from estate.operations.alerts import Alerts
from estate.operations.audit import Audit
from estate.operations.cost import Cost
from estate.operations.failures import Failures
from estate.orchestration.airflow import Airflow
from estate.outputs import outputs
from estate.serving.analytics import Analytics
from estate.serving.catalog import Catalog
from estate.serving.governance import Governance
from estate.serving.savedqueries import SavedQueries
from estate.storage.keys import Keys
from estate.storage.lake import Lake
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import LakehouseError
from lakehouse.release import PAUSED


def build() -> None:
    """Build every part of the stack."""
    settings = pulumi.Config()
    config = parse_config(settings.require_object("platform"))
    folder = settings.get("contracts") or os.environ.get("LAKEHOUSE_CONTRACTS")
    contracts = with_acceptance(
        load_contracts(ROOT / Path(folder or "quality/contracts")), config.acceptance
    )
    streams = contracts.select((), "stream")
    release = make_release(contracts, config.jobs.python_requirements)
    account = Account.current(config.prefix)

    keys = Keys(config, account)
    network = (
        Network(config, config.network, account, keys["operations"]) if config.network else None
    )
    lake = Lake(config, account, keys)
    arrivals = Arrivals(config, lake, keys["inbound"])
    Streams(config, streams, keys["inbound"])
    Registry(config, streams)
    catalog = Catalog(config)
    governance = Governance(config, contracts)
    artifacts = Artifacts(release, lake["artifacts"])
    access = Access(config, account, keys, streams)
    audiences = Audiences(
        config,
        account,
        keys,
        tuple(contracts.values()),
        governed=config.lake_formation is not None,
    )
    prepared: list[pulumi.Resource] = [artifacts]
    if config.lake_formation:
        formation = LakeFormation(
            config,
            config.lake_formation,
            account,
            keys,
            lake,
            contracts=tuple(contracts.values()),
            after=catalog,
        )
        prepared.append(
            LakePermissions(
                config.lake_formation,
                formation,
                governance,
                jobs=access.jobs,
                people=audiences.roles,
            )
        )
    jobs = Jobs(
        config,
        access,
        keys,
        release,
        connection=network.connection if network else None,
        after=prepared,
    )
    ingests = [f"ingest-{group}" for group in access.groups]
    Supervisor(config, ingests, account, keys["operations"], after=jobs)
    wanted = PAUSED if config.jobs.ingest.paused else release.name
    WantedRelease(wanted, lake["artifacts"], after=jobs)
    producers = Producers(config, account, keys, contracts)
    analytics = Analytics(config, keys)
    SavedQueries(contracts, analytics.workgroups)
    alerts = Alerts(config, account, keys["operations"])
    Alarms(config, tuple(contracts.values()), alerts.topic, account)
    Failures(config, alerts.topic)
    audit = Audit(config, config.audit, account, lake, keys["operations"]) if config.audit else None
    if config.cost:
        Cost(config, config.cost, alerts.topic)
    airflow = (
        Airflow(
            config,
            config.airflow,
            network,
            lake,
            contracts=contracts,
            role=access.airflow,
            key=keys["operations"],
            topic=alerts.topic,
        )
        if config.airflow and network
        else None
    )

    found = outputs(
        config,
        contracts,
        release,
        account,
        keys=keys,
        lake=lake,
        access=access,
        audiences=audiences,
        producers=producers,
        governance=governance,
        arrivals=arrivals,
        analytics=analytics,
        alerts=alerts,
        network=network,
        audit=audit,
        airflow=airflow,
    )
    for name, value in found.items():
        pulumi.export(name, value)


try:
    build()
except LakehouseError as error:
    raise pulumi.RunError(str(error)) from None
