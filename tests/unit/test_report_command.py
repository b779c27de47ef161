"""``lakehouse report``, with verdicts that lie in memory."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import pytest

from lakehouse.cli import app as cli
from lakehouse.cli.context import Context
from lakehouse.contracts.model import Contract
from lakehouse.errors import InputError
from lakehouse.reporting import history, pages
from lakehouse.reporting.history import History, judged
from tests.support.verdicts import silver


class Deployment:
    """Stands in for a deployment that nothing but the history is asked of."""

    prefix = "lakehouse-test"


@pytest.fixture(autouse=True)
def estate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, History]:
    found: dict[str, History] = {}

    def read(
        _aws: object, dataset: str, _contract: Contract | None, snapshot_id: int | None = None
    ) -> History:
        known = found.get(dataset, History(dataset=dataset, runs=(), total=0))
        if snapshot_id not in {None, *(run.verdict.snapshot_id for run in known.runs)}:
            raise InputError(f"{dataset}: snapshot {snapshot_id} has no verdict")
        return known

    monkeypatch.setattr(Context, "aws", lambda _self: Deployment())
    monkeypatch.setattr(history, "read_history", read)
    monkeypatch.setattr(pages, "read_history", read)
    monkeypatch.setattr(pages, "datasets_with_verdicts", lambda _aws: sorted(found))
    monkeypatch.setenv(
        "LAKEHOUSE_CONTRACTS", str(Path(__file__).parents[2] / "quality" / "contracts")
    )
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return found


def answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["lakehouse", "report", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def flights() -> History:
    return History(dataset="flights", runs=judged([silver(1), silver(2)], {}, None), total=2)


def test_without_a_verdict_it_says_so_and_what_is_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said = answer(monkeypatch, capsys, "flights")
    assert (code, said) == (0, "no verdict on flights yet; next: lakehouse run promote flights\n")
    code, said = answer(monkeypatch, capsys, "carrier_on_time")
    assert "next: lakehouse run marts carrier_on_time" in said
    code, said = answer(monkeypatch, capsys)
    assert (code, said) == (0, "no verdict on any dataset yet; next: lakehouse run promote\n")
    assert list(tmp_path.iterdir()) == []


def test_the_pages_of_a_dataset_are_written_and_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    estate: dict[str, History],
) -> None:
    estate["flights"] = flights()
    code, said = answer(monkeypatch, capsys, "flights")
    assert code == 0
    folder = tmp_path / ".lakehouse" / "reports" / "flights"
    assert said.splitlines() == [
        ".lakehouse/reports/flights/index.html",
        "2 of 2 runs of flights; the last passed, 2026-01-02 05:04:05 UTC",
    ]
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        *(f"{silver(n).snapshot_id}.html" for n in (1, 2)),
    }
    assert "all datasets" not in (folder / "index.html").read_text()


def test_one_snapshot_is_named_and_opened(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    estate: dict[str, History],
) -> None:
    estate["flights"] = flights()
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    asked = ("flights", "--snapshot", str(silver(1).snapshot_id), "--output", "out", "--open")
    code, said = answer(monkeypatch, capsys, *asked)
    page = Path("out", "flights", f"{silver(1).snapshot_id}.html")
    assert code == 0
    assert said.splitlines()[0] == str(page)
    assert opened == [(tmp_path / page).as_uri()]


def test_all_datasets_have_an_index_in_front(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    estate: dict[str, History],
) -> None:
    estate["flights"] = flights()
    code, said = answer(monkeypatch, capsys, "--output", "out")
    assert (code, said.splitlines()) == (0, ["out/index.html", "out/flights/index.html"])
    index = Path("out", "index.html").read_text()
    assert "planes" in index.partition("Never checked")[2]
    assert 'href="../index.html"' in Path("out", "flights", "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere",), "unknown dataset 'nowhere'"),
        (("--snapshot", "5"), "--snapshot goes with a dataset"),
        (("flights", "--snapshot", "5"), "snapshot 5 has no verdict"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    code, said = answer(monkeypatch, capsys, *arguments)
    assert code == 1
    assert reason in said
    assert said.count("\n") == 1
