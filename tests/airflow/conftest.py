"""Airflow as on MWAA, with a home of its own; a stub of Glue and S3 where AWS would be."""

from __future__ import annotations

import os
import shutil
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
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database is made."""
    home = tmp_path_factory.mktemp("airflow")
    made = local(home, {}, "prepare")
    assert made.returncode == 0, made.stderr
    return home


@pytest.fixture
def airflow_home(prepared_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own, in which nothing has run."""
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copyfile(prepared_home / "airflow.db", home / "airflow.db")
    return home


def local(home: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """``orchestration/local.py`` as the demo calls it."""
    return script(home, env, [str(ROOT / "orchestration" / "local.py")], *arguments)


def answered(
    home: Path, env: dict[str, str], answer: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """The same, with a person who gives an answer to whatever is asked."""
    return script(home, env, [str(Path(__file__).with_name("answered.py")), answer], *arguments)


def script(
    home: Path, env: dict[str, str], command: list[str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, as Airflow reads its settings but once."""
    return subprocess.run(
        [sys.executable, *command, f"--home={home}", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
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
