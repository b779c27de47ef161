"""Where pages go: a folder on this machine, or beside the verdicts.

In the bucket of verdicts a dataset's pages are ``reports/<dataset>/index.html`` and
``reports/<dataset>/<snapshot>.html``; ``pages.json`` there says what each page shows, so that only
what is new or has changed is written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import NAME, Contract
from lakehouse.reporting.history import History, Run, read_history
from lakehouse.reporting.render import dataset_page, overview_page, run_page
from lakehouse.store import S3Store


def datasets_with_verdicts(aws: Aws) -> list[str]:
    """The datasets that the bucket has verdicts on, whether or not they have a contract."""
    pages = (
        aws.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=aws.bucket("verdicts"), Prefix="dataset=", Delimiter="/")
    )
    folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
    names = [str(folder).removeprefix("dataset=").rstrip("/") for folder in folders]
    return [name for name in names if NAME.fullmatch(name)]


def read_histories(
    aws: Aws, contracts: Mapping[str, Contract], names: Iterable[str]
) -> list[History]:
    """The newest runs of each of these datasets that has any."""
    # Contracts themselves refuse a name that they do not know; verdicts may outlive a contract.
    known = dict(contracts)
    found = [read_history(aws, name, known.get(name)) for name in names]
    return [history for history in found if history.runs]


def write_dataset(folder: Path, history: History, *, overview: str | None = None) -> Path:
    """Write ``<dataset>/index.html`` and a page a run below a folder; the index."""
    own = folder / history.dataset
    own.mkdir(parents=True, exist_ok=True)
    for run in history.runs:
        _write(own / f"{run.verdict.snapshot_id}.html", _run_page(history, run))
    return _write(own / "index.html", dataset_page(history, overview=overview))


def write_all(folder: Path, histories: Sequence[History], silent: Iterable[str]) -> Path:
    """Write the pages of all datasets and ``index.html`` over them; the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    for history in histories:
        write_dataset(folder, history, overview="../index.html")
    return _write(folder / "index.html", overview_page(histories, silent))


def publish_reports(aws: Aws, contract: Contract) -> list[str]:
    """Bring a dataset's pages in the bucket of verdicts up to date; the keys that were written.

    To be called after a promotion. Reads the newest verdicts, and writes the index, the pages of
    new runs and of those whose candidate meanwhile had another fate.
    """
    history = read_history(aws, contract.dataset, contract)
    if not history.runs:
        return []
    folder = f"reports/{contract.dataset}"
    body = S3Store(aws.client("s3"), aws.bucket("verdicts"), "").get(f"{folder}/pages.json")
    shown = msgspec.json.decode(body, type=dict[str, str]) if body is not None else {}
    wanted = {str(run.verdict.snapshot_id): _fate(run) for run in history.runs}
    changed = [
        run
        for run in history.runs
        if shown.get(str(run.verdict.snapshot_id)) != wanted[str(run.verdict.snapshot_id)]
    ]
    pages = {f"{run.verdict.snapshot_id}.html": _run_page(history, run) for run in changed}
    keys = [
        _put(aws, f"{folder}/{name}", page, "text/html; charset=utf-8")
        for name, page in {**pages, "index.html": dataset_page(history)}.items()
    ]
    # Last, so that a run that was broken off writes its pages again.
    _put(aws, f"{folder}/pages.json", msgspec.json.encode(wanted).decode(), "application/json")
    return keys


def _fate(run: Run) -> str:
    return f"{run.status} {run.let_in_by or ''}".strip()


def _run_page(history: History, run: Run) -> str:
    return run_page(history.until(run.verdict.snapshot_id), run)


def _write(path: Path, page: str) -> Path:
    path.write_text(page, encoding="utf-8")
    return path


def _put(aws: Aws, key: str, body: str, kind: str) -> str:
    aws.client("s3").put_object(
        Bucket=aws.bucket("verdicts"), Key=key, Body=body.encode(), ContentType=kind
    )
    return key
