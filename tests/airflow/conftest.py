"""Airflow as on MWAA, with a home of its own; a stub of Glue and S3 where AWS would be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "orchestration" / "dags"

# Airflow reads its settings when it is imported, and the DAGs import their package.
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
sys.path.insert(0, str(DAGS))
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database is made."""
    home = tmp_path_factory.mktemp("airflow")
    local(home, {}, "prepare")
    return home


def local(home: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """``orchestration/local.py`` as the demo calls it."""
    return subprocess.run(
        [sys.executable, str(ROOT / "orchestration" / "local.py"), f"--home={home}", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the repository's contracts, which a test may add to."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for path in (ROOT / "quality" / "contracts").glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(folder))
    monkeypatch.setenv("LAKEHOUSE_PREFIX", "lakehouse-local")
    return folder


@pytest.fixture
def bag(contracts: Path) -> BundleDagBag:
    """Every DAG of the repository, made from the folder of contracts."""
    assert contracts.is_dir()
    return read_dags()


def read_dags() -> BundleDagBag:
    """The DAGs as the environment and the contracts are now."""
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")


@pytest.fixture(autouse=True)
def forget_dags() -> Iterator[None]:
    """Modules of DAGs, which Airflow keeps under names of their own, live for one test."""
    yield
    for name in [n for n in sys.modules if n.startswith("unusual_prefix_")]:
        del sys.modules[name]
