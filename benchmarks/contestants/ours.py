"""The platform's own streaming job, as it ships."""

from __future__ import annotations

from pathlib import Path

import lakehouse
from benchmarks.contestants.run import Run
from benchmarks.estate import PREFIX
from lakehouse.spark import catalog_conf
from localaws.sparkenv import local_conf, spark_home


def command(run: Run, *, once: bool = True) -> list[str]:
    """The command line of the job, with the confs that it has on one machine."""
    script = Path(lakehouse.__file__).parents[1] / "streaming" / "ingest.py"
    confs = catalog_conf(PREFIX) | local_conf(run.s3, run.glue)
    return [
        str(spark_home() / "bin" / "spark-submit"),
        *(part for key, value in confs.items() for part in ("--conf", f"{key}={value}")),
        str(script),
        *("--prefix", PREFIX),
        *("--contracts", run.contracts),
        *("--once", str(once).lower()),
    ]
