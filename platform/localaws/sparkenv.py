"""Spark on one machine: the jars, fetched once, and the confs that Glue would bring itself."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import EstateError
from lakehouse.naming import CATALOG
from localaws.java import java_home

PACKAGES = (
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0",
    "org.apache.iceberg:iceberg-aws-bundle:1.11.0",
)
"""What Glue 6.0 has on board: Iceberg 1.11 on Spark 4.1."""


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """``$LAKEHOUSE_CACHE``, else ``lakehouse`` in the user's cache folder."""
    if own := env.get("LAKEHOUSE_CACHE"):
        return Path(own)
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache", "lakehouse")


def spark_home() -> Path:
    """The folder of the installed pyspark."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EstateError("pyspark is not installed; run `pip install 'lakehouse[spark]'`")
    return Path(spec.origin).parent


def launch_env(cache: Path | None = None) -> dict[str, str]:
    """What a process needs to start this Spark: Java, Spark, the Python of its workers."""
    return {
        "JAVA_HOME": str(java_home(cache or cache_dir())),
        "SPARK_HOME": str(spark_home()),
        "PYSPARK_PYTHON": sys.executable,
        # Spark looks for an address of the machine and warns when it finds only a loopback one.
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def jars(cache: Path | None = None) -> list[Path]:
    """The jars of PACKAGES: resolved through Ivy on the first call, then from the cache."""
    root = cache or cache_dir()
    wanted = hashlib.sha256("\n".join(PACKAGES).encode()).hexdigest()[:12]
    folder = root / "jars" / wanted
    if not folder.is_dir():
        with _locked(root / "jars.lock"):
            if not folder.is_dir():
                _resolve(root, folder)
    return sorted(folder.glob("*.jar"))


def _resolve(root: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        nothing = Path(scratch, "nothing.py")
        nothing.write_text("", encoding="utf-8")
        done = subprocess.run(  # noqa: S603  # the program is the installed Spark
            [
                spark_home() / "bin" / "spark-submit",
                "--master=local[1]",
                f"--packages={','.join(PACKAGES)}",
                f"--conf=spark.jars.ivy={scratch}/ivy",
                nothing,
            ],
            env={**os.environ, **launch_env(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        found = Path(scratch, "ivy", "jars")
        if done.returncode or len(list(found.glob("*.jar"))) < len(PACKAGES):
            reason = (done.stderr.strip() or "no output").splitlines()[-1]
            raise EstateError(
                f"Spark's jars could not be fetched from Maven Central: {reason}; check the "
                "network, or put a settings file for a mirror at ~/.m2 and try again"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(found, folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def local_conf(emulator_url: str, glue_url: str, region: str = "us-east-1") -> dict[str, str]:
    """The confs that make a Spark on this machine work against the local estate.

    They come on top of ``lakehouse.spark.catalog_conf``, which is the same here and on AWS.
    """
    catalog = f"spark.sql.catalog.{CATALOG}"
    classpath = os.pathsep.join(str(path) for path in jars())
    return {
        "spark.master": "local[2]",
        "spark.driver.extraClassPath": classpath,
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        # The first compiler alone halves a short job: 12 s instead of 19, 15 core seconds instead
        # of 32 (create, insert, merge, read of one Iceberg table); one thread collects garbage.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        # 200 partitions by default, for a few thousand rows.
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        f"{catalog}.glue.endpoint": glue_url,
        f"{catalog}.s3.endpoint": emulator_url,
        f"{catalog}.s3.path-style-access": "true",
        f"{catalog}.client.region": region,
    }
