"""The commands of the README do what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_paths_in_the_readme_and_the_docs_exist() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
        missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
        assert not missing, page.name


@pytest.mark.timeout(400)
def test_a_dataset_of_ones_own(tmp_path: Path) -> None:
    found = re.search(r"<!-- example -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert found
    shutil.copytree(ROOT / "quality", tmp_path / "quality")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LAKEHOUSE_"))}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    try:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", found[1]],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        subprocess.run(["lakehouse", "local", "down"], cwd=tmp_path, env=env, check=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "EWR      1928-10-01" in ran.stdout
    assert "JFK      1948-07-01" in ran.stdout
    assert "LGA" not in ran.stdout
    assert "Invalid RFC3339 encoded date - at `$.opened`" in ran.stdout
