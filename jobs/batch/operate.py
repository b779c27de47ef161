"""Glue batch job: one of the operations that a person decides on, for the named datasets.

``--operation replay|rebuild|drop-branch --datasets a,b --dry-run true|false --arguments {json}``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from lakehouse.contracts.model import Contract
from lakehouse.errors import InputError
from lakehouse.jobargs import JobArgs
from lakehouse.maintenance.operate import Operator, put_result
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Run the operation and say what came of it, dataset by dataset; a dry run changes nothing."""
    args = JobArgs.parse()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--operation", required=True)
    parser.add_argument("--dry-run", default="true", choices=["true", "false"])
    parser.add_argument("--arguments", default="{}")
    told, _ = parser.parse_known_args(sys.argv[1:])
    if not args.datasets:
        raise InputError("--datasets: an operation needs the names of its datasets, got none")
    operator = Operator(
        aws=args.aws,
        session=lambda: session("operate"),
        contracts=args.contracts,
        marts=args.marts,
        clock=lambda: datetime.now(UTC),
        run_id=args.run_id,
        code=args.release,
        dry_run=told.dry_run == "true",
    )
    step = operator.step(told.operation, told.arguments)
    done: dict[str, Mapping[str, object]] = {}
    failed: dict[str, str] = {}

    def kept(contract: Contract) -> Mapping[str, object]:
        try:
            done[contract.dataset] = step(contract)
        except Exception as error:
            failed[contract.dataset] = str(error)
            raise
        return done[contract.dataset]

    kinds = ("stream", "files", "pull") if told.operation == "replay" else _ALL
    chosen = args.contracts.select(args.datasets, *kinds)
    try:
        each_dataset("operate", chosen, kept)
    finally:
        put_result(
            args.aws,
            args.run_id,
            {
                "operation": told.operation,
                "dry_run": operator.dry_run,
                "datasets": done,
                "failed": failed,
            },
        )


_ALL = ("stream", "files", "pull", "mart")


if __name__ == "__main__":
    run_job(main)
