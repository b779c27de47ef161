from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from demo.steps import Steps, Took


def ticking() -> Iterator[float]:
    yield from (0.0, 2.5, 10.0, 11.0)


@pytest.fixture(params=[True, False], ids=["terminal", "log"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(file=io.StringIO(), force_terminal=request.param, color_system=None, width=200)


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_step_is_shown_with_its_time_and_result(console: Console) -> None:
    times = ticking()
    steps = Steps(console, lambda: next(times))
    with steps.step("Send") as step:
        step.say("half")
        step.result = "10 sent"
    assert "✓ Send 2.5 s" in shown(console)
    assert "10 sent" in shown(console)
    assert steps.done == [Took("Send", 2.5, "10 sent")]


def test_a_step_that_fails_is_marked_and_its_error_goes_on(console: Console) -> None:
    times = ticking()
    steps = Steps(console, lambda: next(times))
    with pytest.raises(ValueError, match="broken"), steps.step("Send"):
        raise ValueError("broken")
    assert "✗ Send" in shown(console)
    assert steps.done == []


def test_a_log_has_each_news_on_a_line_of_its_own() -> None:
    console = Console(file=io.StringIO(), width=200)
    with Steps(console).step("Send") as step:
        step.say("1 of 2")
        step.say("2 of 2")
    assert [line.strip() for line in shown(console).splitlines()][:3] == [
        "Send ...",
        "1 of 2",
        "2 of 2",
    ]
