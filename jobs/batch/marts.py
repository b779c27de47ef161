"""Glue batch job: marts from silver, audited and published.

With ``--full true`` they are made anew as a whole, also where nothing has changed. With
``--publish mart:snapshot`` one held candidate is published instead, on the word of the person
``--by`` for the ``--reason`` given.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError, RunningElsewhereError
from lakehouse.jobargs import JobArgs
from lakehouse.lineage.emitter import emitting
from lakehouse.marts.build import Build, build
from lakehouse.marts.plan import plan
from lakehouse.metrics import Metrics
from lakehouse.promotion.approval import approve_held
from lakehouse.reporting.tell import tell
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Build every mart whose inputs, SELECT or contract have changed, each on its own."""
    args = JobArgs.parse()
    metrics = Metrics(args.aws.client("cloudwatch"))

    def step(contract: Contract) -> Mapping[str, object]:
        sql = args.marts.get(contract.dataset)
        if sql is None:
            raise ContractError(
                f"{contract.path}: a mart without a SELECT; add marts/{contract.dataset}.sql"
            )
        # Without changes Spark, which takes most of a run's time to start, is left alone.
        made = plan(args.aws, contract, sql, args.contracts, full=args.full)
        if made.idle:
            return report(Build(dataset=contract.dataset, inputs=made.inputs, reason=made.idle))
        spark = session("marts")
        done = Build(dataset=contract.dataset)
        try:
            done = build(
                args.aws,
                spark,
                contract,
                sql,
                contracts=args.contracts,
                clock=lambda: datetime.now(UTC),
                run_id=args.run_id,
                code=args.release,
                full=args.full,
            )
        except RunningElsewhereError as error:
            done = Build(dataset=contract.dataset, inputs=made.inputs, reason=str(error))
        finally:
            tell(args.aws, contract, metrics, published=done.published)
        return report(done)

    with emitting(args) as emitter, closing(metrics):
        if args.publish is not None:
            approve_held(args, metrics)
        else:
            chosen = args.contracts.select(args.datasets, "mart")
            each_dataset("marts", chosen, emitter.observed("marts", step))


def report(done: Build) -> Mapping[str, object]:
    """What the log says of a build."""
    said: dict[str, object] = msgspec.to_builtins(done)
    del said["dataset"]
    return said


if __name__ == "__main__":
    run_job(main)
