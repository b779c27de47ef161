"""Glue batch job: new loads of bronze to silver, refined, audited and published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.jobargs import JobArgs
from lakehouse.promotion.promote import Promotion, pending, promote
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Promote every dataset that has new loads, each on its own."""
    args = JobArgs.parse()

    def step(contract: Contract) -> Mapping[str, object]:
        # Without new loads Spark, which takes most of a run's time to start, is left alone.
        if not pending(args.aws, contract):
            done = Promotion(dataset=contract.dataset, reason="no new loads")
        else:
            spark = session("promote")
            done = promote(args.aws, spark, contract, lambda: datetime.now(UTC), args.run_id)
        return report(done)

    each_dataset("promote", args.contracts.select(args.datasets, "stream", "files", "pull"), step)


def report(done: Promotion) -> Mapping[str, object]:
    """What the log says of a promotion."""
    said: dict[str, object] = msgspec.to_builtins(done)
    del said["dataset"]
    return said


if __name__ == "__main__":
    run_job(main)
