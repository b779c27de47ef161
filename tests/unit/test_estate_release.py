from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from estate.compute.release import ROOT, library_zip, make_release
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError

CONTRACTS = ROOT / "quality" / "contracts"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contracts, free to be changed, with the SELECTs of their marts beside them."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    shutil.copytree(ROOT / "jobs" / "marts", folder / "marts")
    return folder


def test_the_library_is_the_same_bytes_wherever_and_whenever_it_is_packed(tmp_path: Path) -> None:
    package = tmp_path / "lakehouse"
    shutil.copytree(ROOT / "jobs" / "lakehouse", package)
    for path in package.rglob("*.py"):
        path.touch()
    cache = package / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "stale.pyc").write_bytes(b"stale")

    assert library_zip(package) == library_zip(ROOT / "jobs" / "lakehouse")


def test_the_library_can_be_imported_from_its_zip(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    archive.write_bytes(library_zip(ROOT / "jobs" / "lakehouse"))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r});"
        "import lakehouse.contracts.odcs; print(lakehouse.contracts.odcs.__file__)"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert found.stdout.startswith(str(archive))


def test_contracts_and_their_marts_lie_in_one_folder() -> None:
    release = make_release(load_contracts(CONTRACTS), None)

    names = {key.removeprefix(release.contracts) for key in release.content}
    assert {"flights.yaml", "marts/carrier_on_time.sql"} <= names
    assert re.fullmatch(r"contracts/[0-9a-f]{16}/", release.contracts)


def test_a_changed_contract_changes_the_contracts_and_nothing_else(copy: Path) -> None:
    before = make_release(load_contracts(copy), None)
    path = copy / "flights.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    after = make_release(load_contracts(copy), None)

    assert after.contracts != before.contracts
    assert (after.library, after.scripts) == (before.library, before.scripts)


def test_a_changed_select_changes_the_contracts_folder(copy: Path) -> None:
    before = make_release(load_contracts(copy), None)
    (copy / "marts" / "carrier_on_time.sql").write_text("SELECT 1", encoding="utf-8")

    assert make_release(load_contracts(copy), None).contracts != before.contracts


def test_a_mart_without_select_is_refused(copy: Path) -> None:
    (copy / "marts" / "carrier_on_time.sql").unlink()

    with pytest.raises(EstateError, match=r"cannot read .*carrier_on_time\.sql"):
        make_release(load_contracts(copy), None)


def test_the_jobs_requirements_are_complete_and_those_that_are_tested() -> None:
    lines = (ROOT / "jobs" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    lock = (ROOT / "locks" / "lake.txt").read_text(encoding="utf-8")
    tested = set(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, flags=re.MULTILINE))

    assert set(pins.items()) <= tested
    assert {"boto3", "msgspec", "pyiceberg", "soda-core", "structlog"} <= set(pins)
    assert "pyspark" not in pins
