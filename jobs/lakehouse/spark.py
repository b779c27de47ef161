"""Spark's view of the lakehouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from lakehouse import naming

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def catalog_conf(prefix: str) -> dict[str, str]:
    """The confs that make ``lake`` the Iceberg catalog over Glue, the same on AWS and locally."""
    catalog = f"spark.sql.catalog.{naming.CATALOG}"
    return {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "glue",
        f"{catalog}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{catalog}.warehouse": f"s3://{naming.bucket(prefix, 'silver')}/",
        # A cached table serves stale rows after a commit made by PyIceberg.
        f"{catalog}.cache-enabled": "false",
        "spark.sql.defaultCatalog": naming.CATALOG,
        "spark.sql.session.timeZone": "UTC",
    }


_BEFORE_SPARK = 100
"""Priority of a shutdown hook; Spark's own, which stop its context, have less."""


def before_shutdown(spark: SparkSession, call: Callable[[], None], seconds: int) -> None:
    """Call when the JVM is asked to end, and hold it up for so long at the most.

    A signal to a job reaches the JVM as well, which would take Spark away at once.
    """
    from pyspark.java_gateway import ensure_callback_server_started

    class Hook:
        class Java:
            implements: ClassVar[list[str]] = ["java.lang.Runnable"]

        def run(self) -> None:
            call()

    gateway: Any = spark.sparkContext._gateway
    ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]  # pyspark's own
    jvm = gateway.jvm
    # The manager asks a hook for its hash code, which a thread has and a proxy does not.
    jvm.org.apache.hadoop.util.ShutdownHookManager.get().addShutdownHook(
        jvm.java.lang.Thread(Hook()),
        _BEFORE_SPARK,
        seconds,
        jvm.java.util.concurrent.TimeUnit.SECONDS,
    )


def session(app: str) -> SparkSession:
    """The job's session; everything else about it is said by whoever submits the job."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName(app).getOrCreate()
