"""A replay that carries out the unfinished loads of a stream and of a file, without the wait."""

from __future__ import annotations

import sys
from pathlib import Path

from lakehouse.aws import Aws
from lakehouse.contracts.odcs import load_contracts
from lakehouse.ingestion.ingest import on_driver, open_loads
from lakehouse.ingestion.ledger import RejectFilter
from lakehouse.ingestion.replay import ReplayPlanner, run_replay

CONTRACTS = Path(__file__).parents[2] / "quality" / "contracts"

if __name__ == "__main__":
    aws, contracts = Aws.from_env(sys.argv[1]), load_contracts(CONTRACTS)
    for dataset in ("flights", "airlines"):
        contract, which = contracts[dataset], RejectFilter()
        loads = open_loads(aws, contract)
        planner = ReplayPlanner(loads.ledger, lambda *_: {}, contract, which)
        report = run_replay(loads, planner, contract, on_driver(aws, contract), patience=0)
        assert report.others, f"no load of {dataset} was unfinished"
