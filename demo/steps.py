"""Says what the demo is doing, step by step, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Took(NamedTuple):
    """A step that is done."""

    title: str
    seconds: float
    result: str


class Step:
    """The step under way: ``say`` what it is at, and set the ``result`` that stays in view."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.result = ""


class Steps:
    """The steps of a run in order, shown on a console while they happen."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.done: list[Took] = []
        self._clock = clock

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step until its end; one that raises is marked and the error goes on."""
        start = self._clock()
        if self.console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                task = progress.add_task(title)
                step = Step(lambda text: progress.update(task, description=f"{title}: {text}"))
                yield from self._watched(step, title, start)
        else:
            # A log has no line that changes, so each news is a line.
            self.console.print(f"  {title} ...", highlight=False)
            step = Step(lambda text: self.console.print(f"      {text}", highlight=False))
            yield from self._watched(step, title, start)

    def _watched(self, step: Step, title: str, start: float) -> Iterator[Step]:
        try:
            yield step
        except BaseException:
            self._show("[red]✗[/]", title, self._clock() - start, "")
            raise
        took = Took(title, self._clock() - start, step.result)
        self.done.append(took)
        self._show("[green]✓[/]", *took)

    def _show(self, mark: str, title: str, seconds: float, result: str) -> None:
        self.console.print(f"{mark} {title} [dim]{seconds:.1f} s[/]", highlight=False)
        if result:
            self.console.print(f"    {result}", highlight=False)
