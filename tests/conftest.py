"""Fixtures shared by all tests: the emulator, a deployment on it, Spark, the whole local estate."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from lakehouse import aws as aws_module
from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts
from lakehouse.contracts.odcs import load_contracts
from lakehouse.decoding import registry
from lakehouse.ingestion import ingest
from lakehouse.spark import catalog_conf
from localaws import local, sparkenv
from localaws.emulator import ACCOUNT_KEYS, Emulator
from localaws.processes import free_port

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]
_numbers = itertools.count(1)
# How long an example takes depends on what else the machine does: it says nothing of the code.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    """The repository's own contracts."""
    return load_contracts(ROOT / "quality" / "contracts")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an emulator for this run, which the environment points to."""
    started = Emulator(free_port(), tmp_path_factory.mktemp("emulator"))
    started.wait_ready()
    with _environment({**ACCOUNT_KEYS, "AWS_ENDPOINT_URL": started.url}):
        yield started.url
    started.stop()


@pytest.fixture(scope="module")
def aws(emulator: str) -> Iterator[Aws]:
    """A deployment of its own for each test module: buckets and empty databases."""
    assert os.environ["AWS_ENDPOINT_URL"] == emulator
    deployment = Aws.from_env(f"lakehouse-test{next(_numbers)}")
    s3, glue = deployment.client("s3"), deployment.client("glue")
    for purpose in naming.BUCKETS:
        s3.create_bucket(Bucket=deployment.bucket(purpose))
    for layer in naming.LAYERS:
        glue.create_database(DatabaseInput={"Name": layer})
    yield deployment
    for layer in naming.LAYERS:
        glue.delete_database(Name=layer)


@pytest.fixture(scope="session")
def spark(emulator: str) -> Iterator[SparkSession]:
    """One Spark for the whole run, its catalog ``lake`` on the emulator."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        for name, value in sparkenv.launch_env().items():
            patch.setenv(name, value)
        builder = SparkSession.builder.appName("tests")
        confs = catalog_conf("lakehouse-test") | sparkenv.local_conf(emulator, emulator)
        for key, value in confs.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def local_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.LocalEstate]:
    """The whole estate, up in a home of its own; the environment points to it meanwhile."""
    home = tmp_path_factory.mktemp("estate")
    estate = local.up(home, ROOT / "quality" / "contracts", print, owner_pid=os.getpid())
    try:
        with _environment(estate.env):
            yield estate
    finally:
        local.down(home)


@pytest.fixture(scope="module")
def empty_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.LocalEstate]:
    """The local estate's processes without anything built: no bucket, no job, no workgroup."""
    home = tmp_path_factory.mktemp("estate")
    estate = local.up(
        home, ROOT / "quality", print, owner_pid=os.getpid(), build=lambda _contracts, _estate: None
    )
    try:
        with _environment(estate.env):
            yield estate
    finally:
        local.down(home)


@contextmanager
def _environment(env: dict[str, str]) -> Iterator[None]:
    """Only ``env`` says where AWS is; clients and tables of somewhere else are forgotten."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                if name.startswith("AWS_") and name != "AWS_CA_BUNDLE":
                    patch.delenv(name)
            for name, value in env.items():
                patch.setenv(name, value)
            _forget_clients()
            yield
    finally:
        _forget_clients()


def _forget_clients() -> None:
    for cached in (
        aws_module._client,
        aws_module._catalog,
        ingest._worker_table,
        registry.glue_registry,
    ):
        cached.cache_clear()
