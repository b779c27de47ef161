"""What the jobs run and read, under keys made of its content, so that a release never changes.

Equal content has equal keys on every machine: the library's zip is sorted and carries no times.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakehouse.contracts.model import Contracts
from lakehouse.errors import EstateError

ROOT: Final = Path(__file__).resolve().parents[3]
"""The repository."""
SCRIPTS: Final[dict[str, str]] = {
    "ingest": "jobs/streaming/ingest.py",
    "land": "jobs/batch/land.py",
    "promote": "jobs/batch/promote.py",
    "marts": "jobs/batch/marts.py",
    "operate": "jobs/batch/operate.py",
    "maintain": "jobs/batch/maintain.py",
}
"""Entry point of each kind of job."""


@dataclass(frozen=True)
class Release:
    """Keys in the artifacts bucket, and the content of each."""

    name: str
    """Of the whole: another one where any of its content differs."""
    content: Mapping[str, bytes]
    contracts: str
    """Key prefix below which the contracts and ``marts/<mart>.sql`` lie; ends in a slash."""
    library: str
    scripts: Mapping[str, str]
    requirements: str | None


def make_release(contracts: Contracts, requirements: str | None) -> Release:
    """The release of the working tree with these contracts.

    ``requirements`` is a path in the repository. EstateError names a file that is missing.
    """
    files = {Path(c.path).name: _read(Path(c.path)) for c in contracts.values()} | {
        f"marts/{mart}.sql": sql for mart, sql in _marts(contracts).items()
    }
    named = [part for name in sorted(files) for part in (name.encode(), files[name])]
    folder = f"contracts/{_digest(*named)}/"
    content = {folder + name: body for name, body in files.items()}

    library = library_zip(ROOT / "jobs" / "lakehouse")
    library_key = f"code/lakehouse-{_digest(library)}.zip"
    content[library_key] = library

    scripts = {}
    for job, path in SCRIPTS.items():
        body = _read(ROOT / path)
        scripts[job] = f"code/{_digest(body)}/{job}.py"
        content[scripts[job]] = body

    requirements_key = None
    if requirements is not None:
        body = _read(ROOT / requirements)
        requirements_key = f"code/{_digest(body)}/requirements.txt"
        content[requirements_key] = body
    name = _digest(*(part for key in sorted(content) for part in (key.encode(), content[key])))
    return Release(name, content, folder, library_key, scripts, requirements_key)


def library_zip(package: Path) -> bytes:
    """The package as an importable zip, the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in package.rglob("*") if p.is_file()):
            if "__pycache__" in path.parts:
                continue
            name = path.relative_to(package.parent).as_posix()
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _marts(contracts: Contracts) -> dict[str, bytes]:
    """The SELECT of every mart: beside its contract, else in the repository."""
    found = {}
    for contract in contracts.select((), "mart"):
        beside = Path(contract.path).with_name("marts")
        folder = beside if beside.is_dir() else ROOT / "jobs" / "marts"
        found[contract.dataset] = _read(folder / f"{contract.dataset}.sql")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EstateError(
            f"cannot read {path} ({error.strerror}); the jobs need it: add it"
        ) from None


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()[:16]
