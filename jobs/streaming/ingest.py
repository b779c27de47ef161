"""Glue streaming job: the streams of one group into bronze, a supervised query each."""

from __future__ import annotations

from contextlib import closing

from lakehouse.ingestion.ingestquery import IngestQuery, warm_up
from lakehouse.ingestion.stream import LoadsSource, StreamOptions
from lakehouse.ingestion.supervise import Supervisor, stop_on_sigterm
from lakehouse.jobargs import JobArgs
from lakehouse.lineage.emitter import emitting
from lakehouse.metrics import Metrics
from lakehouse.release import another_wanted
from lakehouse.runner import each_dataset, run_job
from lakehouse.spark import before_shutdown, session


def main() -> None:
    """Ingest until stopped, or with ``--once true`` until every shard is caught up."""
    args = JobArgs.parse()
    spark = session(f"ingest-{args.group}")
    spark.dataSource.register(LoadsSource)
    warm_up(spark, args.aws)
    metrics = Metrics(args.aws.client("cloudwatch"))
    contracts = args.streams()
    with emitting(args) as emitter, closing(metrics):
        observe = emitter.loads(args.contracts, metrics.load)
        queries = {
            contract.dataset: IngestQuery(
                spark,
                StreamOptions(
                    args.aws, contract, args.limits, accept_loss=args.accepts_loss(contract)
                ),
                observe,
                args.trigger_seconds,
            )
            for contract in contracts
        }
        if args.once:
            for dataset, query in queries.items():
                query.start()
                metrics.running(dataset, alive=query.alive, failures=0)
            each_dataset("ingest", contracts, lambda c: queries[c.dataset].drain())
        else:
            wanted = another_wanted(args.aws, args.release)
            supervisor = Supervisor(queries, metrics.running, wanted)
            stop_on_sigterm(supervisor)
            before_shutdown(spark, supervisor.end, seconds=120)
            supervisor.run()


if __name__ == "__main__":
    run_job(main)
