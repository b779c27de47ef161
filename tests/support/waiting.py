"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], timeout: float = 60, every: float = 0.05) -> T:
    """The first truthy value of ``condition``; AssertionError after ``timeout`` seconds."""
    found = _last(condition, timeout, every)
    if not found:
        raise AssertionError(f"not within {timeout} s; the last answer was {found!r}")
    return found


def until(condition: Callable[[], object], seconds: float, every: float = 0.05) -> bool:
    """Whether ``condition`` comes true within so many seconds."""
    return bool(_last(condition, seconds, every))


def _last(condition: Callable[[], T | None], seconds: float, every: float) -> T | None:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() <= deadline:
        time.sleep(every)
    return found
