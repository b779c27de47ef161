"""The project's tasks: one job a session; ``nox -l`` lists them.

Environments are installed from the locks in ``locks/`` and shared between sessions: ``.nox/lake``
for Spark and the library, ``.nox/airflow`` for Airflow as MWAA has it, ``.nox/checkov`` for the
policy checks of the estate, ``.nox/checks`` for linters.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
SUPPORTED = ("3.11", "3.12", "3.13")
UV = (sys.executable, "-m", "uv")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job on real data on this machine and check every figure (-- --help)."""
    python = environment(session, "lake")
    airflow = environment(session, "airflow")
    session.run(
        str(python),
        "-m",
        "demo",
        "--airflow-python",
        str(airflow),
        *session.posargs,
        env=quiet(),
        external=True,
        # Seconds in which an interrupted demo brings its estate down.
        interrupt_timeout=60,
    )


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, or those that pytest is told of (-- tests/unit -k ledger)."""
    python = environment(session, "lake")
    airflow = environment(session, "airflow")
    env = quiet() | {
        "LAKEHOUSE_AIRFLOW_PYTHON": str(airflow),
        "LAKEHOUSE_CHECKOV_PYTHON": str(environment(session, "checkov")),
    }
    if not session.posargs:
        session.run(
            str(airflow), "-m", "pytest", "-c", "tests/airflow/pytest.ini", "tests/airflow",
            env=env, external=True,
        )  # fmt: skip
        # What needs neither Spark nor an emulator shares the cores; the rest takes them itself.
        session.run(
            str(python), "-m", "pytest", "tests/unit", "-n", "logical", "--dist", "loadfile",
            env=env, external=True,
        )  # fmt: skip
    paths = session.posargs or ["tests", "--ignore=tests/airflow", "--ignore=tests/unit"]
    session.run(str(python), "-m", "pytest", *paths, env=env, external=True)


@nox.session
def faults(session: nox.Session) -> None:
    """Inject faults into the streaming job, or into batch steps (-- [batch] --runs 200)."""
    python = environment(session, "lake")
    batch = session.posargs[:1] == ["batch"]
    session.run(
        str(python),
        "-m",
        "faults.batch.runner" if batch else "faults.runner",
        *session.posargs[1 if batch else 0 :],
        env=quiet() | {"PYTHONPATH": "tests"},
        external=True,
        # Seconds in which an interrupted run brings its estate down.
        interrupt_timeout=60,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure ingestion against what bounds it and against Spark's own way (-- --help)."""
    python = environment(session, "lake")
    session.run(
        str(python),
        "-m",
        "benchmarks",
        *session.posargs,
        env=quiet(),
        external=True,
        # Seconds in which an interrupted run ends what it has started.
        interrupt_timeout=30,
    )


@nox.session
def smoke(session: nox.Session) -> None:
    """Accept a stack on its account, or "local" on this machine, with evidence (-- <stack>)."""
    python = environment(session, "lake")
    session.run(
        str(python),
        "-m",
        "acceptance",
        *session.posargs,
        env=quiet(),
        external=True,
        # Seconds in which an interrupted run ends what AWS is at, and writes its evidence.
        interrupt_timeout=1800,
    )


@nox.session
def model(session: nox.Session) -> None:
    """Search the interleavings of the ingestion protocol for one that breaks it (-- --help)."""
    python = environment(session, "lake")
    env = quiet() | {"PYTHONPATH": "tests"}
    session.run(str(python), "-m", "model.nightly", *session.posargs, env=env, external=True)


@nox.session
def golden(session: nox.Session) -> None:
    """Write anew what follows from the estate: its renderings, the bill and the picture."""
    python = environment(session, "lake")
    env = quiet() | {"PYTHONPATH": "jobs:platform"}
    for module in ("localaws.golden", "review"):
        session.run(str(python), "-m", module, env=env, external=True)


@nox.session
def policy(session: nox.Session) -> None:
    """Check every resource of every stack against checkov's policies, or of some (-- prod)."""
    python = environment(session, "lake")
    env = quiet() | {
        "PYTHONPATH": "jobs:platform",
        "LAKEHOUSE_CHECKOV_PYTHON": str(environment(session, "checkov")),
    }
    session.run(str(python), "-m", "review.policy", *session.posargs, env=env, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff (-- --fix to mend)."""
    python = environment(session, "checks")
    session.run(str(python), "-m", "ruff", "check", *session.posargs, external=True)
    mend = [] if session.posargs else ["--check"]
    session.run(str(python), "-m", "ruff", "format", *mend, external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    python = environment(session, "checks")
    parts = ["jobs", "platform", "demo", "benchmarks", "orchestration/local.py"]
    session.run(str(python), "-m", "mypy", *parts, external=True)


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve the locks anew from pyproject.toml and the requirements of Airflow and checkov."""
    compile_ = (
        *UV, "pip", "compile", "--quiet", "--universal", "--python-version", SUPPORTED[0],
        "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url",
        *session.posargs,
    )  # fmt: skip
    project = ("--all-extras", "--group", "tests", "pyproject.toml")
    session.run(*compile_, *project, "-o", "locks/lake.txt", external=True)
    session.run(
        *compile_, *project, "--group", "checks", "-c", "locks/lake.txt", "-o", "locks/checks.txt",
        external=True,
    )  # fmt: skip
    # Glue builds the jobs' environment from these, beside the Spark that it has.
    session.run(
        *UV, "pip", "compile", "--quiet", "--python-version", "3.13",
        "--python-platform", "x86_64-manylinux_2_28", "--no-header", "--no-annotate",
        "--no-emit-index-url", "--no-emit-package", "pyspark", "--no-emit-package", "py4j",
        "--extra", "spark", "-c", "locks/lake.txt", "pyproject.toml",
        "-o", "jobs/requirements.txt", external=True,
    )  # fmt: skip
    # The day MWAA's image of Airflow 3.2.1 was resolved; later releases of fastapi break it.
    session.run(
        *compile_, "--no-config", "--exclude-newer", "2026-04-23", "orchestration/requirements.txt",
        "tests/airflow/requirements.txt", "-o", "locks/airflow.txt", external=True,
    )  # fmt: skip
    # It pins what the library has in other releases.
    session.run(
        *compile_, "--no-config", "tests/checkov/requirements.txt", "-o", "locks/checkov.txt",
        external=True,
    )  # fmt: skip


def environment(session: nox.Session, name: str) -> Path:
    """The Python of an environment, made from its lock where it is missing or out of date."""
    home = ROOT / ".nox" / name
    python = home / "bin" / "python"
    if not python.exists():
        session.log(f"making the environment {home.relative_to(ROOT)}")
        session.run(
            *UV, "venv", "--quiet", "--python", interpreter(session), str(home), external=True
        )
    # Without the project's own overrides: a lock is complete as it is.
    install = (
        *UV,
        "pip",
        "install",
        "--no-config",
        "--quiet",
        "--python",
        str(python),
        "--no-deps",
    )
    session.run(*install, "--require-hashes", "-r", f"locks/{name}.txt", external=True)
    if name not in {"airflow", "checkov"}:
        session.run(*install, "--editable", ".", external=True)
    return python


def interpreter(session: nox.Session) -> str:
    """A Python that Spark and Airflow run on: this one if it fits, else one that is installed."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" in SUPPORTED:
        return sys.executable
    for version in reversed(SUPPORTED):
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "-c", ""], check=False).returncode == 0:  # noqa: S603 - a Python from PATH
            return found
    return session.error(
        f"this is Python {sys.version.split()[0]}; Spark 4.1 and Airflow 3.2 run on "
        f"{', '.join(SUPPORTED)}: install one of these and run again"
    )


def quiet() -> dict[str, str]:
    """What keeps third parties from calling home."""
    return {"SODA_CORE_TELEMETRY_ENABLED": "false", "PYTHONUNBUFFERED": "1"}
