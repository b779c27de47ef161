"""How Hypothesis is to search: without a clock, without noise, and with an end to shrinking."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest import mock

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import engine

_SHRINKING_SECONDS: Final = 60
"""By then a schedule is short enough to read; Hypothesis itself allows five minutes."""


def search(examples: int, *, derandomize: bool = False) -> settings:
    """Settings for so many schedules."""
    return settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded() -> Iterator[None]:
    """Shrinking ends in time, and the platform logs nothing below an error meanwhile."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with mock.patch.object(engine, "MAX_SHRINKING_SECONDS", _SHRINKING_SECONDS):
            yield
    finally:
        structlog.configure(**before)
