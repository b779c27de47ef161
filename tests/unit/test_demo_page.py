from __future__ import annotations

import datetime as dt
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from demo import page as pages
from demo import summary
from demo.charts import charts
from demo.facts import BronzeCount, DemoFacts
from demo.reconcile import Figure
from demo.steps import Took
from lakehouse.naming import Layer
from lakehouse.promotion.progress import SetAside
from lakehouse.promotion.verdict import Check, Outcome, Verdict

GOLD = {
    "route_punctuality": pd.DataFrame(
        {
            "flight_date": [dt.date(2013, 1, 1), dt.date(2013, 1, 1), dt.date(2013, 3, 8)],
            "origin": ["EWR", "JFK", "EWR"],
            "flights": [6, 4, 10],
            "arrived_on_time": [5, 4, 1],
        }
    ),
    "carrier_on_time": pd.DataFrame(
        {
            "name": ["Frontier Airlines Inc.", "Frontier Airlines Inc.", "<b>Envoy</b>"],
            "flights": [5, 5, 8],
            "arrived_on_time": [5, 4, 1],
        }
    ),
    "delay_by_weather": pd.DataFrame(
        {
            "origin": ["EWR", "EWR", "JFK"],
            "conditions": ["clear", "rain", "not observed"],
            "flights": [5, 10, 5],
            "cancelled": [1, 0, 5],
            "mean_dep_delay": [4.0, 30.0, None],
        }
    ),
}
FIGURES = [
    Figure("flights acknowledged by the stream", 1234, 1234),
    Figure("bronze.flights: good", 1201, 1201),
    Figure("bronze.flights: rejected, enum", 33, 33),
    Figure("silver.flights", 1151, 1151),
    Figure("gold.carrier_on_time", 47, 47),
    Figure("gold.carrier_on_time: rows by PyIceberg", 48, 48),
]


def verdict(
    dataset: str, layer: Layer, outcome: Outcome, name: str = "has rows", load: int = 0
) -> Verdict:
    return Verdict(
        dataset=dataset,
        layer=layer,
        snapshot_id=77 + load,
        base_snapshot_id=None,
        run_id="jr_1",
        loads=(load,) if layer == "silver" else (),
        inputs={} if layer == "silver" else {"silver.planes": 1, "silver.flights": 2},
        contract_version="1.0.0",
        checked_at=f"2026-01-02T03:04:0{load}+00:00",
        passed=outcome == "pass",
        reason="all checks passed" if outcome == "pass" else f"{name} is 1993",
        checks=(
            Check(
                name=name,
                type="failed_rows",
                column=None,
                outcome=outcome,
                value=1993.0,
                threshold="must be 0",
            ),
        ),
    )


def facts(figures: list[Figure] = FIGURES, why: str = "dew point above temperature") -> DemoFacts:
    return DemoFacts(
        months=(1, 2, 3),
        seed=99,
        flights=1160,
        acknowledged=1234,
        sent_by_kind={"flight": 1150, "repeat": 51, "rule": 33},
        bronze={
            "flights": BronzeCount({0: 1000, 1: 201}, {"enum": 33}),
            "weather": BronzeCount({0: 70, 1: 300}, {"range": 2}),
        },
        silver={"flights": 1151, "weather": 295},
        set_aside={"weather": [SetAside(0, why, "dataset=weather/77.json", "2026-01-02T03:04:00")]},
        verdicts={
            "flights": [verdict("flights", "silver", "pass")],
            "weather": [
                verdict("weather", "silver", "fail", why),
                verdict("weather", "silver", "pass", load=1),
            ],
            "carrier_on_time": [verdict("carrier_on_time", "gold", "pass")],
        },
        gold=GOLD,
        figures=figures,
        steps=[Took("Build the marts", 61.5, "")],
        home=".lakehouse/demo",
    )


def rendered(folder: Path, found: DemoFacts) -> str:
    path = folder / "report.html"
    pages.render(found, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rendered(tmp_path_factory.mktemp("page"), facts())


def text(page: str) -> str:
    """What a reader sees: no tags, styles or scripts."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))


class Loads(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.found += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]


def test_the_page_shows_every_figure_of_both_sides(page: str) -> None:
    shown = text(page)
    assert "All 6 figures equal those of pandas" in shown
    for said in (
        "flights acknowledged by the stream 1,234 1,234 =",
        "good 1,201 1,201 =",
        "rejected, enum 33 33 =",
        "flights 1,151 1,151 =",
        "carrier_on_time 47 47 =",
        "carrier_on_time: rows by PyIceberg 48 48 =",
    ):
        assert said in shown
    assert "≠" not in shown


def test_the_flow_adds_up(page: str) -> None:
    shown = text(page)
    assert "1,234 sent in time 1,150 sent once more 51 against a rule 33" in shown
    assert "1,201 good + 33 rejected enum not an allowed value 33" in shown
    assert "good deliveries 1,201 duplicates removed \N{MINUS SIGN} 50" in shown
    assert "only sent broken 9" in shown
    assert "weather 370 2" in shown
    assert "weather 295 70" in shown
    assert "Set aside: load 0 of weather dew point above temperature" in shown
    assert "from flights, planes" in shown


def test_a_load_that_was_set_aside_is_no_duplicate() -> None:
    assert facts().left_out("weather") == 70
    assert facts().duplicates("weather") == 5
    assert facts().left_out("flights") == 0


def test_every_check_is_shown_and_the_gate_that_turned_a_load_away_comes_first(page: str) -> None:
    shown = text(page)
    assert "1 of 2 turned away" in shown
    assert "dew point above temperature failed rows 1,993 must be 0 fail" in shown
    assert shown.count("failed rows 1,993 must be 0 pass") == 3
    names = [gate.name for gate in pages.gates(facts())]
    assert names == ["silver.weather", "silver.flights", "gold.carrier_on_time"]


def test_the_page_says_how_long_it_took_and_how_to_go_on(page: str) -> None:
    shown = text(page)
    assert "Build the marts 61.5 s" in shown
    assert "1:01 minutes" in shown
    assert "January to March 2013" in shown
    assert "export LAKEHOUSE_HOME=.lakehouse/demo" in shown


def test_the_page_loads_nothing_and_carries_the_library_of_its_charts_once(page: str) -> None:
    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert loads.scripts == 1 + len(GOLD)
    assert page.count("plotly.js v") == 1
    style = re.findall(r"<style>.*?</style>", page, flags=re.DOTALL)
    assert not re.search(r"@import|url\(", "".join(style))


def test_a_mismatch_shows_with_both_sides_and_the_rows(tmp_path: Path) -> None:
    differs = Figure("silver.weather", 295, 296, ("absent: origin EWR",))
    shown = text(rendered(tmp_path, facts([*FIGURES, differs])))
    assert "1 of 7 figures differ from pandas" in shown
    assert "silver.weather absent: origin EWR 295 296" in shown
    assert " weather absent: origin EWR 295 296 ≠" in shown
    assert "All 7" not in shown


def test_what_comes_from_data_is_text_never_markup(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    shown = rendered(tmp_path, facts([Figure("bronze.x: good", attack, 1, (attack,))], attack))
    assert attack not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert "<b>Envoy</b>" not in shown


def test_the_charts_say_what_they_show() -> None:
    by_day, by_carrier, by_weather = charts(GOLD)
    assert by_day.words.startswith("50% of all scheduled flights; worst on 8 March (10%), best on")
    assert "Frontier Airlines, had 10 and 90% of them" in by_carrier.words
    assert by_weather.words == "30 minutes with rain, 4 with clear."


def test_an_empty_mart_has_no_chart() -> None:
    assert len(charts({**GOLD, "carrier_on_time": GOLD["carrier_on_time"].iloc[:0]})) == 2


def test_months_are_named() -> None:
    assert pages.period((1,)) == "January 2013"
    assert pages.period(range(1, 13)) == "January to December 2013"


def summarised(found: DemoFacts) -> str:
    out = Console(file=io.StringIO(), width=200)
    summary.show(out, found, Path("report.html"))
    assert isinstance(out.file, io.StringIO)
    return " ".join(out.file.getvalue().split())


def test_the_summary_says_the_same() -> None:
    said = summarised(facts())
    assert "sent 1,234" in said
    assert "= good 1,201 in bronze + rejected 33 in bronze: enum 33 - duplicates 50" in said
    assert "= silver 1,151" in said
    assert "set aside load 0 of weather, 70 rows: dew point above temperature" in said
    assert "All 6 figures equal those of pandas. Page report.html" in said


def test_the_summary_shows_a_mismatch_and_takes_no_markup_from_data() -> None:
    differs = Figure("gold.x", "[red]", 2, ("absent: [link=x]",))
    said = summarised(facts([differs], why="[/] broke"))
    assert "differs gold.x: [red] here, 2 in pandas absent: [link=x]" in said
    assert "[/] broke" in said
    assert "All 1" not in said
