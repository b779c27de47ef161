"""What ``lakehouse lineage`` and ``lakehouse trace`` answer when they are asked wrongly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lakehouse.cli import app as cli

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lineage", "gold.carrier_on_time"], "no estate: none runs in"),
        (["trace", "silver.nothing", "x"], "unknown dataset 'nothing'"),
        (["trace", "carrier_on_time", "x"], "expected stream or files or pull"),
        (["trace", "silver.flights"], "expected the values of event_id, or --where column=value"),
        (["trace", "flights", "x", "--where", "flight=1"], "got both"),
        (["trace", "flights", "x", "y"], "got 2 values, expected those of event_id"),
        (["trace", "flights", "x", "--loads", "9-3"], "expected a load such as 7"),
        (["trace", "flights", "x", "--loads", "all"], "expected a load such as 7"),
        (["trace", "flights", "--where", "flight=one"], "flight: 'one' is no integer"),
        (["trace", "flights", "--where", "flight"], "expected column=value with one of"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    says: str,
) -> None:
    for name in ("AWS_ENDPOINT_URL", "LAKEHOUSE_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(ROOT / "quality" / "contracts"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["lakehouse", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert says in said.err
    assert len(said.err.splitlines()) == 1
