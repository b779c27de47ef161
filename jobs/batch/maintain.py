"""Glue batch job, once a day: keeps the tables of all layers small.

``--datasets a,b`` names some of them, ``--dry-run true`` changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.jobargs import JobArgs
from lakehouse.maintenance.expire import pinned
from lakehouse.maintenance.maintain import Maintained, maintain_dataset
from lakehouse.maintenance.operate import put_result
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Maintain every table of the named datasets, or of all, and say what was done to each."""
    args = JobArgs.parse()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--dry-run", default="false", choices=["true", "false"])
    told, _ = parser.parse_known_args(sys.argv[1:])
    dry_run = told.dry_run == "true"
    pins = pinned(args.aws, args.contracts.select((), "mart"))
    tables: list[Maintained] = []
    failed: dict[str, str] = {}

    def step(contract: Contract) -> Mapping[str, object]:
        try:
            done = maintain_dataset(
                args.aws,
                lambda: session("maintain"),
                contract,
                pins=pins,
                clock=lambda: datetime.now(UTC),
                run_id=args.run_id,
                dry_run=dry_run,
            )
        except Exception as error:
            failed[contract.dataset] = str(error)
            raise
        tables.extend(done)
        return {"tables": msgspec.to_builtins(done)}

    chosen = args.contracts.select(args.datasets, "stream", "files", "pull", "mart")
    try:
        each_dataset("maintain", chosen, step)
    finally:
        put_result(
            args.aws,
            args.run_id,
            {"operation": "maintain", "dry_run": dry_run, "tables": tables, "failed": failed},
        )


if __name__ == "__main__":
    run_job(main)
