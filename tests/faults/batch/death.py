"""A process that dies in the middle of what it does, without one.

Every call to AWS and every statement to Spark is counted. At the chosen one the process dies:
before the call took effect or after. From then on nothing that it still tries has any effect, as
with a process that is no more; what it would have cleaned up stays.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from botocore.client import BaseClient
from pyspark.sql import SparkSession
from pyspark.sql.classic.dataframe import DataFrame

Moment = Literal["before", "after"]


class DiedError(BaseException):
    """The process is no more; no clean-up of its own may survive that."""


class Life:
    """The calls of one process, in order; ``at`` is the one that something happens at."""

    def __init__(
        self, at: int = 0, what: Callable[[Life, str, Moment], None] | None = None
    ) -> None:
        self.calls: list[str] = []
        self.happened = ""
        self._at = at
        self._what = what
        self._dead = False
        self._outside = False

    def die(self) -> None:
        """End the process here."""
        self._dead = True
        raise DiedError

    def call(self, name: str, run: Callable[[], Any]) -> Any:
        """One call of the process."""
        if self._outside:
            return run()
        if self._dead:
            raise DiedError
        self.calls.append(name)
        mine = len(self.calls) == self._at
        if mine:
            self._happen(name, "before")
        answer = run()
        if mine:
            self._happen(name, "after")
        return answer

    def _happen(self, name: str, moment: Moment) -> None:
        if self._what is None:
            return
        self._outside = True
        try:
            self._what(self, name, moment)
        finally:
            self._outside = False


def kill(when: Moment) -> Callable[[Life, str, Moment], None]:
    """Die before or after the call."""

    def happen(life: Life, name: str, moment: Moment) -> None:
        if moment == when:
            life.happened = f"{when} {name}"
            life.die()

    return happen


def meddle(act: Callable[[], None]) -> Callable[[Life, str, Moment], None]:
    """Something that somebody else does just before the call."""

    def happen(life: Life, name: str, moment: Moment) -> None:
        if moment == "before":
            life.happened = f"before {name}"
            act()

    return happen


_lives: dict[int, Life] = {}


@contextlib.contextmanager
def living(life: Life) -> Iterator[None]:
    """While this lasts, what this thread does is that process's."""
    me = threading.get_ident()
    _lives[me] = life
    try:
        yield
    finally:
        del _lives[me]


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """While this lasts, the calls of all processes are counted."""

    def watch(patch: pytest.MonkeyPatch, owner: type, method: str, prefix: str) -> None:
        real = getattr(owner, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            life = _lives.get(threading.get_ident())
            if life is None:
                return real(self, *args, **kwargs)
            name = prefix + (str(args[0]) if owner is BaseClient else method)
            return life.call(name, lambda: real(self, *args, **kwargs))

        patch.setattr(owner, method, call)

    with pytest.MonkeyPatch.context() as patch:
        watch(patch, BaseClient, "_make_api_call", "")
        watch(patch, SparkSession, "sql", "spark.")
        for method in ("collect", "localCheckpoint", "first"):
            watch(patch, DataFrame, method, "spark.")
        yield
