"""Spark's view of the lakehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def session(app: str) -> SparkSession:
    """The job's session; everything else about it is said by whoever submits the job."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName(app).getOrCreate()
