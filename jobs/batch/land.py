"""Glue job: land file drops and pulled pages in bronze, each dataset on its own."""

from __future__ import annotations

from lakehouse.ingestion.ingest import land, on_spark
from lakehouse.jobargs import JobArgs
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session


def main() -> None:
    """Land the named datasets, or all that come as files or pulls."""
    args = JobArgs.parse()
    spark = session("land")
    contracts = args.contracts.select(args.datasets, "files", "pull")
    each_dataset(
        "land",
        contracts,
        lambda contract: {
            "loads": [p.load for p in land(args.aws, contract, on_spark(spark, args.aws, contract))]
        },
    )


if __name__ == "__main__":
    run_job(main)
