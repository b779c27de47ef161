"""Stacks under Pulumi's real engine, where its command line is on the PATH."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from engine import language
from engine.deployment import Deployment, Snapshot
from engine.provider import Call, StandIn, serving

REASON = "runs Pulumi's real engine; needs its CLI on PATH"
Deploy = Callable[[str], Deployment]


@dataclass(frozen=True)
class Raised:
    """A stack that was previewed and brought up, and what the engine said of it."""

    deployment: Deployment
    planned: Mapping[str, int]
    """How many resources the preview was to create, update and so on."""
    previewed: tuple[Call, ...]
    changed: tuple[Call, ...]
    snapshot: Snapshot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("pulumi") is None:
        for item in items:
            if item.get_closest_marker("engine"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Makes a stack of a name in an empty account; nothing is up yet."""
    with ExitStack() as served:
        program_port = served.enter_context(language.running())

        def make(stack: str) -> Deployment:
            provider = StandIn()
            return Deployment(
                stack,
                tmp_path_factory.mktemp(stack) / "home",
                provider,
                provider_port=served.enter_context(serving(provider)),
                program_port=program_port,
            )

        yield make


@pytest.fixture(scope="session")
def raised(deploy: Deploy) -> Callable[[str], Raised]:
    """The stack of a name, brought up once in a run."""
    known: dict[str, Raised] = {}

    def get(stack: str) -> Raised:
        if stack not in known:
            made = deploy(stack)
            preview = made.pulumi("preview", "--json", check=True).stdout
            known[stack] = Raised(
                deployment=made,
                planned=json.loads(preview)["changeSummary"],
                previewed=tuple(made.provider.calls),
                changed=tuple(made.up()),
                snapshot=made.snapshot(),
            )
        return known[stack]

    return get


@pytest.fixture
def dev(raised: Callable[[str], Raised]) -> Iterator[Deployment]:
    """The dev stack, up; what a test does to it is undone."""
    yield from _lent(raised("dev"))


@pytest.fixture
def prod(raised: Callable[[str], Raised]) -> Iterator[Deployment]:
    """The prod stack, up; what a test does to it is undone."""
    yield from _lent(raised("prod"))


def _lent(raised: Raised) -> Iterator[Deployment]:
    raised.deployment.provider.calls.clear()
    yield raised.deployment
    raised.deployment.restore(raised.snapshot)
