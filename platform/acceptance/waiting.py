"""Waiting for what AWS does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from acceptance.steps import AcceptanceError

T = TypeVar("T")


def wait_until(
    ask: Callable[[], T | None], seconds: float, otherwise: Callable[[], str], every: float = 0.5
) -> T:
    """The first truthy answer; AcceptanceError with ``otherwise`` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AcceptanceError(f"{otherwise()}; waited {seconds:.0f} s")
        time.sleep(every)
    return answer
