"""The pages as text: every figure is there, nothing is blank, nothing runs."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import lakehouse
from lakehouse.contracts.model import Contract, Contracts, Gate
from lakehouse.promotion.progress import Approval, Touched
from lakehouse.promotion.verdict import LoadCounts, Sample, Verdict
from lakehouse.reporting import render, words
from lakehouse.reporting.history import History, judged
from tests.support.verdicts import (
    ATTACK,
    drift_check,
    gold,
    range_check,
    rows_check,
    sample,
    silver,
)


@pytest.fixture
def contract(contracts: Contracts) -> Contract:
    return msgspec.structs.replace(contracts["flights"], gate=Gate(on_fail="hold"))


def history(contract: Contract | None, *verdicts: Verdict, total: int = 0) -> History:
    return History(
        dataset=verdicts[0].dataset,
        runs=judged(verdicts, {}, contract),
        total=total or len(verdicts),
    )


def last_page(found: History) -> str:
    return render.run_page(found, found.runs[-1])


def text(page: str) -> str:
    body = re.sub(r"<(style|title)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))


def test_a_check_is_shown_with_its_change_against_the_last_value(contract: Contract) -> None:
    shown = text(
        last_page(
            history(
                contract,
                silver(1, drift_check(10.0, 9, 11, "pass"), rows_check(5)),
                silver(2, drift_check(None, 9, 11, "not_evaluated"), rows_check(5)),
                silver(3, drift_check(9.25, 9.5, 10.5, "fail"), rows_check(5), range_check(0)),
            )
        )
    )
    said = "mean of delay against published aggregate of delay fail 9.25 >= 9.5 and <= 10.5"
    assert f"{said} \N{MINUS SIGN}0.75" in shown
    assert "has rows row count, whole table pass 5 > 0 none" in shown
    assert "failed rows of delay pass 0 must be 0 first time" in shown


def test_counts_add_up_over_loads(contract: Contract) -> None:
    counts = (LoadCounts(1, 1200, {"range": 3}), LoadCounts(2, 34, {"range": 1, "type": 2}))
    shown = text(last_page(history(contract, silver(2, loads=(1, 2), counts=counts))))
    assert "load good rejected range type 1 1,200 3 3 0 2 34 3 1 2 all 1,234 6 4 2" in shown
    assert "1,234 good deliveries 6 rejected deliveries" in shown


def test_a_sample_leads_to_its_delivery(contract: Contract) -> None:
    row = Sample({"id": "1", "name": None, "note": ""}, 7, "weather/o'hare.csv", "v$1", 12)
    page = last_page(history(contract, silver(1, range_check(1, row))))
    assert "null empty text" in text(page)
    (command,) = re.findall(r"<pre>(lakehouse sql .*?)</pre>", page)
    words = shlex.split(html.unescape(command))
    assert words[:2] == ["lakehouse", "sql"]
    assert words[2] == (
        "SELECT * FROM bronze.flights WHERE _load = 7 AND _source = 'weather/o''hare.csv' "
        "AND _sequence = 'v$1' AND _index = 12"
    )


def test_a_sample_of_a_mart_has_no_delivery(contracts: Contracts) -> None:
    mart = contracts["carrier_on_time"]
    page = last_page(history(mart, gold(1, range_check(1, Sample({"id": "1"})))))
    shown = text(page)
    assert "no delivery of its own" in shown
    assert "made from silver.airlines, silver.flights, checked" in shown
    assert "snapshot 78" in shown
    assert "FROM silver.flights FOR VERSION AS OF 78" in shown
    assert "loads approve carrier_on_time" in shown
    assert "set-aside" not in shown


def test_each_status_says_what_there_is_to_do(contract: Contract) -> None:
    held = history(contract, silver(1, range_check(2)))
    assert f"lakehouse loads approve flights {silver(1).snapshot_id}" in text(last_page(held))
    aside = history(contract, silver(1, range_check(2)), silver(2))
    assert "loads take-in flights 1" in text(
        render.run_page(aside.until(silver(1).snapshot_id), aside.runs[0])
    )
    halves = history(contract, silver(1, range_check(2), loads=(1, 2)))
    assert "tried again in halves" in text(last_page(halves))
    broken = history(contract, silver(1, checks=(), passed=False, reason="error: no column"))
    assert "could not be carried out" in text(last_page(broken))
    assert "No check gave a result" in text(last_page(broken))
    word = Approval("flights", silver(1).snapshot_id, "ada", "known", "2026-01-03T10:11:12+00:00")
    runs = judged([silver(1, range_check(2))], {word.snapshot_id: word}, contract)
    approved = text(last_page(History(dataset="flights", runs=runs, total=1)))
    assert "approved by ada 2026-01-03 10:11:12 UTC: “known”" in approved


def test_what_is_missing_is_said(contract: Contract) -> None:
    bare = silver(
        0, rows_check(1), code="", counts=(), touched=None, scope="", loads=(0,), reason=""
    )
    shown = text(last_page(history(contract, bare)))
    for said in (
        "release not recorded",
        "Counts were not recorded",
        "an empty table",
        "any part of the table",
        "There is no earlier run",
        "Every check looked at the whole candidate",
    ):
        assert said in shown
    nowhere = silver(1, rows_check(1), touched=Touched("at", ()))
    assert "rows changed in no day" in text(last_page(history(contract, nowhere)))


def test_nothing_that_comes_from_data_is_markup(contract: Contract) -> None:
    quoted = "\"'><img src=x onerror=alert(1)>"
    check = msgspec.structs.replace(
        range_check(2, sample(1, **{quoted: ATTACK, ATTACK: quoted})),
        name=quoted, type=ATTACK, column=quoted, threshold=ATTACK,
    )  # fmt: skip
    row = Sample({"id": ATTACK}, 1, ATTACK, quoted, 0)
    verdict = silver(
        1, check, range_check(1, row), reason=quoted, run_id=ATTACK, code=quoted, scope=ATTACK,
        contract_version=quoted, touched=Touched(ATTACK, ((quoted, ATTACK),)),
        counts=(LoadCounts(1, 1, {ATTACK: 1}),),
    )  # fmt: skip
    word = Approval("flights", verdict.snapshot_id, ATTACK, quoted, ATTACK)
    for approvals in ({}, {verdict.snapshot_id: word}):
        runs = judged([verdict], approvals, contract)
        found = History(dataset="flights", runs=runs, total=1)
        pages = (
            last_page(found),
            render.dataset_page(found),
            render.overview_page([found], [ATTACK]),
        )
        for page in pages:
            assert "<script" not in page
            assert "<img" not in page
            assert not re.search(r"<[^>]*\sonerror", re.sub(r'"[^"]*"', '""', page))
        assert "&lt;script&gt;" in pages[0]


def test_pages_load_nothing(contract: Contract) -> None:
    found = history(contract, silver(1), silver(2, range_check(1, sample(1))))
    pages = [last_page(found), render.dataset_page(found), render.overview_page([found])]
    for page in pages:
        assert re.findall(r"\b(?:src|srcset)=", page) == []
        assert "http://" not in page
        assert "https://" not in page
        style = "".join(re.findall(r"<style>.*?</style>", page, flags=re.DOTALL))
        assert not re.search(r"@import|url\(", style)
        assert "default-src 'none'" in page
    assert set(re.findall(r'href="([^"]*)"', pages[1])) == {
        f"{silver(n).snapshot_id}.html" for n in (1, 2)
    }


def test_the_index_of_a_dataset_counts_its_runs(contract: Contract) -> None:
    found = history(contract, silver(1), silver(2), silver(3, range_check(1)), total=234)
    shown = text(render.dataset_page(found, overview="../index.html"))
    assert "The newest 3 of 234 runs of its gate, the last 2026-01-02 06:04:05 UTC" in shown
    assert "3 runs shown 2 let through 0 set aside 1 failed or held" in shown
    assert "has rows row count, whole table not in the last run" in shown
    assert "These runs dealt with 3 loads" in shown


def test_a_load_that_was_tried_twice_counts_once() -> None:
    whole = silver(
        1,
        range_check(1),
        loads=(1, 2),
        counts=(LoadCounts(1, 5, {"type": 1}), LoadCounts(2, 7, {})),
    )
    half = silver(2, loads=(1,), counts=(LoadCounts(1, 5, {"type": 1}),))
    counts = render.load_counts(judged([whole, half], {}, None))
    assert render.totals(counts) == render.Totals(12, {"type": 1})


def test_the_overview_begins_with_what_waits_for_a_person(
    contract: Contract, contracts: Contracts
) -> None:
    page = render.overview_page(
        [
            history(contracts["carrier_on_time"], gold(1)),
            history(contract, silver(1, range_check(1))),
        ],
        ["planes"],
    )
    assert re.findall(r'data-dataset="(\w+)"', page) == ["flights", "carrier_on_time"]
    assert "planes: nothing has been promoted yet" in text(page)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "nothing"), (0.0, "0"), (1993.0, "1,993"), (0.1 + 0.2, "0.3"),
        (-1234.5, "\N{MINUS SIGN}1,234.5"), (1e300, "1e+300"), (12, "12"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, said: str) -> None:
    assert words.number(value) == said


def test_neighbouring_loads_are_ranges() -> None:
    assert words.ranges([3, 0, 1, 2, 7, 9, 10]) == "0 to 3, 7, 9 to 10"
    assert words.ranges([]) == ""


def test_pages_are_rendered_from_the_zip_that_ships(tmp_path: Path) -> None:
    package = Path(lakehouse.__file__).parent
    archive = tmp_path / "library.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                made.write(path, path.relative_to(package.parent))
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import msgspec; "
        "from lakehouse.promotion.verdict import Verdict; "
        "from lakehouse.reporting import render; "
        "from lakehouse.reporting.history import History, judged; "
        "v = msgspec.json.decode(sys.stdin.buffer.read(), type=Verdict); "
        "h = History(dataset=v.dataset, runs=judged([v], {}, None), total=1); "
        "print(json.dumps([render.__file__, render.run_page(h, h.runs[0])]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(archive)],
        input=msgspec.json.encode(silver(1)),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    place, page = json.loads(ran.stdout)
    assert place.startswith(str(archive))
    assert "silver.flights" in text(page)
