"""Glue batch job: marts from silver, audited and published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError
from lakehouse.jobargs import JobArgs
from lakehouse.marts.build import Build, build, plan
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Build every mart whose inputs, SELECT or contract have changed, each on its own."""
    args = JobArgs.parse()

    def step(contract: Contract) -> Mapping[str, object]:
        sql = args.marts.get(contract.dataset)
        if sql is None:
            raise ContractError(
                f"{contract.path}: a mart without a SELECT; add marts/{contract.dataset}.sql"
            )
        # Without changes Spark, which takes most of a run's time to start, is left alone.
        made = plan(args.aws, contract, sql)
        if made.idle:
            return report(Build(dataset=contract.dataset, inputs=made.inputs, reason=made.idle))
        spark = session("marts")
        done = build(
            args.aws, spark, contract, sql, clock=lambda: datetime.now(UTC), run_id=args.run_id
        )
        return report(done)

    each_dataset("marts", args.contracts.select(args.datasets, "mart"), step)


def report(done: Build) -> Mapping[str, object]:
    """What the log says of a build."""
    said: dict[str, object] = msgspec.to_builtins(done)
    del said["dataset"]
    return said


if __name__ == "__main__":
    run_job(main)
