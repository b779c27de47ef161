from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import __main__ as demo
from demo.reconcile import Figure
from lakehouse.errors import EstateError, LakehouseError


def test_a_second_demo_at_the_same_time_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with (
        demo.alone(home),
        pytest.raises(EstateError, match="a demo is running in"),
        demo.alone(home),
    ):
        pass


def test_a_demo_finds_its_home_empty_and_the_next_one_too(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    for _ in range(2):
        with demo.alone(home):
            assert not home.exists()
            home.mkdir()
            (home / "report.html").touch()


def test_an_estate_that_was_kept_is_not_wiped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.local, "find", lambda _: "an estate")
    home = tmp_path / "demo"
    home.mkdir()
    with pytest.raises(EstateError, match=r"lakehouse --home .* local down"), demo.alone(home):
        pass
    assert home.exists()


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_second_interruption_does_not_stop_the_cleaning_up() -> None:
    with pytest.raises(KeyboardInterrupt):
        demo.interrupt(signal.SIGTERM, None)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(("counted", "code"), [(3, None), (4, "disagree on: silver.flights")])
def test_a_figure_that_differs_makes_the_demo_fail(
    counted: int, code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [Figure("gold.x", 1, 1), Figure("silver.flights", counted, 3)]
    facts = SimpleNamespace(wrong=[figure for figure in figures if not figure.equal])
    shown: list[object] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "_run", lambda *_: facts)
    monkeypatch.setattr(demo, "render", lambda found, _: shown.append(found))
    monkeypatch.setattr(demo, "show", lambda *_: None)
    if code is None:
        demo.demo()
    else:
        with pytest.raises(LakehouseError, match=code):
            demo.demo()
    assert shown == [facts]
