"""Glue job: land file drops and pulled pages in bronze, each dataset on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lakehouse.contracts.model import Contract
from lakehouse.ingestion.ingest import land, on_spark
from lakehouse.ingestion.ledger import Claim, Plan
from lakehouse.jobargs import JobArgs
from lakehouse.lineage.emitter import emitting
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Land the named datasets, or all that come as files or pulls."""
    args = JobArgs.parse()
    contracts = args.contracts.select(args.datasets, "files", "pull")

    def step(contract: Contract) -> Mapping[str, object]:
        # With nothing to do Spark, which takes most of a run's time to start, is left alone.
        def execute(plan: Plan) -> Iterable[Claim]:
            return on_spark(session("land"), args.aws, contract)(plan)

        landed = land(args.aws, contract, execute)
        return {"loads": [plan.load for plan in landed]}

    with emitting(args) as emitter:
        each_dataset("land", contracts, emitter.observed("land", step))


if __name__ == "__main__":
    run_job(main)
