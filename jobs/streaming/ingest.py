"""Glue streaming job: the streams of one group into bronze, a supervised query each."""

from __future__ import annotations

from lakehouse.jobargs import JobArgs
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import session
from lakehouse.stream import LoadsSource, StreamOptions, drain, start_query


def main() -> None:
    """Ingest until stopped, or with ``--once true`` until every shard is caught up."""
    args = JobArgs.parse()
    spark = session(f"ingest-{args.group}")
    spark.dataSource.register(LoadsSource)
    contracts = [
        contract
        for contract in args.contracts.select(args.datasets, "stream")
        if contract.group == args.group
    ]
    queries = {
        contract.dataset: start_query(spark, StreamOptions(args.aws, contract), trigger_seconds=1)
        for contract in contracts
    }
    if args.once:
        each_dataset("ingest", contracts, lambda c: drain(queries[c.dataset]))
    else:
        spark.streams.awaitAnyTermination()


if __name__ == "__main__":
    run_job(main)
