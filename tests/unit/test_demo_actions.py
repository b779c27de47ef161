from __future__ import annotations

from typing import Any

import pytest

from demo import actions
from lakehouse.errors import EstateError


class FakeRun:
    name, run_id = "lakehouse-local-ingest-main", "jr_1"

    def __init__(self, alive: int) -> None:
        self.alive = alive
        self.stopped = False

    def under_way(self) -> bool:
        self.alive -= 1
        return self.alive >= 0

    def answer(self) -> dict[str, str]:
        return {"ErrorMessage": "out of memory"}

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What bronze has at each question; the clock goes on by a minute at each pause."""
    counts: list[int] = []
    now = [0.0]
    monkeypatch.setattr(actions, "rows", lambda *_: counts.pop(0) if counts else 0)
    monkeypatch.setattr(actions.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(actions.time, "sleep", lambda _: now.__setitem__(0, now[0] + 60))
    return counts


def wait(wanted: int, alive: int = 100) -> list[str]:
    said: list[str] = []
    aws: Any = None
    run: Any = FakeRun(alive)
    actions.wait_for_rows(aws, "flights", wanted, run, said.append)
    return said


def test_each_change_in_bronze_is_said_until_all_is_there(counted: list[int]) -> None:
    counted += [0, 4, 4, 4, 7, 10]
    assert wait(10) == ["0 of 10 in bronze", "4 of 10 in bronze", "7 of 10 in bronze"]


def test_a_run_that_ended_is_not_waited_for(counted: list[int]) -> None:
    counted += [4, 4, 4]
    with pytest.raises(EstateError, match="ended with 4 of 10 deliveries in bronze: out of memory"):
        wait(10, alive=2)


def test_a_run_that_brings_nothing_more_is_not_waited_for_for_ever(counted: list[int]) -> None:
    counted += [4] * 100
    with pytest.raises(EstateError, match="got none for 180 s"):
        wait(10)


def test_more_deliveries_than_were_acknowledged_are_an_error(counted: list[int]) -> None:
    counted += [11]
    with pytest.raises(EstateError, match="only 10 were acknowledged"):
        wait(10)


@pytest.mark.usefixtures("counted")
def test_stopping_waits_for_the_end() -> None:
    run: Any = FakeRun(3)
    actions.stop(run)
    assert run.stopped
    assert run.alive == -1
