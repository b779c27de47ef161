"""The pages beside the verdicts, as a promotion leaves them and as a browser shows them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts, Gate
from lakehouse.errors import GateError
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import (
    LoadCounts,
    Verdict,
    put_approval,
    put_verdict,
    read_verdict,
    read_verdicts,
)
from lakehouse.reporting import history as histories
from lakehouse.reporting.history import read_history
from lakehouse.reporting.pages import (
    datasets_with_verdicts,
    publish_reports,
    read_histories,
    write_all,
)
from tests.support.chromium import Chromium, chromium, needs_chromium
from tests.support.verdicts import (
    ATTACK,
    drift_check,
    gold,
    range_check,
    rows_check,
    sample,
    silver,
)

BAD = silver(
    7,
    rows_check(123_456.0),
    range_check(
        2,
        sample(7, carrier="UA", note=None, passenger="•••", remark=ATTACK),
        sample(6, carrier="a" * 300, note="", passenger="•••", remark='it\'s "$HOME"'),
    ),
    drift_check(10.123456789, 9.5, 10.5, "warn"),
    counts=(LoadCounts(7, 90_210, {"range": 61, "type": 4}), LoadCounts(8, 17, {"missing": 3})),
    reason=f"failed_rows {ATTACK}",
    rows=123_456,
)

_numbers = itertools.count(1)


@pytest.fixture
def contract(contracts: Contracts) -> Contract:
    """A dataset of this test's own, which holds what fails."""
    return msgspec.structs.replace(
        contracts["flights"], dataset=f"flights_{next(_numbers)}", gate=Gate(on_fail="hold")
    )


def put(aws: Aws, contract: Contract, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        put_verdict(aws, of(contract, verdict))


def of(contract: Contract, verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, dataset=contract.dataset)


def page(aws: Aws, key: str) -> str:
    answer = aws.client("s3").get_object(Bucket=aws.bucket("verdicts"), Key=key)
    assert answer["ContentType"].startswith("text/html")
    body: bytes = answer["Body"].read()
    return body.decode()


def test_a_promotion_writes_the_index_and_the_pages_of_its_own_runs(
    aws: Aws, contract: Contract
) -> None:
    folder = f"reports/{contract.dataset}"
    assert publish_reports(aws, contract) == []
    put(aws, contract, silver(1), silver(2))
    first, second = (f"{folder}/{silver(n).snapshot_id}.html" for n in (1, 2))
    assert set(publish_reports(aws, contract)) == {first, second, f"{folder}/index.html"}

    put(aws, contract, BAD)
    new = f"{folder}/{BAD.snapshot_id}.html"
    assert set(publish_reports(aws, contract)) == {new, f"{folder}/index.html"}
    assert 'data-status="held"' in page(aws, new)
    assert f'href="{BAD.snapshot_id}.html"' in page(aws, f"{folder}/index.html")
    assert publish_reports(aws, contract) == [f"{folder}/index.html"]


def test_a_page_follows_what_became_of_its_candidate(aws: Aws, contract: Contract) -> None:
    put(aws, contract, BAD)
    publish_reports(aws, contract)
    word = Approval(contract.dataset, BAD.snapshot_id, "ada", "known", "2026-01-03T00:00:00+00:00")
    put_approval(aws, word)
    key = f"reports/{contract.dataset}/{BAD.snapshot_id}.html"
    assert key in publish_reports(aws, contract)
    assert "approved by ada" in page(aws, key)


def test_however_long_the_history_only_the_newest_verdicts_are_read(
    aws: Aws, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "NEWEST", 3)
    read: list[int] = []

    def counting(aws: Aws, dataset: str, snapshot_id: int) -> Verdict | None:
        read.append(snapshot_id)
        return read_verdict(aws, dataset, snapshot_id)

    monkeypatch.setattr(histories, "read_verdict", counting)
    put(aws, contract, *(silver(n) for n in range(1, 8)))
    written = histories.written(aws, f"dataset={contract.dataset}")
    found = read_history(aws, contract.dataset, contract)
    assert found.total == 7
    assert sorted(read) == sorted(item.snapshot_id for item in written[-3:])

    read.clear()
    oldest = written[0].snapshot_id
    around = read_history(aws, contract.dataset, contract, oldest)
    assert set(read) == {item.snapshot_id for item in written[:4]}
    assert oldest in {run.verdict.snapshot_id for run in around.runs}


def test_all_datasets_have_one_index(
    aws: Aws, contracts: Contracts, contract: Contract, tmp_path: Path
) -> None:
    put(aws, contract, silver(1))
    put_verdict(aws, gold(1))
    names = datasets_with_verdicts(aws)
    assert {contract.dataset, "carrier_on_time"} <= set(names)
    index = write_all(tmp_path, read_histories(aws, contracts, names), ["planes"]).read_text()
    for name in names:
        assert f'href="{name}/index.html"' in index
        assert (tmp_path / name / "index.html").is_file()
    assert "planes: nothing has been promoted yet" in index


def test_a_verdict_that_cannot_be_read_is_named(aws: Aws, contract: Contract) -> None:
    put(aws, contract, silver(1))
    key = f"dataset={contract.dataset}/5.json"
    aws.client("s3").put_object(Bucket=aws.bucket("verdicts"), Key=key, Body=b'{"dataset": 1')
    with pytest.raises(GateError, match=f"{key}: .*; expected a verdict"):
        publish_reports(aws, contract)


class Figures(HTMLParser):
    """Values of a page: by id, by row of the table of checks, and by row of that of loads."""

    def __init__(self) -> None:
        super().__init__()
        self.by_id: dict[str, float] = {}
        self.checks: dict[tuple[str, str, str], float | None] = {}
        self.expected: dict[tuple[str, str, str], str] = {}
        self.loads: list[list[float]] = []
        self.scripts = 0
        self._id = ""
        self._check: tuple[str, str, str] | None = None
        self._table = ""
        self._cell = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.scripts += tag == "script"
        if tag == "table":
            self._table = given.get("id", "")
        if "data-name" in given:
            self._check = (given["data-type"], given["data-column"], given["data-name"])
            self.checks[self._check] = None
        elif tag == "tr":
            self._check = None
            if self._table == "loads":
                self.loads.append([])
        if tag == "td":
            self._cell = given.get("data-label", "")
        if tag == "b":
            self._id = given.get("id", "")
        if tag == "data":
            value = float(given["value"])
            if self._table == "loads":
                self.loads[-1].append(value)
            elif self._check is not None and self._cell == "value":
                self.checks[self._check] = value
            elif self._id:
                self.by_id[self._id] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table, self._check = "", None

    def handle_data(self, data: str) -> None:
        if self._check is not None and self._cell == "expected" and data.strip():
            self.expected[self._check] = self.expected.get(self._check, "") + data


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@needs_chromium
@pytest.mark.parametrize("screen", [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_of_a_run_shows_the_figures_of_its_verdict(
    aws: Aws, contract: Contract, browser: Chromium, tmp_path: Path, screen: tuple[int, str]
) -> None:
    put(aws, contract, *(silver(n, rows_check(n), range_check(0)) for n in (1, 2, 3)), BAD)
    publish_reports(aws, contract)
    file = tmp_path / "run.html"
    key = f"reports/{contract.dataset}/{BAD.snapshot_id}.html"
    file.write_text(page(aws, key), encoding="utf-8")

    shown = browser.show(file, *screen)

    (tmp_path / "run.png").write_bytes(shown.png)
    assert shown.png.startswith(b"\x89PNG")
    assert shown.width <= screen[0]
    assert shown.complaints == []
    assert shown.loaded == [file.as_uri()]
    verdict = read_verdicts(aws, contract.dataset)[-1]
    figures = Figures()
    figures.feed(shown.dom)
    assert figures.scripts == 0
    assert figures.by_id["rows"] == verdict.rows
    assert figures.by_id["rows-added"] == verdict.rows_added
    assert figures.by_id["checks-passed"] == sum(c.outcome == "pass" for c in verdict.checks)
    by_identity = {(c.type, c.column or "", c.name): c for c in verdict.checks}
    assert figures.checks == {key: check.value for key, check in by_identity.items()}
    assert figures.expected == {key: check.threshold for key, check in by_identity.items()}
    codes = re.findall(r'<th class="r">(\w+)</th>', shown.dom.partition('id="loads"')[2])[2:]
    assert codes == ["range", "type", "missing"]
    rows = [
        [c.good, sum(c.rejected.values()), *(c.rejected.get(code, 0) for code in codes)]
        for c in verdict.counts
    ]
    assert figures.loads[1:] == [*rows, [sum(column) for column in zip(*rows, strict=True)]]


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_indexes_fit_every_screen(
    aws: Aws, contract: Contract, browser: Chromium, tmp_path: Path, width: int
) -> None:
    late = msgspec.structs.replace(
        BAD, snapshot_id=5, loads=(30,), checked_at=silver(30).checked_at
    )
    put(aws, contract, *(silver(n, rows_check(n), range_check(0)) for n in range(1, 30)), late)
    found = read_histories(aws, {contract.dataset: contract}, [contract.dataset])
    index = write_all(tmp_path, found, ["planes"])
    for number, file in enumerate((index, tmp_path / contract.dataset / "index.html")):
        shown = browser.show(file, width)
        (tmp_path / f"{number}.png").write_bytes(shown.png)
        assert shown.width <= width
        assert shown.complaints == []
        assert shown.loaded == [file.as_uri()]
        assert "123,456" in shown.dom
