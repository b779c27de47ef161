"""Glue batch job: new loads of bronze to silver, refined, audited and published.

With ``--publish dataset:snapshot`` it publishes one held candidate instead, on the word of the
person ``--by`` for the ``--reason`` given.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.errors import RunningElsewhereError
from lakehouse.jobargs import JobArgs
from lakehouse.lineage.emitter import emitting
from lakehouse.metrics import Metrics
from lakehouse.promotion.approval import approve_held
from lakehouse.promotion.promote import Promotion, pending, promote
from lakehouse.reporting.tell import tell
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Promote every dataset that has new loads, each on its own."""
    args = JobArgs.parse()
    metrics = Metrics(args.aws.client("cloudwatch"))

    def step(contract: Contract) -> Mapping[str, object]:
        # Without new loads Spark, which takes most of a run's time to start, is left alone.
        if not pending(args.aws, contract):
            return report(Promotion(dataset=contract.dataset, reason="no new loads"))
        spark = session("promote")
        done = Promotion(dataset=contract.dataset)
        try:
            done = promote(
                args.aws,
                spark,
                contract,
                clock=lambda: datetime.now(UTC),
                run_id=args.run_id,
                code=args.release,
            )
        except RunningElsewhereError as error:
            done = Promotion(dataset=contract.dataset, reason=str(error))
        finally:
            tell(args.aws, contract, metrics, published=bool(done.rows_added))
        return report(done)

    with emitting(args) as emitter, closing(metrics):
        if args.publish is not None:
            approve_held(args, metrics)
        else:
            contracts = args.contracts.select(args.datasets, "stream", "files", "pull")
            each_dataset("promote", contracts, emitter.observed("promote", step))


def report(done: Promotion) -> Mapping[str, object]:
    """What the log says of a promotion."""
    said: dict[str, object] = msgspec.to_builtins(done)
    del said["dataset"]
    return said


if __name__ == "__main__":
    run_job(main)
