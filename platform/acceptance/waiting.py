"""Waiting for what AWS does in its own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from acceptance.steps import AcceptanceError

T = TypeVar("T")


def wait_until(
    ask: Callable[[], T | None], seconds: float, otherwise: Callable[[], str], every: float = 0.5
) -> T:
    """The first truthy answer; AcceptanceError with ``otherwise`` after so many seconds."""
    waiting = Retrying(
        retry=retry_if_result(lambda answer: not answer),
        wait=wait_fixed(every),
        stop=stop_after_delay(seconds),
    )
    try:
        answer = waiting(ask)
    except RetryError:
        raise AcceptanceError(f"{otherwise()}; waited {seconds:.0f} s") from None
    assert answer  # noqa: S101 - for the types: another one is asked for again
    return answer
