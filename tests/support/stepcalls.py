"""What jobs do after a wait: ``replay`` carries out what was left, ``maintain`` removes old files.

The steps are the jobs' own; what a job would wait for has come to pass.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts
from lakehouse.contracts.odcs import load_contracts
from lakehouse.ingestion.ingest import on_driver, open_loads
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.replay import ReplayPlanner, run_replay
from lakehouse.maintenance.expire import pinned
from lakehouse.maintenance.maintain import maintain_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTRACTS = Path(__file__).parents[2] / "quality" / "contracts"


def replay(aws: Aws, contracts: Contracts) -> None:
    """Carry out the unfinished loads of a stream and of a file."""
    for dataset in ("flights", "airlines"):
        contract, which = contracts[dataset], RejectFilter()
        loads = open_loads(aws, contract)

        def count(_which: RejectFilter, _upto: int) -> Mapping[int, int]:
            return {}

        planner = ReplayPlanner(loads.ledger, count, contract, which)
        report = run_replay(loads, planner, contract, on_driver(aws, contract), patience=0)
        assert report.others, f"no load of {dataset} was unfinished"


def maintain(aws: Aws, contracts: Contracts) -> None:
    """Maintain a table of each layer a month from now; nothing is worth a rewrite."""

    def session() -> NoReturn:
        raise AssertionError("files are rewritten")

    pins = pinned(aws, contracts.select((), "mart"))
    for dataset in ("flights", "carrier_on_time"):
        done = maintain_dataset(
            aws,
            session,
            contracts[dataset],
            pins=pins,
            clock=lambda: datetime.now(UTC) + timedelta(days=30),
            run_id="later",
            dry_run=False,
        )
        for table in done:
            assert table.snapshots is not None, table
            assert table.snapshots.expired, table


if __name__ == "__main__":
    step, prefix = sys.argv[1:]
    {"replay": replay, "maintain": maintain}[step](Aws.from_env(prefix), load_contracts(CONTRACTS))
