"""Stacks under Pulumi's real engine, where its command line is on the PATH."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine.provider import StandIn, serving

if TYPE_CHECKING:
    from engine.deployment import Deployment

REASON = "runs Pulumi's real engine; needs its CLI on PATH"
Deploy = Callable[[str], "Deployment"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("pulumi") is None:
        for item in items:
            if item.get_closest_marker("engine"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Makes a stack by its name, with an empty account; nothing is up yet."""
    from engine.deployment import Deployment

    with ExitStack() as served:

        def make(stack: str) -> Deployment:
            provider = StandIn()
            port = served.enter_context(serving(provider))
            return Deployment(stack, tmp_path / stack, provider, port)

        yield make
